"""Scheduler and dispatcher: who is worked on, when, and whom a hung connection leaves alone."""

from __future__ import annotations

import asyncio

import pytest

from evs_operator.cloud.budget import MOST_IN_FLIGHT, Budget
from evs_operator.jobs.entry import Entry, Polling, Seen
from evs_operator.jobs.queue.dispatcher import WORKERS, Dispatcher, Route
from evs_operator.jobs.queue.lane import CallBudget, Lane
from evs_operator.jobs.queue.scheduler import Scheduler


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def entry(name: str, namespace: str = "ns", last_poll: float | None = None) -> Entry:
    return Entry(uid=name, namespace=namespace, name=name, polling=Polling(last_poll=last_poll))


def new_lane() -> Lane:
    return Lane(None, lambda entry, price: 10.0, 0.0)


def test_an_entry_surfaces_once_at_its_last_due_time() -> None:
    scheduler, job = Scheduler(), entry("a")
    scheduler.schedule(job, 10)
    scheduler.schedule(job, 20)
    assert list(scheduler.pop_due(15)) == []
    assert list(scheduler.pop_due(25)) == [job]
    assert scheduler.next_due() is None


def test_a_cancelled_and_a_deleted_entry_do_not_surface() -> None:
    scheduler, one, two = Scheduler(), entry("a"), entry("b")
    scheduler.schedule(one, 10)
    scheduler.cancel(one)
    scheduler.schedule(two, 10)
    two.seen = Seen(deleted=True)
    assert list(scheduler.pop_due(99)) == []


def test_rescheduling_again_and_again_does_not_fill_the_heap() -> None:
    scheduler, jobs = Scheduler(), [entry(str(number)) for number in range(100)]
    for round_ in range(500):
        for job in jobs:
            scheduler.schedule(job, 1000.0 + round_)
    assert len(scheduler) < 3000
    assert len(list(scheduler.pop_due(2000.0))) == 100


def test_namespaces_take_turns_in_a_lane() -> None:
    lane = new_lane()
    for number in range(3):
        lane.push(entry(f"big-{number}", "big", last_poll=float(number)), number + 1)
    lane.push(entry("small", "small", last_poll=5.0), 4)
    served = [job.name for _ in range(4) if (job := lane.pop(100.0)) is not None]
    assert served == ["big-0", "small", "big-1", "big-2"]
    assert not lane.waits


def test_a_job_never_polled_goes_before_those_that_were() -> None:
    lane = new_lane()
    for number in range(50):
        lane.push(entry(f"old-{number}", last_poll=0.0), number + 1)
    lane.push(entry("new"), 51)
    first = [job.name for _ in range(2) if (job := lane.pop(100.0)) is not None]
    assert "new" in first


def answering() -> Budget:
    """Return the budget of an endpoint that has answered often, so that many calls may be under way."""
    budget = Budget(1000, 1000)
    for _ in range(MOST_IN_FLIGHT):
        budget.answered(0.0, sent=0.0)
    return budget


class Engine:
    """A dispatcher over lanes by namespace, whose work waits for a gate."""

    def __init__(self, budgets: dict[str, CallBudget], workers: int = 256) -> None:
        self.clock = Clock()
        self.budgets = budgets
        self.scheduler = Scheduler()
        self.gates: dict[str, asyncio.Event] = {}
        self.worked: list[str] = []
        self.leads = True
        self.dispatcher = Dispatcher(
            self.scheduler,
            self.work,
            self.route_of,
            lambda job, price: 10.0,
            self.clock,
            may_work=lambda: self.leads,
            workers=workers,
        )

    def route_of(self, job: Entry) -> Route | None:
        budget = self.budgets.get(job.namespace)
        return None if budget is None else (budget, budget)

    async def work(self, job: Entry, call: CallBudget | None) -> None:
        self.worked.append(job.name)
        if job.namespace in self.gates:
            await self.gates[job.namespace].wait()

    async def settle(self) -> None:
        self.scheduler.wake.set()  # time has passed
        for _ in range(50):
            await asyncio.sleep(0)


@pytest.fixture
async def running(request: pytest.FixtureRequest) -> object:
    """Keep a dispatcher running during a test."""
    tasks: list[asyncio.Task[None]] = []

    def start(engine: Engine) -> Engine:
        tasks.append(asyncio.create_task(engine.dispatcher.run()))
        return engine

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_hung_connection_takes_workers_from_no_one_else(running) -> None:  # type: ignore[no-untyped-def]
    engine = running(Engine({"hung": answering(), "well": answering()}))
    engine.gates["hung"] = asyncio.Event()
    for number in range(500):
        engine.scheduler.schedule(entry(f"hung-{number}", "hung"), 1000.0)
    await engine.settle()
    assert engine.dispatcher.in_flight == MOST_IN_FLIGHT
    engine.scheduler.schedule(entry("well", "well"), 1000.0)
    await engine.settle()
    assert "well" in engine.worked


@pytest.mark.parametrize("hung", [8, 300])
async def test_however_many_connections_hang_the_next_one_gets_workers(running, hung: int) -> None:  # type: ignore[no-untyped-def]
    names = [f"hung-{number}" for number in range(hung)]
    engine = running(Engine({name: answering() for name in [*names, "well"]}))
    for name in names:
        engine.gates[name] = asyncio.Event()
        for number in range(100):
            engine.scheduler.schedule(entry(f"{name}-{number}", name), 1000.0)
    await engine.settle()
    shared = engine.dispatcher.in_flight - hung  # each has one worker of its own
    assert shared <= WORKERS - 2 * WORKERS // (hung + 4), "a lane takes a quarter of what is free at most"
    for number in range(20):
        engine.scheduler.schedule(entry(f"well-{number}", "well"), 1000.0)
    engine.scheduler.schedule(entry("needs no call", "no-lane"), 1000.0)
    await engine.settle()
    assert sum(name.startswith("well") for name in engine.worked) == 20
    assert "needs no call" in engine.worked


