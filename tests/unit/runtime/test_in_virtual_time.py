"""The whole engine in virtual time: budgets, pauses, herds and starvation, with a cloud and an API server in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest

from evs_operator.api.conditions import timestamp
from evs_operator.evs import errors
from support.api_server import Request
from support.engine_world import Call, CloudJob, EngineWorld, in_world, judge, live, most_in_any_window


def throttle_once(pause: float | None = None, after: int = 0):  # type: ignore[no-untyped-def]
    """Return a rule that answers one call, the one after so many, with 429."""
    seen = Counter[str]()

    def refuse(call: Call) -> errors.CloudError | None:
        seen["calls"] += 1
        if seen["calls"] != after + 1:
            return None
        error = errors.RateLimited("throttled")
        error.retry_after = pause
        return error

    return refuse


def test_one_429_with_a_thousand_jobs_stops_all_calls_of_the_credential_and_no_other() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=50, burst=50)
        world.connect("other", token="two", rate=50, burst=50)
        for number in range(1000):
            world.add(f"job-{number}", CloudJob(0.0, 3600.0))
        for number in range(50):
            world.add(f"job-{number}", CloudJob(0.0, 3600.0), "other")
        world.cloud.refuse = throttle_once(after=300)
        await world.run(70.0)
        throttled = world.cloud.calls[300].at
        heard = throttled + world.cloud.latency
        paused = [call for call in world.cloud.calls if heard < call.at < heard + 60.0]
        assert {call.token for call in paused} == {"two"}
        after = [call.at for call in world.cloud.calls if call.at >= heard + 60.0 and call.token == "one"]
        assert after[1] - after[0] >= world.cloud.latency, "one call probes, alone until it is answered"
        assert sum(at < after[1] + 1.0 for at in after) <= 27, "half the rate after that"

    in_world(main)


def test_a_named_pause_is_kept_and_one_probe_follows_where_the_cloud_goes_on_refusing() -> None:
    async def main(world: EngineWorld) -> None:
        def refuse(call: Call) -> errors.CloudError | None:
            error = errors.RateLimited("throttled")
            error.retry_after = 30.0
            return error if call.at >= 10.0 else None

        world.connect("ns", token="one", rate=10, burst=1)
        for number in range(200):
            world.add(f"job-{number}", CloudJob(0.0, 1e6))
        world.cloud.refuse = refuse
        await world.run(310.0)
        late = [call.at for call in world.cloud.calls if call.at > 10.5]
        assert 9 <= len(late) <= 10
        assert all(after - before >= 30.0 for before, after in pairwise(late))

    in_world(main)


def test_a_call_that_was_granted_before_the_429_is_not_made_after_it() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=10, burst=10)
        entry = world.add("job", CloudJob(0.0, 1e6))
        await world.run(1.0)
        budget, made = next(iter(world.registry)).budget, len(world.cloud.calls)
        assert budget.take(world.clock()) == 0.0
        budget.throttled(world.clock(), 60.0, sent=world.clock() - 0.1)
        entry.polling.poll_at = world.clock()
        await world.reconciler.work(entry, budget)
        assert len(world.cloud.calls) == made
        await world.run(62.0)
        assert len(world.cloud.calls) > made

    in_world(main)


def test_connections_with_one_credential_share_one_budget_from_the_first_call_on() -> None:
    async def main(world: EngineWorld) -> None:
        for number in range(20):
            world.connect(f"ns-{number}", token="same", rate=10, burst=10)
            for job in range(20):
                world.add(f"job-{job}", CloudJob(0.0, 1e6), f"ns-{number}")
        await world.run(60.0)
        times = [call.at for call in world.cloud.calls]
        for window in (0.5, 1.0, 10.0, 60.0):
            assert most_in_any_window(times, window) <= 10 + 10 * window + 1
        served = Counter(call.job_id.rpartition("-job")[0] for call in world.cloud.calls)
        assert max(served.values()) - min(served.values()) <= 1, "namespaces take turns"

    in_world(main)


def test_a_changed_rate_limit_holds_at_once() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=50, burst=50)
        for number in range(500):
            world.add(f"job-{number}", CloudJob(0.0, 1e6))
        await world.run(20.0)
        world.connect("ns", token="one", rate=2, burst=2)
        changed = world.loop.now
        await world.run(30.0)
        late = [call.at for call in world.cloud.calls if call.at > changed]
        assert 50 <= len(late) <= 63

    in_world(main)


def test_a_namespace_with_thousands_of_jobs_takes_no_turn_from_one_with_a_few() -> None:
    async def main(world: EngineWorld) -> None:
        for namespace in ("big", "small"):
            world.connect(namespace, token="same", rate=20, burst=20)
        for number in range(2_000):
            world.add(f"job-{number}", CloudJob(0.0, 1e6), "big", spec={"polling": {"minIntervalSeconds": 1}})
        await world.run(30.0)
        for number in range(20):
            world.add(f"job-{number}", CloudJob(30.0, 39.0), "small")
        await world.run(30.0)
        late = [at - 39.0 for job_id, at in world.cloud.seen_end.items() if job_id.startswith("small")]
        assert len(late) == 20
        assert max(late) < 15.0

    in_world(main)


def test_hung_endpoints_delay_nobody_else() -> None:
    async def main(world: EngineWorld) -> None:
        for number in range(40):
            world.connect(f"hung-{number}", token=f"hung-{number}", rate=100, burst=100)
            world.cloud.hung.add(f"hung-{number}")
            for job in range(50):
                world.add(f"job-{job}", CloudJob(0.0, 1e6), f"hung-{number}")
        await world.run(5.0)
        world.connect("well", token="well", rate=100, burst=100)
        for job in range(100):
            world.add(f"job-{job}", CloudJob(5.0, 14.0), "well")
        await world.run(20.0)
        assert len(world.cloud.seen_end) == 100
        assert max(world.cloud.seen_end.values()) < 14.0 + 8.0

    in_world(main)


def test_after_a_restart_calls_keep_to_the_ceiling_and_the_most_urgent_go_first() -> None:
    """1,000 jobs under way: those that will have ended by now are asked before those that take hours."""

    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=20, burst=20)
        for number in range(50):
            for kind, seconds in (("createVolume", 9.0), ("retypeVolume", 7200.0)):
                world.durations.learn("uid-ns", kind, seconds * (0.9 + 0.004 * number))
        kinds = ["retypeVolume"] * 900 + ["createVolume"] * 100
        for number, kind in enumerate(kinds):
            end = 5.0 if kind == "createVolume" else 1e6
            status = running_status(world, f"ns-job-{number}", kind)
            world.add(f"job-{number}", CloudJob(-5.0, end, kind), status=status)
        await world.run(60.0)
        times = [call.at for call in world.cloud.calls]
        assert most_in_any_window(times, 1.0) <= 41
        first = [world.cloud.jobs[call.job_id].kind for call in world.cloud.calls[:120]]
        assert first.count("createVolume") >= 90

    in_world(main)


def running_status(world: EngineWorld, job_id: str, kind: str) -> dict[str, object]:
    began = timestamp(world.clock.wall())
    return {"observedGeneration": 1, "jobId": job_id, "jobStatus": "RUNNING", "jobType": kind, "beginTime": began}


def test_a_repaired_secret_brings_no_herd_and_the_most_urgent_first() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="wrong", rate=10, burst=5)
        world.cloud.refuse = lambda call: errors.Unauthorized("no") if call.token == "wrong" else None
        for number in range(50):
            for kind, seconds in (("createVolume", 9.0), ("retypeVolume", 7200.0)):
                world.durations.learn("uid-ns", kind, seconds * (0.9 + 0.004 * number))
        for number in range(500):
            kind = "createVolume" if number % 10 == 9 else "retypeVolume"
            status = running_status(world, f"ns-job-{number}", kind)
            world.add(f"job-{number}", CloudJob(-5.0, 1e6, kind), status=status)
        await world.run(30.0)
        assert len(world.cloud.calls) <= 4, "one call a minute with a refused credential, and those already under way"
        world.api.put_secret("ns", "token", token="right")
        connection = next(iter(world.registry))
        assert await world.registry.refresh(connection)
        world.rescheduling.wake(world.rescheduling.jobs_of(connection.key))
        await world.run(60.0)
        right = [call for call in world.cloud.calls if call.token == "right"]
        assert most_in_any_window([call.at for call in right], 1.0) <= 16
        first = [world.cloud.jobs[call.job_id].kind for call in right[:60]]
        assert first.count("createVolume") >= 45

    in_world(main)


def test_a_new_job_is_not_queued_behind_thousands_of_old_ones() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=20, burst=20)
        for number in range(1000):
            world.add(f"old-{number}", CloudJob(0.0, 1e6, "retypeVolume"))
        await world.run(80.0)
        asked = world.loop.now
        world.add("new", CloudJob(asked, asked + 9.0))
        await world.run(5.0)
        assert any("new" in call.job_id for call in world.cloud.calls)

    in_world(main)


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
def test_a_step_of_the_wall_clock_makes_no_herd_and_stops_no_polling(step: float) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=1000, burst=1000)
        for number in range(60):
            world.add(f"job-{number}", CloudJob(0.0, 1e6, "retypeVolume"))
            await world.run(1.0)
        await world.run(1240.0)
        world.step = step
        world.cloud.behind = -step
        await world.run(300.0)
        times = [call.at for call in world.cloud.calls]
        before, after = ([at for at in times if since <= at < since + 300.0] for since in (1000.0, 1300.0))
        assert 0.7 * len(before) <= len(after) <= 1.3 * len(before)
        assert most_in_any_window(after, 1.0) <= 15

    in_world(main)


def test_durations_are_learned_right_whatever_the_wall_clock_does() -> None:
    """A machine that was suspended for an hour must not take jobs of 9 s for jobs of an hour."""

    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=1000, burst=1000)
        world.step, world.cloud.behind = 3600.0, -3600.0
        for number in range(50):
            world.add(f"job-{number}", CloudJob(world.loop.now, world.loop.now + 9.0))
            await world.run(1.0)
        await world.run(60.0)
        assert world.durations.law("uid-ns", "createVolume").quantile(0.9) < 15.0

    in_world(main)


def test_after_a_step_of_the_wall_clock_a_new_job_has_its_whole_deadline() -> None:
    """A machine that was suspended for a day must not call a job late that it saw a moment ago."""

    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=1000, burst=1000)
        world.step, world.cloud.behind = 86_400.0, -86_400.0
        world.add("job", CloudJob(0.0, 1e6, "retypeVolume"), spec={"deadlineSeconds": 300})
        await world.run(290.0)
        (running,) = world.status_of("job")
        assert running["observationStartTime"] == timestamp(world.clock.wall() - timedelta(seconds=290.0))
        await world.run(30.0)
        assert world.status_of("job")[-1]["conditions"][0]["reason"] == "DeadlineExceeded"

    in_world(main)


def test_a_cloud_whose_clock_is_ahead_teaches_no_longer_durations() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=1000, burst=1000)
        world.cloud.behind = -40.0
        for number in range(50):
            world.add(f"job-{number}", CloudJob(world.loop.now, world.loop.now + 9.0))
            await world.run(1.0)
        await world.run(60.0)
        assert world.durations.law("uid-ns", "createVolume").quantile(0.9) < 15.0

    in_world(main)


def test_an_estimate_comes_with_the_first_running_and_goes_with_the_end() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=1000, burst=1000)
        for number in range(10):
            world.add(f"first-{number}", CloudJob(0.0, 40.0))
        await world.run(100.0)
        world.add("job", CloudJob(world.loop.now, world.loop.now + 40.0))
        await world.run(100.0)
        running, done = world.status_of("job")
        assert "2026-02-02T02:4" in running["estimatedCompletionTime"]
        assert "estimatedCompletionTime" not in done

    in_world(main)


def test_a_day_of_jobs_is_seen_to_its_end_within_the_budget_and_none_starves() -> None:
    """A tenth of the day of 10,000 jobs that `python -m benchmarks.engine_day` runs."""

    async def main(world: EngineWorld) -> None:
        await live(world, 1000, hours=2.4)
        judge(world, 1000)

    in_world(main)


def test_no_more_than_four_large_statuses_are_written_together_and_small_ones_do_not_wait_for_them() -> None:
    """An API server that is busy with the statuses of large batches is late to tell its watchers of any."""

    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=100, burst=100)
        most = 0

        async def busy(request: Request) -> None:
            nonlocal most
            most = max(most, sum(bool(one.status.get("subJobs")) for one in world.api.in_flight))
            await asyncio.sleep(1.0 if request.status else 0.0)

        world.api.meanwhile = busy
        for number in range(20):
            world.add(f"batch-{number}", CloudJob(-60.0, -30.0, "batchCreateVolume", sub_jobs=100))
        await world.run(1.0)
        world.add("small", CloudJob(-60.0, -30.0, "batchCreateVolume", sub_jobs=2))
        await world.run(2.0)
        assert world.told_at("small", "JobSucceeded") is not None
        await world.run(10.0)
        assert all(world.told_at(f"batch-{number}", "JobSucceeded") for number in range(20))
        assert most == 5, "four of them, and the small one"

    in_world(main)
