"""Whatever an object of the cluster looks like: it comes through the loops without a fault, others beside it too."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evs_operator.api.names import REQUESTED_AT
from evs_operator.api.status import EvsJobStatus, SubJobCounts, SubJobStatus
from evs_operator.jobs.entry import Entry
from evs_operator.observe.metrics import Snapshot
from evs_operator.runtime import snapshot
from support.engine_world import CloudJob, EngineWorld, in_world

ID = "ns-any0000"
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["True", "Ready", "Stalled", "SUCCESS", "JobSucceeded", ID, "0001-01-01T00:00:00+14:00"])
    | st.sampled_from(["9999-12-31T23:59:59-14:00", "2026-02-03T09:15:00Z", "EvsConnection", "default"])
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)
CONDITION = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(["type", "status", "reason", "message", "lastTransitionTime", "observedGeneration"], LEAVES),
)
SUB_JOB = st.fixed_dictionaries({}, optional=dict.fromkeys(SubJobStatus.__annotations__, LEAVES | JSON))
STATUS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(EvsJobStatus.__annotations__, LEAVES),
        "conditions": st.lists(CONDITION | LEAVES, max_size=5) | LEAVES,
        "subJobs": st.lists(SUB_JOB | LEAVES, max_size=3) | LEAVES,
        "subJobCounts": st.fixed_dictionaries({}, optional=dict.fromkeys(SubJobCounts.__annotations__, LEAVES)),
    },
)
SPEC = st.fixed_dictionaries(
    {"jobId": st.just(ID)},
    optional={
        **dict.fromkeys(["projectId", "suspend", "deadlineSeconds", "ttlSecondsAfterFinished"], LEAVES | JSON),
        "connectionRef": st.fixed_dictionaries({}, optional={"kind": LEAVES, "name": LEAVES}) | JSON,
        "polling": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(["minIntervalSeconds", "maxIntervalSeconds"], LEAVES | st.integers(1, 2**60))
        ),
    },
)
METADATA = st.fixed_dictionaries(
    {"uid": st.just(ID), "namespace": st.just("ns"), "name": st.just("any")},
    optional={
        "generation": LEAVES,
        "resourceVersion": LEAVES,
        "annotations": st.fixed_dictionaries({}, optional={REQUESTED_AT: LEAVES | JSON}) | LEAVES,
        "labels": JSON,
        "managedFields": JSON,
    },
)
BODY = st.fixed_dictionaries({"metadata": METADATA}, optional={"spec": SPEC | JSON, "status": STATUS | JSON})


def snapshot_of(world: EngineWorld) -> Snapshot:
    return snapshot.take_snapshot(world.parts, world.clock, leads=True, works=True)


@settings(
    max_examples=150,
    suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture],
)
@given(first=BODY, second=BODY)
def test_any_evs_job_comes_through_without_a_fault_and_another_is_followed_beside_it(
    caplog: pytest.LogCaptureFixture, first: dict[str, Any], second: dict[str, Any]
) -> None:
    caplog.clear()

    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="t")
        world.cloud.jobs[ID] = CloudJob(0.0, 5.0)
        world.listing = True
        intake = world.intake
        intake.on_event("EvsJob", None, first)
        world.add("good", CloudJob(0.0, 5.0))
        world.warm_start.learn(world.durations, world.registry)
        await world.run(4.0)
        second["metadata"]["resourceVersion"] = str(world.api.version + 1)
        intake.on_event("EvsJob", "MODIFIED", second)
        assert snapshot_of(world).jobs
        await world.run(30.0)
        assert world.told_at("good", "JobSucceeded") is not None

    in_world(main)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@settings(max_examples=200)
@given(body=st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JSON | METADATA) | JSON)
def test_what_is_no_object_at_all_ends_nothing(body: Any) -> None:
    async def main(world: EngineWorld) -> None:
        world.intake.on_event("EvsJob", "ADDED", body)

    in_world(main)


def test_an_object_that_cannot_be_counted_leaves_the_others_in_the_metrics(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = snapshot._phase

    def faulty(entry: Entry) -> object:
        if entry.name == "bad":
            raise RuntimeError("injected")
        return real(entry)

    monkeypatch.setattr(snapshot, "_phase", faulty)

    async def main(world: EngineWorld) -> None:
        for name in ("bad", "one", "two"):
            world.add(name, CloudJob(0.0, 5.0))
        assert sum(snapshot_of(world).jobs.values()) == 2
        assert "bad: could not be counted" in caplog.messages

    in_world(main)
