"""While the API server is away the cloud is asked all the same; what is written in the end is what was seen last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from evs_operator.api.names import EVS_JOB
from evs_operator.evs import errors
from evs_operator.kube.api import KubeError
from evs_operator.kube.objects import ObjectKey
from support.engine_world import Call, CloudJob, EngineWorld, in_world


def _away(world: EngineWorld, until: float) -> None:
    """Refuse every status until a moment."""
    refusal = KubeError(0, "API server not reachable")
    world.api.refuse = lambda request: refusal if request.status and request.at < until else None


def _expiring(world: EngineWorld, after: float) -> Callable[[Call], errors.CloudError | None]:
    """Forget a job that long after its end."""

    def refuse(call: Call) -> errors.CloudError | None:
        over = world.loop.now > world.cloud.jobs[call.job_id].end + after
        return errors.JobMissing("no such job", code="Common.0011") if over else None

    return refuse


def test_jobs_that_end_and_expire_while_the_api_server_is_away_are_told_when_it_is_back() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        for number in range(20):
            world.add(f"job-{number:02}", CloudJob(0.0, 60.0 + number, sub_jobs=3))
        await world.run(10.0)
        _away(world, until=200.0)
        world.cloud.refuse = _expiring(world, 30.0)
        await world.run(320.0)
        told = [world.told_at(f"job-{number:02}", "JobSucceeded") for number in range(20)]
        assert all(at is not None and at < 270.0 for at in told), told

    in_world(main)


def test_an_end_is_seen_as_fast_while_a_status_before_it_waits_to_be_written() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        _away(world, until=180.0)
        world.add("job", CloudJob(0.0, 100.0), spec={"polling": {"minIntervalSeconds": 2, "maxIntervalSeconds": 2}})
        await world.run(150.0)
        (end,) = world.cloud.seen_end.values()
        assert end < 103.0
        calls = len(world.cloud.calls)
        assert calls >= 45, "it is asked as often as if the API server were there"
        await world.run(30.0)
        assert len(world.cloud.calls) == calls, "an end that is seen is asked for no more"
        await world.run(62.0)
        assert world.told_at("job", "JobSucceeded") is not None
        assert len(world.api.writes) == 1, "what was never written is not written late"

    in_world(main)


def test_the_tries_to_write_wait_longer_and_longer_however_often_the_cloud_is_asked() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        _away(world, until=10_000.0)
        world.add("job", CloudJob(0.0, 9_000.0), spec={"polling": {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}})
        await world.run(300.0)
        assert sum(bool(request.status) for request in world.api.requests) <= 12
        assert len(world.cloud.calls) > 250

    in_world(main)


def test_a_failed_poll_does_not_replace_an_answer_that_waits_to_be_written() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        _away(world, until=100.0)
        world.add("job", CloudJob(0.0, 30.0), spec={"polling": {"minIntervalSeconds": 5, "maxIntervalSeconds": 5}})
        await world.run(22.0)
        world.cloud.refuse = lambda call: errors.JobMissing("no such job", code="Common.0011")
        await world.run(200.0)
        first = world.status_of("job")[0]
        assert first["jobStatus"] == "RUNNING"
        assert world.told_at("job", "JobRecordExpired") is not None

    in_world(main)


def test_an_object_that_changed_under_every_write_is_tried_again_within_seconds() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        entry = world.add("job", CloudJob(0.0, 30.0))
        path = ObjectKey(EVS_JOB, "ns", "job").path
        world.api.objects[path] = world.body_of(entry)
        world.api.meddle = lambda request: request.at < 60.0
        await world.run(70.0)
        at = world.told_at("job", "JobSucceeded")
        assert at is not None
        assert at < 62.5
        assert entry.seen.finished

    in_world(main)


def test_an_ended_job_that_is_annotated_twelve_times_a_second_is_told_within_ten_seconds() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        entry = world.add("job", CloudJob(0.0, 20.0))
        number = 0
        while world.loop.now < 40.0:
            number += 1
            world.change(entry, requested_at=f"now {number}")
            await world.run(1 / 12)
        at = world.told_at("job", "JobSucceeded")
        assert at is not None
        assert at < 30.0

    in_world(main)


def test_statuses_that_hang_leave_workers_to_poll() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t", rate=500, burst=500)
        every = {"polling": {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}}
        for number in range(400):
            world.add(f"job-{number:03}", CloudJob(0.0, 30.0 + number / 100), spec=every)
        await world.run(5.0)
        _away(world, until=100.0)
        world.api.meanwhile = lambda request: asyncio.sleep(15.0 if request.status and request.at < 100.0 else 0.0)
        await world.run(95.0)
        late = [at - world.cloud.jobs[job_id].end for job_id, at in world.cloud.seen_end.items()]
        assert len(late) == 400
        assert max(late) < 20.0
        await world.run(120.0)
        assert all(world.told_at(f"job-{number:03}", "JobSucceeded") is not None for number in range(400))

    in_world(main)
