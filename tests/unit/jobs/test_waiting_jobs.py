"""What does not wait for a call: a deadline, the end of a time to live, `suspend`, and a changed spec.

Each EvsJob here waits because the budget is spent, because its credential pauses after 429, or because its endpoint
hangs. Virtual time, the real engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from types import MappingProxyType

import pytest

from evs_operator.api.conditions import timestamp
from evs_operator.evs import errors
from evs_operator.jobs.entry import Entry
from evs_operator.observe.tracing import Span, Tracing
from support.engine_world import Call, CloudJob, EngineWorld, in_world

NEVER = CloudJob(0.0, 1e6)
ON_TIME = 2.0
"""Seconds within which a status says what time has brought."""


def throttled(call: Call) -> errors.CloudError:
    """Answer with 429 and a pause of ten minutes."""
    error = errors.RateLimited("throttled")
    error.retry_after = 600.0
    return error


def spend(world: EngineWorld) -> None:
    """Let 300 EvsJobs wait for one call a second."""
    world.connect("ns", token="one", rate=1, burst=1)
    for number in range(300):
        world.add(f"other-{number}", CloudJob(0.0, 1e6))


def pause(world: EngineWorld) -> None:
    """Refuse the first call."""
    world.connect("ns", token="one")
    world.cloud.refuse = throttled
    world.add("first", CloudJob(0.0, 1e6))


def hang(world: EngineWorld) -> None:
    """Let every call hang for 30 s."""
    world.connect("ns", token="one")
    world.cloud.hung.add("one")
    for number in range(40):
        world.add(f"other-{number}", CloudJob(0.0, 1e6))


SHORTAGES = [spend, pause, hang]


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_a_deadline_is_told_on_time_of_a_job_that_was_never_asked_for(shortage: Callable[[EngineWorld], None]) -> None:
    async def main(world: EngineWorld) -> None:
        shortage(world)
        await world.run(3.0)
        seen = world.loop.now
        world.add("job", NEVER, spec={"deadlineSeconds": 20})
        await world.run(30.0)
        told = world.told_at("job", "DeadlineExceeded")
        assert told is not None
        assert 20.0 <= told - seen <= 20.0 + ON_TIME
        status = world.status_of("job")[-1]
        assert "jobStatus" not in status
        says = {c["type"]: c["status"] for c in status["conditions"]}
        assert says == {"Ready": "False", "Complete": "False", "Failed": "False", "Stalled": "True"}

    in_world(main)


@pytest.mark.parametrize("after", [0.0, 4.0, 9.0, 15.0, 27.0])
@pytest.mark.parametrize("shortage", SHORTAGES)
def test_a_deadline_is_told_on_time_of_a_job_that_runs(shortage: Callable[[EngineWorld], None], after: float) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        seen = world.loop.now
        job = world.add("job", NEVER, spec={"deadlineSeconds": 40})
        await world.run(5.0 + after)
        shortage(world)
        world.rescheduling.wake([job])
        await world.run(45.0 - (world.loop.now - seen))
        told = world.told_at("job", "DeadlineExceeded")
        assert told is not None
        assert 39.0 <= told - seen <= 40.0 + ON_TIME  # the status has whole seconds
        assert world.status_of("job")[-1]["jobStatus"] == "RUNNING"

    in_world(main)


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_a_deadline_that_is_set_late_is_told_at_once(shortage: Callable[[EngineWorld], None]) -> None:
    async def main(world: EngineWorld) -> None:
        job = await waiting(world, shortage)
        world.change(job, deadlineSeconds=5)
        changed = world.loop.now
        await world.run(10.0)
        told = world.told_at("job", "DeadlineExceeded")
        assert told is not None
        assert told - changed <= ON_TIME

    in_world(main)


async def waiting(world: EngineWorld, shortage: Callable[[EngineWorld], None], **spec: object) -> Entry:
    """Return an EvsJob of a running job that waits in its lane, 20 s old."""
    world.connect("ns", token="one")
    job = world.add("job", NEVER, spec=spec)
    await world.run(15.0)
    shortage(world)
    await world.run(3.0)
    world.rescheduling.wake([job])
    await world.run(2.0)
    assert job.place.ticket, "it waits in its lane"
    return job


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_a_waiting_job_is_suspended_at_once_and_resumed(shortage: Callable[[EngineWorld], None]) -> None:
    async def main(world: EngineWorld) -> None:
        job = await waiting(world, shortage)
        calls = [call for call in world.cloud.calls if call.job_id == job.uid]
        world.change(job, suspend=True)
        changed = world.loop.now
        await world.run(10.0)
        told = world.told_at("job", "Suspended")
        assert told is not None
        assert told - changed <= ON_TIME
        assert [call for call in world.cloud.calls if call.job_id == job.uid] == calls
        world.change(job, suspend=False)
        await world.run(3.0)
        status = world.status_of("job")[-1]
        assert (status["observedGeneration"], status["conditions"][0]["reason"]) == (3, "JobRunning")

    in_world(main)


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_a_changed_spec_is_observed_while_the_job_waits(shortage: Callable[[EngineWorld], None]) -> None:
    async def main(world: EngineWorld) -> None:
        job = await waiting(world, shortage)
        world.change(job, polling={"minIntervalSeconds": 7})
        await world.run(ON_TIME)
        assert world.status_of("job")[-1]["observedGeneration"] == 2
        assert job.place.ticket, "it still waits for its call"

    in_world(main)


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_a_time_to_live_ends_on_time_though_a_poll_is_asked_for(shortage: Callable[[EngineWorld], None]) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        job = world.add("job", CloudJob(0.0, 4.0), spec={"ttlSecondsAfterFinished": 30})
        await world.run(15.0)
        ended = world.told_at("job", "JobSucceeded")
        assert ended is not None
        shortage(world)
        await world.run(3.0)
        world.change(job, requested_at="now")
        await world.run(25.0)
        assert 29.0 <= world.deleted_at("job") - ended <= 30.0 + ON_TIME

    in_world(main)


def test_a_time_to_live_ends_on_time_though_the_job_is_suspended_and_a_poll_is_asked_for() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        job = world.add("job", CloudJob(0.0, 4.0), spec={"ttlSecondsAfterFinished": 30})
        await world.run(15.0)
        ended = world.told_at("job", "JobSucceeded")
        assert ended is not None
        world.change(job, requested_at="now", suspend=True)
        await world.run(25.0)
        assert 29.0 <= world.deleted_at("job") - ended <= 30.0 + ON_TIME

    in_world(main)


def test_after_a_restart_a_job_is_asked_for_before_it_is_called_late() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        seen = timestamp(world.clock.wall() - timedelta(seconds=100))
        status = {
            "observedGeneration": 1,
            "jobId": "ns-job00",
            "jobStatus": "RUNNING",
            "observationStartTime": seen,
            "conditions": [],
        }
        world.add("job", CloudJob(0.0, 0.0), spec={"deadlineSeconds": 50}, status=status)
        await world.run(5.0)
        assert [status["conditions"][0]["reason"] for status in world.status_of("job")] == ["JobSucceeded"]

    in_world(main)


def test_a_job_that_a_person_must_act_on_costs_nothing_at_its_deadline() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        world.cloud.refuse = lambda call: errors.Unauthorized("no")
        job = world.add("job", NEVER, spec={"deadlineSeconds": 20})
        await world.run(15.0)
        before = looks.spans["evsjob"]
        await world.run(15.0)
        assert looks.spans["evsjob"] - before <= 2
        assert world.told_at("job", "DeadlineExceeded") is None
        assert job.place.due > world.clock()

    looks = Looks()
    in_world(main, lambda: EngineWorld(tracing=looks))


class Looks(Tracing):
    """Counts spans by their names; a look at an EvsJob is one."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: Counter[str] = Counter()

    def span(self, name: str, attributes: Mapping[str, str] = MappingProxyType({})) -> AbstractContextManager[Span]:
        self.spans[name] += 1
        return super().span(name, attributes)


