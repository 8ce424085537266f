"""kill -9 at any moment: the next process reaches the same statuses."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from controlplane import ControlPlane
from support.jobs import batch, body, sub
from support.operator_process import Objects, condition, custom, eventually, start_operator
from support.scripted_cloud import ScriptedCloud

JOBS = 300
REASONS = {"SUCCESS": "JobSucceeded", "FAIL": "JobFailed", "BATCH": "SubJobFailed"}


def test_after_kill_nine_at_random_moments_every_job_ends_with_its_own_result(
    crds: ControlPlane, operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects
) -> None:
    moments = random.Random(7)
    flags = ("--namespace", objects.namespace, "--allow-endpoint", cloud.url)
    ends = {}
    for number in range(JOBS):
        job_id = f"{number:032x}"
        ends[job_id] = moments.choice(list(REASONS))
        cloud.put(job_id, {**body("RUNNING"), "job_id": job_id})
    objects.connect(cloud.url)
    fast = {"minIntervalSeconds": 1, "maxIntervalSeconds": 2}
    objects.apply(*(custom("EvsJob", f"job-{n}", jobId=f"{n:032x}", polling=fast) for n in range(JOBS)))
    left = list(ends)
    moments.shuffle(left)
    for _ in range(5):
        with start_operator(operator_kubeconfig, *flags, ready=False) as operator:
            time.sleep(moments.uniform(0.5, 4))
            for job_id in [left.pop() for _ in range(min(60, len(left)))]:
                cloud.put(job_id, _end(ends[job_id], job_id))
            time.sleep(moments.uniform(0, 1.5))
            operator.stop(signal.SIGKILL)
    with start_operator(operator_kubeconfig, *flags):
        eventually(lambda: all("completionTime" in job.get("status", {}) for job in objects.jobs().values()), 60)
    for job in objects.jobs().values():
        status, job_id = job["status"], job["spec"]["jobId"]
        assert condition(status, "Ready")["reason"] == REASONS[ends[job_id]]
        assert status["jobId"] == job_id
    # From start to end: no more than one call per second, process and job, and none after the end.
    assert sum(cloud.calls.values()) < JOBS * 60


def _end(kind: str, job_id: str) -> dict[str, object]:
    if kind == "BATCH":
        return {**batch("SUCCESS", sub(1, "FAIL")), "job_id": job_id}
    return {**body(kind), "job_id": job_id}
