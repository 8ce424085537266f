"""Scheduler and dispatcher: who is worked on, when, and whom a hung connection leaves alone."""

from __future__ import annotations

import asyncio

import pytest

from evs_operator.cloud.budget import Budget
from evs_operator.engine.dispatcher import LANE_WORKERS, CallBudget, Dispatcher, Lane
from evs_operator.engine.scheduler import Scheduler
from evs_operator.engine.store import Entry


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def entry(name: str, namespace: str = "ns", last_poll: float | None = None) -> Entry:
    return Entry(uid=name, namespace=namespace, name=name, last_poll=last_poll)


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
    two.deleted = True
    assert list(scheduler.pop_due(99)) == []


def test_namespaces_take_turns_in_a_lane() -> None:
    lane = Lane(lambda entry, price: 10.0)
    for number in range(3):
        lane.push(entry(f"big-{number}", "big", last_poll=float(number)))
    lane.push(entry("small", "small", last_poll=5.0))
    served = [job.name for _ in range(4) if (job := lane.pop(100.0)) is not None]
    assert served == ["big-0", "small", "big-1", "big-2"]
    assert not lane


def test_a_job_never_polled_goes_before_those_that_were() -> None:
    lane = Lane(lambda entry, price: 10.0)
    for number in range(50):
        lane.push(entry(f"old-{number}", last_poll=0.0))
    lane.push(entry("new"))
    first = [job.name for _ in range(2) if (job := lane.pop(100.0)) is not None]
    assert "new" in first


class Engine:
    """A dispatcher over lanes by namespace, whose work waits for a gate."""

    def __init__(self, budgets: dict[str, CallBudget], workers: int = 256) -> None:
        self.clock = Clock()
        self.scheduler = Scheduler()
        self.gates: dict[str, asyncio.Event] = {}
        self.worked: list[str] = []
        self.dispatcher = Dispatcher(
            self.scheduler,
            self.work,
            lambda job: (job.namespace, budgets[job.namespace]) if job.namespace in budgets else None,
            lambda job, price: 10.0,
            self.clock,
            workers=workers,
        )

    async def work(self, job: Entry) -> None:
        self.worked.append(job.name)
        if job.namespace in self.gates:
            await self.gates[job.namespace].wait()

    async def settle(self) -> None:
        self.dispatcher.wake()
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
    engine = running(Engine({"hung": Budget(1000, 1000), "well": Budget(1000, 1000)}))
    engine.gates["hung"] = asyncio.Event()
    for number in range(500):
        engine.scheduler.schedule(entry(f"hung-{number}", "hung"), 1000.0)
    await engine.settle()
    assert engine.dispatcher.in_flight == LANE_WORKERS
    engine.scheduler.schedule(entry("well", "well"), 1000.0)
    await engine.settle()
    assert "well" in engine.worked


async def test_an_entry_that_needs_no_call_waits_for_no_budget(running) -> None:  # type: ignore[no-untyped-def]
    budget = Budget(1, 1)
    budget.throttled(1000.0, 60.0)
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
    engine.dispatcher.stopping = True
    engine.scheduler.schedule(entry("late"), 1000.0)
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
