"""The naive operator with a daemon: `kopf run rivals/daemon.py`; one task per EvsJob asks every two seconds."""

from __future__ import annotations

import os
from typing import Any

import httpx
import kopf

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
ENDED = ("SUCCESS", "FAIL")
INTERVAL = 2.0


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    settings.posting.enabled = False
    memo.cloud = httpx.AsyncClient(
        base_url=os.environ["EVS_ENDPOINT"],
        headers={"X-Auth-Token": os.environ["EVS_TOKEN"]},
        limits=httpx.Limits(max_connections=100),
        timeout=30,
    )


@kopf.daemon("evs-operator.dev", "v1alpha1", "evsjobs", cancellation_timeout=1.0)
async def follow(
    spec: kopf.Spec, status: kopf.Status, patch: kopf.Patch, memo: kopf.Memo, stopped: kopf.DaemonStopped, **_: Any
) -> None:
    if status.get("jobStatus") in ENDED:
        return
    answer = await memo.cloud.get(f"/v1/{PROJECT}/jobs/{spec['jobId']}")
    answer.raise_for_status()
    job = answer.json()
    patch.status["jobId"] = spec["jobId"]
    patch.status["jobStatus"] = job["status"]
    patch.status["jobType"] = job["job_type"]
    if job["begin_time"]:
        patch.status["beginTime"] = job["begin_time"]
    if job["end_time"]:
        patch.status["endTime"] = job["end_time"]
    patch.status["entities"] = {key: str(value) for key, value in job["entities"].items() if key != "sub_jobs"}
    if job["status"] not in ENDED:
        raise kopf.TemporaryError("not ended yet", delay=INTERVAL)
