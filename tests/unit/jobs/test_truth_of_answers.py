"""What the engine takes from an answer: whose end it tells, and how long nobody is to ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from evs_operator.api.conditions import condition_of
from evs_operator.evs import errors
from evs_operator.evs.job import Job
from support.engine_world import Call, CloudJob, EngineWorld, in_world

NAMELESS: dict[str, Callable[[Job], Job]] = {
    "status alone": lambda job: replace(job, job_id="", job_type="", begin_time=None, end_time=None, status="FAILED"),
    "type without times": lambda job: replace(job, job_id="", begin_time=None, end_time=None, status="error"),
    "times without type": lambda job: replace(job, job_id="", job_type="", status="SUCCESS"),
    "a volume": lambda job: replace(
        job, job_id="", job_type="", begin_time=None, end_time=None, status="ERROR", entities={"name": "data"}
    ),
}


@pytest.mark.parametrize("nameless", NAMELESS)
def test_an_end_that_does_not_say_whose_it_is_is_no_end_of_a_job_that_was_seen(nameless: str) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        world.add("job", CloudJob(0.0, 1e6))
        await world.run(10.0)
        known = world.status_of("job")[-1]
        world.cloud.twist = NAMELESS[nameless]
        await world.run(120.0)
        status = world.status_of("job")[-1]
        ready = condition_of(status["conditions"], "Ready")
        assert ready is not None
        assert (ready["status"], ready["reason"]) == ("Unknown", "InvalidResponse")
        assert (status["jobStatus"], status["beginTime"]) == ("RUNNING", known["beginTime"])
        assert "completionTime" not in status
        world.cloud.twist = lambda job: replace(job, status="SUCCESS", end_time=job.begin_time)
        await world.run(120.0)
        assert world.status_of("job")[-1]["jobStatus"] == "SUCCESS"

    in_world(main)


@pytest.mark.parametrize("nameless", NAMELESS)
def test_an_end_that_does_not_say_whose_it_is_takes_back_no_result(nameless: str) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        entry = world.add("job", CloudJob(0.0, 5.0))
        await world.run(20.0)
        known = world.status_of("job")[-1]
        assert known["jobStatus"] == "SUCCESS"
        world.cloud.twist = NAMELESS[nameless]
        world.change(entry, requested_at="again")
        await world.run(20.0)
        status = dict(world.status_of("job")[-1])
        assert status.pop("lastHandledReconcileAt") == "again"
        assert {key: status[key] for key in ("jobStatus", "jobType", "endTime", "completionTime")} == {
            key: known[key] for key in ("jobStatus", "jobType", "endTime", "completionTime")
        }
        assert status["conditions"] == known["conditions"]

    in_world(main)


@pytest.mark.parametrize("word", ["FAIL", "SUCCESS"])
def test_an_end_with_type_and_times_is_one(word: str) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        world.add("job", CloudJob(0.0, 1e6))
        await world.run(10.0)
        world.cloud.twist = lambda job: replace(job, job_id="", status=word, end_time=job.begin_time)
        await world.run(120.0)
        assert world.status_of("job")[-1]["jobStatus"] == word

    in_world(main)


@pytest.mark.parametrize("kind", [errors.ServerError, errors.Rejected, errors.InvalidResponse, errors.EndpointInvalid])
@pytest.mark.parametrize("wait", [7.0, 120.0])
def test_a_wait_that_an_answer_names_holds_for_all_jobs_of_the_credential_and_no_other(
    kind: type[errors.CloudError], wait: float
) -> None:
    async def main(world: EngineWorld) -> None:
        for namespace, token in (("ns", "one"), ("same", "one"), ("other", "two")):
            world.connect(namespace, token=token)
            for number in range(5):
                world.add(f"job-{number}", CloudJob(0.0, 1e6), namespace, spec={"polling": {"maxIntervalSeconds": 2}})
        await world.run(30.0)
        refused: list[float] = []

        def refuse(call: Call) -> errors.CloudError | None:
            if call.token != "one" or refused:
                return None
            refused.append(call.at)
            error = kind("evs.example.com answered HTTP 503", http_status=503)
            error.retry_after = wait
            return error

        world.cloud.refuse = refuse
        await world.run(wait + 30.0)
        heard = refused[0] + world.cloud.latency
        during = {call.token for call in world.cloud.calls if heard < call.at < heard + wait}
        after = {call.job_id for call in world.cloud.calls if call.at >= heard + wait and call.token == "one"}
        assert during == {"two"}
        assert len(after) >= 9  # the one that was refused waits as after any failure

    in_world(main)
