"""The naive operator with a timer: `kopf run rivals/timer.py`; every two seconds each job is asked for."""

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


def unfinished(status: kopf.Status, **_: Any) -> bool:
    return status.get("jobStatus") not in ENDED


@kopf.timer("evs-operator.dev", "v1alpha1", "evsjobs", interval=INTERVAL, when=unfinished)
async def poll(spec: kopf.Spec, patch: kopf.Patch, memo: kopf.Memo, **_: Any) -> None:
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
