"""What a GitOps controller meets that creates an EvsJob again after its time to live deleted it."""

from __future__ import annotations

from support.jobs import body
from support.operator_process import Objects, OperatorProcess, condition, eventually
from support.scripted_cloud import ScriptedCloud

A = "a" * 32


def test_an_evs_job_that_is_created_again_has_its_result_as_long_as_the_cloud_and_then_is_not_found(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("SUCCESS"), "job_id": A})
    objects.connect(cloud.url)
    for calls in (1, 2):
        objects.add_job("job", A, ttlSecondsAfterFinished=1)
        cloud.wait_for_call(A, calls)
        eventually(lambda: "job" not in objects.jobs(), 20)  # only what has finished is deleted
    del cloud.answers[A]
    objects.add_job("job", A, ttlSecondsAfterFinished=1)
    status = objects.wait_reason("job", "JobNotFound")
    assert "jobStatus" not in status
    assert condition(status, "Complete")["status"] == "False"
