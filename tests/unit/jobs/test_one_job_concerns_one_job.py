"""A fault of ours with one EvsJob, wherever it is met, is that EvsJob's: all others and the process go on.

Each test breaks one seam for one EvsJob, for a hundred seconds of virtual time, and then mends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from evs_operator.api import spec as api_spec
from evs_operator.api.names import EVS_JOB
from evs_operator.core.schedule.durations import Durations
from evs_operator.jobs import poll_history, query, reconciler, rescheduling, status_writer, store, warm_start
from evs_operator.jobs.due_times import DueTimes
from evs_operator.jobs.queue.lane import Lane
from evs_operator.jobs.queue.scheduler import Scheduler
from evs_operator.jobs.store import Store
from evs_operator.kube.api import KubeError
from evs_operator.kube.objects import ObjectKey
from support.engine_world import CloudJob, EngineWorld, in_world

GOOD = ("one", "two", "three")
BROKEN_FOR = 100.0
Seam = tuple[object, str]

SEAMS: dict[str, Seam] = {
    "its spec is read": (store, "parse_spec"),
    "its status is read": (store, "_with_status"),
    "the store takes it": (Store, "_update"),
    "it is considered": (rescheduling.Rescheduling, "consider"),
    "it is routed": (reconciler.JobReconciler, "_needs_call"),
    "it is put into a lane": (Lane, "push"),
    "its patience is asked": (DueTimes, "patience_of"),
    "it is looked at while it waits": (DueTimes, "agenda"),
    "its deadline is asked": (DueTimes, "_deadline_of"),
    "its next wait is asked": (DueTimes, "wait"),
    "the cloud is asked": (query.JobQuery, "ask"),
    "an answer is taken": (poll_history, "history_after_poll"),
    "durations learn of it": (query, "teach"),
    "it is put into words for decide()": (status_writer.StatusWriter, "subject_of"),
    "it is decided": (status_writer, "decide"),
    "its status is written": (status_writer.StatusWriter, "write"),
    "its transition is told": (status_writer, "transition_of_job"),
    "it is scheduled": (Scheduler, "schedule"),
}
UNTOLD = {
    "the store takes it",  # without its resourceVersion no status can be written
    "it is looked at while it waits",  # it is asked for as ever
    "it is put into words for decide()",
    "it is decided",
    "its status is written",
    "its transition is told",  # the status is written by then
    "it is scheduled",
}
"""Seams at which the status cannot say so, or need not."""


def speaks_of_bad(value: object) -> bool:
    if isinstance(value, dict):
        return value.get("jobId") == "ns-bad00" or any(speaks_of_bad(inner) for inner in value.values())
    spec = getattr(value, "spec", None)
    inner = (
        getattr(value, "name", ""),
        getattr(value, "job_id", getattr(spec, "job_id", "")),
        getattr(value, "jitter_key", ""),
    )
    return "bad" in inner or "ns-bad00" in inner


def broken_for_bad(monkeypatch: pytest.MonkeyPatch, seam: Seam) -> Callable[[], None]:
    """Have a function raise for the EvsJob `bad`; return what mends it."""
    owner, name = seam
    real, state = getattr(owner, name), {"broken": True}

    def faulty(*arguments: Any, **named: Any) -> Any:
        if state["broken"] and any(speaks_of_bad(value) for value in (*arguments, *named.values())):
            raise RuntimeError("injected")
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, faulty)

    def mend() -> None:
        state["broken"] = False

    return mend


class House:
    """A world whose EvsJobs come through the intake."""

    def __init__(self, world: EngineWorld) -> None:
        self.world = world
        self.intake = world.intake

    def bring(self, name: str, end: float) -> None:
        job_id = f"ns-{name}".ljust(8, "0")
        self.world.cloud.jobs[job_id] = CloudJob(self.world.loop.now, end)
        metadata = {"uid": job_id, "namespace": "ns", "name": name, "resourceVersion": "1", "generation": 1}
        body = {"metadata": metadata, "spec": {"jobId": job_id}}
        self.world.api.objects[ObjectKey(EVS_JOB, "ns", name).path] = body
        self.intake.on_event(EVS_JOB, "ADDED", body)


@pytest.mark.parametrize("where", SEAMS)
def test_all_others_go_on_and_the_one_heals(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mend = broken_for_bad(monkeypatch, SEAMS[where])

    async def main(world: EngineWorld) -> None:
        house = House(world)
        world.connect("ns", token="t")
        taking = asyncio.create_task(house.intake.run())
        for number, name in enumerate(("bad", *GOOD)):
            house.bring(name, 20.0 + number)
        await world.run(BROKEN_FOR)
        for name in GOOD:
            told = world.told_at(name, "JobSucceeded")
            assert told is not None
            assert told < 30.0, name
        assert not taking.done()
        lines = [line for line in caplog.messages if "EvsJob ns/bad" in line]
        assert 1 <= len(lines) <= 20, lines
        assert not [line for line in caplog.messages if line not in lines]
        if where not in UNTOLD:
            said = [c["message"] for status in world.status_of("bad") for c in status["conditions"]]
            assert any("a fault of the operator (RuntimeError, see its log)" in message for message in said)
        mend()
        await world.run(400.0)
        taking.cancel()
        if where != "its transition is told":
            assert world.told_at("bad", "JobSucceeded") is not None

    in_world(main)


def test_a_fault_in_learning_from_one_finished_job_leaves_what_the_others_teach(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = warm_start._learn

    def faulty(durations: Durations, connection: str, job: Any) -> None:
        if job.name == "bad":
            raise RuntimeError("injected")
        real(durations, connection, job)

    monkeypatch.setattr(warm_start, "_learn", faulty)

    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        for name in ("bad", *GOOD):
            status = {
                "observedGeneration": 1,
                "jobId": f"ns-{name}".ljust(8, "0"),
                "jobType": "createVolume",
                "beginTime": "2026-02-03T09:15:00.000Z",
                "endTime": "2026-02-03T09:15:30.000Z",
                "completionTime": "2026-02-03T09:15:31Z",
            }
            world.add(name, CloudJob(0.0, 1.0), status=status)
        world.warm_start.learn(world.durations, world.registry)
        assert "EvsJob ns/bad: nothing learned" in caplog.messages
        key = next(iter(world.registry)).uid
        assert world.durations.law(key, "createVolume").jobs == pytest.approx(3.0, abs=0.1)

    in_world(main)


def test_what_is_no_object_is_logged_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: EngineWorld) -> None:
        house = House(world)
        for body in (
            {},
            {"metadata": 7},
            {"metadata": {"name": "x"}},
            {"metadata": {"uid": 7}, "spec": []},
            [],
            None,
            7,
        ):
            house.intake.on_event("EvsJob", "ADDED", cast(Any, body))
        assert len(world.store) == 0

    in_world(main)
    assert all("could not process an event" in line for line in caplog.messages)
    assert len(caplog.messages) == 7


def test_an_object_that_cannot_be_read_again_is_tried_with_growing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    mend = broken_for_bad(monkeypatch, (store, "parse_spec"))

    async def main(world: EngineWorld) -> None:
        house = House(world)
        away = KubeError(503, "the API server is away")
        world.api.refuse = lambda request: away if request.method == "GET" else None
        taking = asyncio.create_task(house.intake.run())
        house.bring("bad", 20.0)
        mend()
        await asyncio.sleep(1000.0)
        taking.cancel()
        assert 6 <= world.api.asked(ObjectKey(EVS_JOB, "ns", "bad").path) <= 12

    in_world(main)


def test_the_spec_error_type_is_what_parse_spec_declares() -> None:
    assert issubclass(api_spec.SpecError, ValueError)
