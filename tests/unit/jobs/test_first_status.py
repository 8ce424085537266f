"""What an EvsJob says before its first call: nothing for two seconds, and then what it waits for and until when.

Virtual time, the real engine.
"""

from __future__ import annotations

import re

import pytest

from evs_operator.api.conditions import condition_of
from evs_operator.core.decide import decide
from evs_operator.evs import errors
from evs_operator.jobs.store import Store
from support.crds import default_status
from support.engine_world import Call, CloudJob, EngineWorld, in_world

LONG = CloudJob(0.0, 1e6)


def first_words(world: EngineWorld, name: str) -> tuple[str, str]:
    """Return reason and message of the first status that an EvsJob got."""
    ready = condition_of(world.status_of(name)[0]["conditions"], "Ready")
    assert ready is not None
    return ready["reason"], ready["message"]


def test_a_job_that_is_asked_for_within_two_seconds_gets_no_status_before_the_answer() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=5, burst=1)
        for number in range(8):
            world.add(f"job-{number}", LONG)
        await world.run(10.0)
        assert {first_words(world, f"job-{number}")[0] for number in range(8)} == {"JobRunning"}

    in_world(main)


def test_a_job_that_waits_for_the_budget_says_so_once_and_is_asked_for_in_its_turn() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=1, burst=1)
        for number in range(20):
            world.add(f"job-{number}", LONG, spec={"polling": {"minIntervalSeconds": 3600, "maxIntervalSeconds": 3600}})
        await world.run(30.0)
        asked = {call.job_id: call.at for call in world.cloud.calls}
        assert len(world.cloud.calls) == 20, "each waits for one call, and the first status costs none"
        for number in range(4, 20):
            statuses = [s["state"] for s in world.status_of(f"job-{number}")]
            assert statuses == ["Pending", "InProgress"]
            told = world.told_at(f"job-{number}", "Pending")
            assert told is not None
            assert 2.0 <= told <= 3.5
            reason, message = first_words(world, f"job-{number}")
            assert reason == "Pending"
            assert re.fullmatch(
                r"waiting for the first call, expected by \S+Z: \d+ EvsJobs wait for the calls of "
                r"EvsConnection ns/default, at most 1 a second",
                message,
            )
            assert asked[f"ns-job-{number}".ljust(8, "0")] <= 21.0

    in_world(main)


def test_the_first_status_is_a_job_in_progress_that_nobody_has_observed() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one", rate=1, burst=1)
        for number in range(20):
            world.add(f"job-{number}", LONG, status=default_status("EvsJob"))
        await world.run(4.0)
        status = world.status_of("job-19")[-1]
        says = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
        assert says == {
            "Ready": ("Unknown", "Pending"),
            "Complete": ("False", "Pending"),
            "Failed": ("False", "Pending"),
            "Reconciling": ("True", "Pending"),
        }
        assert status["connection"] == {"kind": "EvsConnection", "name": "default"}
        assert status["observedGeneration"] == 1

    in_world(main)


def test_a_job_that_waits_for_an_endpoint_that_hangs_says_so_after_ten_seconds() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        world.cloud.hung.add("one")
        for number in range(12):
            world.add(f"job-{number}", LONG)
        await world.run(15.0)
        told = world.told_at("job-11", "Pending")
        assert told is not None
        assert 10.0 <= told <= 12.5
        assert first_words(world, "job-11")[1] == (
            "waiting for the first call: earlier calls of EvsConnection ns/default have not been answered yet"
        )

    in_world(main)


def test_a_job_that_waits_for_the_end_of_a_pause_says_until_when() -> None:
    def throttled(call: Call) -> errors.CloudError:
        error = errors.RateLimited("throttled")
        error.retry_after = 60.0
        return error

    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        world.cloud.refuse = throttled
        world.add("first", LONG)
        await world.run(1.0)
        world.add("second", LONG)
        await world.run(5.0)
        reason, message = first_words(world, "second")
        assert reason == "Pending"
        assert re.fullmatch(r"waiting for the first call: the cloud asked for a pause \(HTTP 429\) until \S+Z", message)

    in_world(main)


@pytest.mark.parametrize(
    "edit",
    [
        {"jobId": "another-job-id"},
        {"projectId": "f" * 32},
        {"connectionRef": {"kind": "ClusterEvsConnection", "name": "other"}},
    ],
    ids=lambda edit: next(iter(edit)),
)
def test_a_result_of_another_job_project_or_connection_counts_for_nothing_after_a_restart(
    edit: dict[str, object],
) -> None:
    done = {
        "observedGeneration": 1,
        "jobId": "the-job-id",
        "projectId": "0" * 32,
        "connection": {"kind": "EvsConnection", "name": "default"},
        "completionTime": "2026-02-03T09:15:02Z",
    }
    metadata = {"uid": "u", "namespace": "ns", "name": "job", "resourceVersion": "1", "generation": 2}

    def finished(**spec: object) -> bool:
        body = {"metadata": metadata, "spec": {"jobId": "the-job-id", **spec}, "status": done}
        entry, _ = Store(lambda: 0.0).apply(None, body)
        assert entry is not None
        return entry.seen.finished

    assert finished()
    assert finished(projectId="0" * 32, connectionRef={"name": "default"})
    assert not finished(**edit)


def test_a_look_at_a_job_of_which_nothing_is_known_writes_nothing() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token="one")
        entry = world.add("job", LONG)
        subject = world.writer.subject_of(entry, None)
        previous = default_status("EvsJob")
        assert decide(subject, previous, None, world.clock.wall()) is previous  # type: ignore[arg-type]

    in_world(main)
