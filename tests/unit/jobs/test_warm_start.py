"""After a restart: what finished EvsJobs teach a new process, and what it knows of those under way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from evs_operator.api.conditions import timestamp
from evs_operator.core.result import api_time
from evs_operator.jobs import poll_history
from support.engine_world import EPOCH, CloudJob, EngineWorld, in_world


def finished(world: EngineWorld, job_id: str, began: float, seconds: float, **more: Any) -> dict[str, Any]:
    """Return the status of a job that began so many seconds ago."""
    begin = world.clock.wall() - timedelta(seconds=began)
    end = begin + timedelta(seconds=seconds)
    return {
        "observedGeneration": 1,
        "jobId": job_id,
        "jobStatus": "SUCCESS",
        "jobType": "createVolume",
        "beginTime": api_time(begin),
        "endTime": api_time(end),
        "observationStartTime": timestamp(begin),
        "completionTime": timestamp(end),
        **more,
    }


def test_the_finished_jobs_of_a_connection_teach_how_long_its_jobs_take() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        for number in range(50):
            name = f"job-{number}"
            world.add(name, CloudJob(0, 0), status=finished(world, f"ns-{name}", 3600.0 + number, 40.0))
        assert world.warm_start.learn(world.durations, world.registry) == 50
        law = world.durations.law("uid-ns", "createVolume")
        assert 35.0 < law.quantile(0.5) < 45.0
        assert world.warm_start.learn(world.durations, world.registry) == 0, "nothing is kept"

    in_world(main)


def test_the_newest_ends_count_most_whatever_the_order_of_the_list() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        for number in range(600):
            name, recent = f"job-{number}", number % 2 == 0
            status = finished(world, f"ns-{name}", 1000.0 if recent else 90_000.0, 10.0 if recent else 500.0)
            world.add(name, CloudJob(0, 0), status=status)
        assert world.warm_start.learn(world.durations, world.registry) == 300
        assert world.durations.law("uid-ns", "createVolume").quantile(0.9) < 20.0

    in_world(main)


@pytest.mark.parametrize(
    "lack",
    [{"beginTime": "soon"}, {"jobType": ""}, {"subJobCounts": {}}, {"observationStartTime": "x"}, {"subJobs": []}],
)
def test_a_status_that_somebody_else_has_written_does_no_harm(lack: dict[str, Any]) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        world.add("job", CloudJob(0, 0), status={**finished(world, "ns-job00", 100.0, 40.0), **lack})
        world.warm_start.learn(world.durations, world.registry)

    in_world(main)


def test_jobs_with_sub_jobs_teach_their_closing() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        status = finished(world, "ns-job00", 100.0, 40.0)
        end = api_time(world.clock.wall() - timedelta(seconds=66.0))
        counts = {"total": 2, "succeeded": 2, "failed": 0, "inProgress": 0, "omitted": 0}
        status.update(subJobCounts=counts, subJobs=[{"jobId": "a", "endTime": end}, {"jobId": "b"}])
        world.add("job", CloudJob(0, 0), status=status)
        world.warm_start.learn(world.durations, world.registry)
        assert world.durations.closing_law("uid-ns", "createVolume").jobs == pytest.approx(1.0)
        assert world.durations.closing_law("uid-ns", "createVolume").survival(5.0) > 0.5

    in_world(main)


def test_a_job_under_way_is_known_by_its_type_and_begin_and_taken_for_asked_a_minute_ago() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        begin = world.clock.wall() - timedelta(seconds=5000.0)
        status = {"jobId": "ns-job00", "jobStatus": "RUNNING", "jobType": "retypeVolume", "beginTime": api_time(begin)}
        status["observationStartTime"] = timestamp(begin)
        entry = world.add("job", CloudJob(-5000.0, 1e6), status=status)
        history = poll_history.history_from_status(entry, "c", world.clock)
        assert history is not None
        assert (history.job_type, history.begin) == ("retypeVolume", pytest.approx(EPOCH - 5000.0, abs=1.0))
        assert history.last_poll == pytest.approx(EPOCH - 60.0, abs=1.0)

    in_world(main)


@pytest.mark.parametrize("step", [-7200.0, 0.0, 7200.0])
def test_times_of_the_cloud_are_read_against_the_wall_clock_of_the_moment(step: float) -> None:
    """However far the wall clock has gone from the engine's, a job that began 90 s ago is 90 s old."""

    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        world.step, world.cloud.behind = step, -step
        entry = world.add("job", CloudJob(-90.0, 1e6))
        job = await world.cloud.answer("one", "ns-job00")
        history = poll_history.history_after_poll(entry, "c", job, world.clock)
        assert history.begin is not None
        assert history.last_poll is not None
        assert history.last_poll - history.begin == pytest.approx(90.0, abs=0.1)

    in_world(main)


def test_a_status_of_another_job_is_no_memory_of_this_one() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        entry = world.add("job", CloudJob(0, 1e6), status={"jobId": "another-job", "jobStatus": "RUNNING"})
        assert poll_history.history_from_status(entry, "c", world.clock) is None

    in_world(main)