@pytest.mark.parametrize("under_way", [0.3, 12.0])
def test_a_job_whose_call_hangs_is_suspended_at_once(under_way: float) -> None:
    async def main(world: EngineWorld) -> None:
        job = await hanging(world, under_way)
        world.change(job, suspend=True)
        changed = world.loop.now
        await world.run(ON_TIME)
        told = world.told_at("job", "Suspended")
        assert told is not None
        assert told - changed <= ON_TIME
        await world.run(60.0)
        assert len(world.cloud.calls) == 2

    in_world(main)


async def hanging(world: EngineWorld, under_way: float, **spec: object) -> Entry:
    """Return an EvsJob of a running job whose second call has been under way for so long."""
    world.connect("ns", token="one")
    job = world.add("job", NEVER, spec=spec)
    await world.run(1.0)
    world.cloud.hung.add("one")
    world.rescheduling.wake([job])
    await world.run(under_way)
    assert job.place.busy
    return job


def test_a_job_id_that_is_corrected_while_a_call_hangs_is_asked_for_at_once() -> None:
    async def main(world: EngineWorld) -> None:
        job = await hanging(world, 5.0)
        world.cloud.hung.clear()
        world.cloud.jobs["ns-other"] = CloudJob(0.0, 0.0)
        world.change(job, jobId="ns-other")
        changed = world.loop.now
        await world.run(ON_TIME)
        told = world.told_at("job", "JobSucceeded")
        assert told is not None
        assert told - changed <= ON_TIME
        assert world.status_of("job")[-1]["jobId"] == "ns-other"

    in_world(main)


