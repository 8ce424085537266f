"""Once a cloud is well again all who waited for it learn of it, in turns, and nobody asks much more than before."""

from __future__ import annotations

import pytest

from evs_operator.evs import errors
from evs_operator.jobs.entry import Entry
from evs_operator.jobs.recovery import in_turns
from evs_operator.kube.api import KubeError
from support.engine_world import Call, CloudJob, EngineWorld, in_world, most_in_any_window


@pytest.mark.parametrize("kind", [errors.ServerError, errors.Unreachable, errors.InvalidResponse])
@pytest.mark.parametrize("seconds", [45.0, 60.0, 75.0, 180.0])
def test_the_end_of_every_job_is_told_soon_after_the_cloud_is_well_again(
    kind: type[errors.CloudError], seconds: float
) -> None:
    async def main(world: EngineWorld) -> None:
        for namespace in ("ns", "other"):
            world.connect(namespace, token="one", rate=20, burst=20)
            for number in range(20):
                world.add(f"job-{number}", CloudJob(0.0, 40.0 + number), namespace)
        await world.run(20.0)
        down = world.loop.now
        world.cloud.refuse = lambda call: kind("evs.example.com has trouble") if call.at < down + seconds else None
        await world.run(seconds + 20.0)
        told = [
            world.told_at(f"job-{number}", "JobSucceeded", namespace)
            for namespace in ("ns", "other")
            for number in range(20)
        ]
        late = [None if at is None else at - max(down + seconds, 60.0) for at in told]
        assert all(seconds is not None and seconds < 15.0 for seconds in late), late
        after = [call.at for call in world.cloud.calls if call.at >= down + seconds]
        assert most_in_any_window(after, 1.0) <= 40

    in_world(main)


def test_a_cloud_in_trouble_is_asked_seldom() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=20, burst=20)
        for number in range(10):
            world.add(f"job-{number}", CloudJob(0.0, 1e6))
        await world.run(60.0)
        before = len(world.cloud.calls)
        world.cloud.refuse = lambda call: errors.ServerError("evs.example.com answered HTTP 502", http_status=502)
        await world.run(600.0)
        # each backs off to a minute, and one of them tries every ten seconds
        assert len(world.cloud.calls) - before < 10 * (6 + 10) + 75

    in_world(main)


def test_a_job_whose_answer_is_always_trouble_is_not_woken_by_each_success_of_others() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=20, burst=20)
        broken = world.add("broken", CloudJob(0.0, 1e6)).uid
        for number in range(20):
            world.add(f"job-{number}", CloudJob(0.0, 1e6), spec={"polling": {"maxIntervalSeconds": 2}})

        def refuse(call: Call) -> errors.CloudError | None:
            return errors.ServerError("HTTP 500", http_status=500) if call.job_id == broken else None

        world.cloud.refuse = refuse
        await world.run(100.0)
        before = len([call for call in world.cloud.calls if call.job_id == broken])
        await world.run(300.0)
        assert len([call for call in world.cloud.calls if call.job_id == broken]) - before <= 300 / 30 + 300 / 50

    in_world(main)


def test_a_new_evsjob_that_is_answered_wakes_the_one_that_waits() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        world.add("waits", CloudJob(0.0, 50.0))
        await world.run(10.0)
        world.cloud.refuse = lambda call: errors.Unreachable("evs.example.com is not reachable")
        await world.run(150.0)
        world.cloud.refuse = lambda call: None
        world.add("new", CloudJob(0.0, 1e6))
        await world.run(3.0)
        assert world.told_at("waits", "JobSucceeded") is not None

    in_world(main)


def test_two_hundred_running_jobs_are_first_asked_about_over_some_seconds_within_the_limit() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=20, burst=20)
        world.connect("large", token="two", rate=100, burst=200)
        for number in range(100):
            world.add(f"job-{number}", CloudJob(0.0, 1e6))
        for number in range(200):
            world.add(f"job-{number}", CloudJob(0.0, 1e6), "large")
        await world.run(20.0)
        small = [call.at for call in world.cloud.calls if call.token == "one"]
        large = [call.at for call in world.cloud.calls if call.token == "two"]
        assert most_in_any_window(small, 1.0) <= 40
        first = min(large)
        assert sum(at < first + 1.0 for at in large) <= 70
        asked = {call.job_id for call in world.cloud.calls if call.token == "two" and call.at < first + 5.0}
        assert len(asked) == 200

    in_world(main)


@pytest.mark.parametrize("seconds", [70.0, 100.0, 180.0, 200.0])
def test_the_end_of_every_job_is_told_soon_after_the_api_server_is_back(seconds: float) -> None:
    async def main(world: EngineWorld) -> None:
        for namespace in ("ns", "other"):
            world.connect(namespace, token=namespace)
            for number in range(100):
                world.add(f"job-{number}", CloudJob(0.0, 15.0 + number / 20), namespace)
        await world.run(10.0)
        back = world.loop.now + seconds
        away = KubeError(0, "the API server did not answer")
        world.api.refuse = lambda request: away if request.at < back else None
        await world.run(seconds + 20.0)
        told = [
            world.told_at(f"job-{number}", "JobSucceeded", name) for name in ("ns", "other") for number in range(100)
        ]
        late = sorted(at - back for at in told if at is not None)
        assert len(late) == 200
        assert late[-1] < 15.0
        written = [write.at for write in world.api.writes if write.at >= back]
        assert most_in_any_window(written, 1.0) <= 110

    in_world(main)


def test_namespaces_take_turns_when_they_are_woken() -> None:
    entries = [Entry(f"{namespace}{number}", namespace, "x") for namespace in "ab" for number in range(3)]
    assert [entry.uid for entry in in_turns(entries)] == ["a0", "b0", "a1", "b1", "a2", "b2"]
