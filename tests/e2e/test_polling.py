"""What users see of the poll schedule and the budget: a pause after a 429, and an estimate that survives a restart."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.jobs import body
from support.operator_process import Objects, OperatorProcess, custom, eventually, start_operator
from support.scripted_cloud import ScriptedCloud

FAST = {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}


def api_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_a_429_stops_the_calls_for_all_jobs_of_the_credential_until_its_pause_is_over(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    ids = [f"{number:032x}" for number in range(60)]
    for job_id in ids:
        cloud.put(job_id, {**body("RUNNING"), "job_id": job_id})
    objects.connect(cloud.url, rateLimit={"requestsPerSecond": 40, "burst": 10})
    objects.apply(*(custom("EvsJob", f"job-{n}", jobId=job_id, polling=FAST) for n, job_id in enumerate(ids)))
    eventually(lambda: min(cloud.calls[job_id] for job_id in ids) >= 2, 30, lambda: str(cloud.calls))
    throttled = {"error_msg": "The request rate exceeds the limit", "error_code": "APIGW.0308"}
    cloud.put(ids[0], throttled, status=429, headers={"Retry-After": "6"})
    cloud.wait_for_call(ids[0], cloud.calls[ids[0]] + 1)
    cloud.put(ids[0], {**body("RUNNING"), "job_id": ids[0]})
    time.sleep(1.0)  # for the calls that were under way
    before = cloud.calls.total()
    time.sleep(4.0)
    assert cloud.calls.total() == before
    eventually(lambda: cloud.calls.total() > before + 60, 30, lambda: str(cloud.calls))


def test_a_new_process_knows_from_finished_evsjobs_how_long_jobs_take(
    operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects
) -> None:
    flags = ("--namespace", objects.namespace, "--allow-endpoint", cloud.url)
    begins = {f"{number:032x}": datetime.now(UTC) for number in range(1, 7)}
    for job_id, begin in begins.items():
        cloud.put(job_id, {**body("RUNNING", begin_time=api_time(begin)), "job_id": job_id})
    objects.connect(cloud.url)
    objects.apply(*(custom("EvsJob", f"first-{id_}", jobId=id_, polling=FAST) for id_ in begins))
    with start_operator(operator_kubeconfig, *flags):
        for job_id in begins:
            objects.wait_reason(f"first-{job_id}", "JobRunning")
        for job_id, begin in begins.items():
            end = api_time(begin + timedelta(seconds=600))
            cloud.put(job_id, {**body("SUCCESS", begin_time=api_time(begin), end_time=end), "job_id": job_id})
        for job_id in begins:
            objects.wait_reason(f"first-{job_id}", "JobSucceeded")
    with start_operator(operator_kubeconfig, *flags):
        began = datetime.now(UTC) - timedelta(seconds=120)  # older than the others were when they were first seen
        cloud.put("f" * 32, {**body("RUNNING", begin_time=api_time(began)), "job_id": "f" * 32})
        objects.add_job("job", "f" * 32)
        status = objects.wait_reason("job", "JobRunning")
    estimate = datetime.fromisoformat(status["estimatedCompletionTime"])
    assert timedelta(seconds=450) < estimate - began < timedelta(seconds=750)