def test_a_call_that_is_answered_soon_is_not_given_up_for_a_changed_spec() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        job = world.add("job", NEVER)
        world.cloud.latency = 0.5
        await world.run(0.2)
        budget = next(iter(world.registry)).budget
        before = budget.in_flight
        world.change(job, suspend=True)
        await world.run(2.0)
        assert budget.in_flight == before + 1, "the answer was heard"
        assert world.status_of("job")[-1]["conditions"][0]["reason"] == "Suspended"

    in_world(main)


def test_whoever_changes_polling_again_and_again_gives_up_no_slow_call() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        world.cloud.latency = 8.0
        job = world.add("job", NEVER)
        for number in range(10):
            await world.run(1.5)
            world.change(job, requested_at=str(number), polling={"minIntervalSeconds": number + 1})
        assert world.told_at("job", "JobRunning") is not None

    in_world(main)


@pytest.mark.parametrize("unseen", [True, False])
def test_a_deadline_is_told_on_time_while_a_call_hangs_and_once(unseen: bool) -> None:
    async def main(world: EngineWorld) -> None:
        if unseen:
            world.cloud.hung.add("one")
            world.connect("ns", token="one")
            job = world.add("job", NEVER, spec={"deadlineSeconds": 12})
        else:
            job = await hanging(world, 1.0, deadlineSeconds=12)
        await world.run(16.0 - world.loop.now)
        assert job.place.busy
        told = world.told_at("job", "DeadlineExceeded")
        assert told is not None
        assert 11.0 <= told <= 12.0 + ON_TIME
        await world.run(5.0)
        assert len(world.status_of("job")) == (1 if unseen else 2)

    in_world(main)


@pytest.mark.parametrize("removed", [False, True])
def test_a_connection_that_is_corrected_or_removed_while_a_call_hangs_is_looked_at_at_once(removed: bool) -> None:
    async def main(world: EngineWorld) -> None:
        job = await hanging(world, 5.0)
        world.cloud.jobs[job.uid] = CloudJob(0.0, 0.0)
        key = next(iter(world.registry)).key
        affected = world.rescheduling.jobs_of(key)
        if removed:
            world.registry.remove(key)
        else:
            world.connect("ns", token="another")
        world.rescheduling.wake(affected)
        changed = world.loop.now
        await world.run(ON_TIME)
        told = world.told_at("job", "ConnectionNotFound" if removed else "JobSucceeded")
        assert told is not None
        assert told - changed <= ON_TIME

    in_world(main)