async def test_a_hung_connection_whose_calls_time_out_holds_one_worker(running) -> None:  # type: ignore[no-untyped-def]
    budget = Budget(1000, 1000)
    engine = running(Engine({"hung": budget}))
    for _ in range(6):
        budget.unanswered(sent=0.0)
    engine.gates["hung"] = asyncio.Event()
    for number in range(100):
        engine.scheduler.schedule(entry(f"hung-{number}", "hung"), 1000.0)
    await engine.settle()
    assert engine.dispatcher.in_flight == 1


async def test_namespaces_take_turns_also_through_connections_of_their_own(running) -> None:  # type: ignore[no-untyped-def]
    """Two connections with one credential: the one with 1,000 EvsJobs takes no call from the other."""
    shared = Budget(10, 1)
    engine = running(Engine({"big": shared, "small": shared}))
    for number in range(1000):
        engine.scheduler.schedule(entry(f"big-{number}", "big"), 1000.0)
    for number in range(5):
        engine.scheduler.schedule(entry(f"small-{number}", "small"), 1000.0)
    for _ in range(12):
        await engine.settle()
        engine.clock.now += 0.1
    assert sum(name.startswith("small") for name in engine.worked) == 5


async def test_an_entry_scheduled_again_while_it_waits_for_a_call_goes_its_new_way(running) -> None:  # type: ignore[no-untyped-def]
    """Who suspends an EvsJob, or points it at another connection, waits for no call of the old one."""
    budget = Budget(1, 1)
    budget.throttled(1000.0, 60.0, sent=1000.0)
    engine = running(Engine({"paused": budget}))
    job = entry("job", "paused")
    engine.scheduler.schedule(job, 1000.0)
    await engine.settle()
    assert engine.worked == []
    engine.budgets.clear()
    engine.scheduler.schedule(job, 1000.0)
    await engine.settle()
    assert engine.worked == ["job"]
    engine.clock.now += 100.0
    await engine.settle()
    assert engine.worked == ["job"], "its old place in the lane is void"


async def test_an_entry_deleted_while_it_waits_costs_no_call(running) -> None:  # type: ignore[no-untyped-def]
    budget = Budget(1, 1)
    budget.throttled(1000.0, 60.0, sent=1000.0)
    engine = running(Engine({"paused": budget}))
    gone = entry("gone", "paused")
    engine.scheduler.schedule(gone, 1000.0)
    await engine.settle()
    gone.seen = Seen(deleted=True)
    engine.clock.now += 61.0
    await engine.settle()
    assert engine.worked == []
    assert budget.take(engine.clock.now) == 0.0


async def test_a_long_queue_or_a_pause_is_no_failure_and_an_entry_left_lying_is(running) -> None:  # type: ignore[no-untyped-def]
    budget = Budget(1, 1)
    engine = running(Engine({"slow": budget}))
    for number in range(50):
        engine.scheduler.schedule(entry(f"job-{number}", "slow"), 1000.0)
    for _ in range(20):
        engine.clock.now += 1.0
        await engine.settle()
    assert engine.dispatcher.unserved() <= 1.0
    budget.throttled(engine.clock.now, 3600.0, sent=engine.clock.now)
    engine.clock.now += 3600.0
    assert engine.dispatcher.unserved() <= 1.0
    engine.clock.now += 700.0
    assert engine.dispatcher.unserved() > 600.0


async def test_an_entry_that_needs_no_call_waits_for_no_budget(running) -> None:  # type: ignore[no-untyped-def]
    budget = Budget(1, 1)
    budget.throttled(1000.0, 60.0, sent=1000.0)
    engine = running(Engine({"paused": budget}))
    engine.scheduler.schedule(entry("waits", "paused"), 1000.0)
    engine.scheduler.schedule(entry("free", "no-lane"), 1000.0)
    await engine.settle()
    assert engine.worked == ["free"]
    engine.clock.now += 61
    await engine.settle()
    assert engine.worked == ["free", "waits"]


async def test_nothing_is_dispatched_once_it_is_stopping(running) -> None:  # type: ignore[no-untyped-def]
    engine = running(Engine({}))
    engine.dispatcher.stop()
    engine.scheduler.schedule(entry("late"), 1000.0)
    await engine.settle()
    assert engine.worked == []


async def test_nothing_is_dispatched_by_a_process_that_does_not_lead_any_more(running) -> None:  # type: ignore[no-untyped-def]
    engine = running(Engine({"ns": Budget(10, 10)}))
    engine.leads = False
    engine.scheduler.schedule(entry("late"), 1000.0)
    engine.scheduler.schedule(entry("no-call", "free"), 1000.0)
    await engine.settle()
    assert engine.worked == []


async def test_calls_stay_within_the_budget_whatever_is_due(running) -> None:  # type: ignore[no-untyped-def]
    engine = running(Engine({"ns": Budget(10, 10)}))
    for number in range(200):
        engine.scheduler.schedule(entry(f"job-{number}"), 1000.0)
    await engine.settle()
    assert len(engine.worked) == 10
    for _ in range(50):
        engine.clock.now += 0.1
        await engine.settle()
    assert 55 <= len(engine.worked) <= 60
