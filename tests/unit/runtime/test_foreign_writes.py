"""A status that somebody else overwrote is put right within a minute, and the log says who it was, once a minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from evs_operator.api.names import FIELD_MANAGER
from evs_operator.evs import errors
from evs_operator.jobs.entry import Entry
from evs_operator.kube.foreign_writes import ForeignWrites, last_writer
from support.api_server import times
from support.engine_world import CloudJob, EngineWorld, in_world

FOREVER = 1e9


class House:
    """A world with an intake, and somebody else who writes statuses."""

    def __init__(self, world: EngineWorld) -> None:
        self.world = world
        self.intake = world.intake

    def stored(self, entry: Entry) -> dict[str, Any]:
        """Return the status that was written last."""
        return dict(self.world.status_of(entry.name)[-1])

    def overwrite(self, entry: Entry, status: Mapping[str, Any], manager: str = "kubectl-edit") -> None:
        """Have somebody write a status, as the watch brings it."""
        body = {**self.world.body_of(entry), "status": status}
        body["metadata"]["managedFields"] = [
            {"manager": FIELD_MANAGER, "subresource": "status", "time": "2026-02-03T09:15:00Z"},
            {"manager": manager, "subresource": "status", "time": "2026-02-03T09:16:00Z"},
            {"manager": "kubectl-create", "time": "2026-02-03T09:17:00Z"},
        ]
        self.intake.on_event("EvsJob", "MODIFIED", body)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


DAMAGE: dict[str, Any] = {
    "another word": lambda status: {**status, "jobStatus": "FAIL"},
    "a field less": lambda status: {key: value for key, value in status.items() if key != "jobType"},
    "no conditions": lambda status: {**status, "conditions": []},
    "a condition turned": lambda status: {
        **status,
        "conditions": [{**c, "status": "True"} if c["type"] == "Ready" else c for c in status["conditions"]],
    },
    "nothing left": lambda status: {},
    "a forged end": lambda status: {**status, "completionTime": "2026-02-03T09:15:00Z", "jobStatus": "SUCCESS"},
    "a type that is none": lambda status: {**status, "jobStatus": 7},
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("suspended", [False, True], ids=["polled", "suspended"])
def test_a_status_that_was_overwritten_is_put_right_at_once_without_a_call(
    damage: str, suspended: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        house = House(world)
        entry = world.add("job", CloudJob(0.0, FOREVER))
        await world.run(120.0)
        if suspended:
            world.change(entry, suspend=True)
            await world.run(5.0)
        right, calls, writes = house.stored(entry), len(world.cloud.calls), len(world.api.writes)
        house.overwrite(entry, DAMAGE[damage](right))
        await world.run(1.0)
        assert house.stored(entry) == right
        assert len(world.api.writes) == writes + 1
        assert len(world.cloud.calls) <= calls + 1
        assert warnings(caplog) == [
            "EvsJob ns/job: its status was overwritten by 'kubectl-edit': it is put right, let nothing else write to it"
        ]
        await world.run(300.0)
        assert len(world.api.writes) == writes + 1
        assert not entry.seen.finished

    in_world(main)


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name != "a type that is none"])
def test_the_verdict_of_a_finished_job_that_was_overwritten_is_asked_for_again(
    damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        house = House(world)
        entry = world.add("job", CloudJob(0.0, 10.0))
        await world.run(60.0)
        right, calls = house.stored(entry), len(world.cloud.calls)
        assert entry.seen.finished
        world.store.get(entry.uid)
        house.overwrite(entry, DAMAGE[damage](right) if damage != "a forged end" else {**right, "failReason": "forged"})
        await world.run(5.0)
        now = house.stored(entry)
        for field in ("jobStatus", "jobType", "completionTime", "beginTime", "endTime", "duration"):
            assert now.get(field) == right.get(field), field
        assert {c["type"]: c["status"] for c in now["conditions"]} == {
            c["type"]: c["status"] for c in right["conditions"]
        }
        assert len(world.cloud.calls) == calls + 1
        assert entry.seen.finished
        assert "overwritten by 'kubectl-edit'" in warnings(caplog)[0]
        await world.run(400.0)
        assert len(world.cloud.calls) == calls + 1

    in_world(main)


def test_a_finished_job_whose_record_is_gone_is_not_asked_for_for_ever() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        house = House(world)
        entry = world.add("job", CloudJob(0.0, 10.0))
        await world.run(60.0)
        right, calls = house.stored(entry), len(world.cloud.calls)
        world.cloud.refuse = lambda call: errors.JobMissing("no such job", http_status=404)
        house.overwrite(entry, {**right, "jobType": "forged"})
        await world.run(3600.0)
        assert len(world.cloud.calls) <= calls + 2

    in_world(main)


def test_two_that_overwrite_each_other_do_not_do_so_for_all_they_can(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        house = House(world)
        entry = world.add("job", CloudJob(0.0, FOREVER))
        await world.run(120.0)
        right = house.stored(entry)
        writes, calls = len(world.api.writes), len(world.cloud.calls)
        for number in range(600):
            if house.world.store.get(entry.uid) is not None and entry.seen.ours is None:
                house.overwrite(entry, {**right, "jobStatus": f"FAIL{number}"}, "rival")
            await world.run(1.0)
        polls = len(world.cloud.calls) - calls  # which put it right too
        assert 5 <= len(world.api.writes) - writes <= polls + 22
        assert 5 <= len(warnings(caplog)) <= 11
        assert "more before" in warnings(caplog)[1]

    in_world(main)


def test_another_evs_operator_is_told_and_what_it_wrote_is_looked_at_within_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        house = House(world)
        entry = world.add(
            "job", CloudJob(0.0, FOREVER), spec={"polling": {"minIntervalSeconds": 3600, "maxIntervalSeconds": 3600}}
        )
        await world.run(120.0)
        right = house.stored(entry)
        ready = [
            {**c, "reason": "EndpointNotAllowed", "status": "False"}
            for c in right["conditions"]
            if c["type"] == "Ready"
        ]
        house.overwrite(entry, {**right, "conditions": ready}, FIELD_MANAGER)
        await world.run(61.0)
        assert {c["reason"] for c in house.stored(entry)["conditions"]} == {c["reason"] for c in right["conditions"]}
        assert "written by another evs-operator: let only one work on a namespace, or on all" in warnings(caplog)[0]

    in_world(main)


def test_what_this_process_wrote_is_nobody_elses_however_its_answer_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        house = House(world)
        world.api.lose = times(1)
        entry = world.add("job", CloudJob(0.0, FOREVER))
        await world.run(1.0)
        house.overwrite(entry, world.api.writes[0].status, FIELD_MANAGER)
        await world.run(60.0)
        assert not [line for line in warnings(caplog) if "status was" in line]

    in_world(main)


def test_conditions_and_fields_of_others_are_no_foreign_write(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        house = House(world)
        entry = world.add("job", CloudJob(0.0, FOREVER))
        await world.run(60.0)
        right, writes = house.stored(entry), len(world.api.writes)
        theirs = {"type": "Approved", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "x"}
        house.overwrite(entry, {**right, "theirs": 1, "conditions": [*right["conditions"], theirs]})
        await world.run(60.0)
        assert len(world.api.writes) == writes
        assert warnings(caplog) == []

    in_world(main)


def test_the_last_writer_of_a_status_is_named_and_cut() -> None:
    assert last_writer({}) == "somebody"
    assert last_writer({"managedFields": 7}) == "somebody"
    assert last_writer({"managedFields": [7, {"subresource": "status", "manager": "x" * 200}]}) == "x" * 62 + "…"
    same = [{"subresource": "status", "manager": name, "time": "t"} for name in (FIELD_MANAGER, "a")]
    assert last_writer({"managedFields": same}) == "a"


async def test_warnings_are_counted_and_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    foreign = ForeignWrites(lambda: now[0], logging.getLogger("test"))
    for number in range(100):
        foreign.met(f"EvsJob ns/{number}", {})
        now[0] += 1.0
    assert len(caplog.messages) == 2
    assert caplog.messages[1].endswith("(59 more before)")
    await asyncio.sleep(0)
