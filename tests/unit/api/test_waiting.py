"""When a wait ends, and with which code: decided by states, deletions and times alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.api import ExitCode, JobState, JobWait, exit_code, next_decision

_STATES = Path(__file__).parents[2] / "golden" / "states"
_OF = {
    JobState.PENDING: "pending",
    JobState.IN_PROGRESS: "job-running",
    JobState.ACTION_REQUIRED: "unauthorized",
    JobState.COMPLETE: "job-succeeded",
    JobState.FAILED: "job-failed",
    JobState.SUSPENDED: "suspended",
}
_OPEN = sorted(set(JobState) - {JobState.COMPLETE, JobState.FAILED})


def _obj(state: JobState, uid: str = "one") -> dict[str, Any]:
    obj: dict[str, Any] = json.loads((_STATES / f"{_OF[state]}.json").read_text())
    return {**obj, "metadata": {**obj["metadata"], "uid": uid}}


def _after(*states: JobState, every: float = 1.0) -> JobWait:
    wait = JobWait()
    for number, state in enumerate(states):
        wait = wait.seen(_obj(state), number * every)
    return wait


@pytest.mark.parametrize("state", _OPEN)
def test_a_wait_goes_on_while_the_job_does(state: JobState) -> None:
    assert exit_code([_after(state)], 9.0) is None


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([JobState.COMPLETE], ExitCode.COMPLETE),
        ([JobState.FAILED], ExitCode.FAILED),
        ([JobState.COMPLETE, JobState.COMPLETE], ExitCode.COMPLETE),
        ([JobState.COMPLETE, JobState.FAILED], ExitCode.FAILED),
        ([JobState.FAILED, JobState.IN_PROGRESS], None),
        ([JobState.COMPLETE, JobState.SUSPENDED], None),
    ],
)
def test_a_wait_for_several_ends_once_all_have_ended(states: list[JobState], code: ExitCode | None) -> None:
    assert exit_code([_after(state) for state in states], 5.0) == code


def test_a_person_must_act_once_the_state_lasted_ten_seconds() -> None:
    wait = _after(JobState.IN_PROGRESS, JobState.ACTION_REQUIRED, JobState.ACTION_REQUIRED)
    assert exit_code([wait], 10.9) is None
    assert next_decision([wait]) == 11.0
    assert exit_code([wait], 11.0) is ExitCode.ACTION_REQUIRED


def test_a_state_that_heals_in_between_begins_to_count_anew() -> None:
    healed = _after(JobState.ACTION_REQUIRED, JobState.IN_PROGRESS, JobState.ACTION_REQUIRED, every=6.0)
    assert exit_code([healed], 21.9) is None
    assert exit_code([healed], 22.0) is ExitCode.ACTION_REQUIRED


def test_whoever_keeps_waiting_is_not_ended_by_a_persons_turn() -> None:
    wait = _after(JobState.ACTION_REQUIRED)
    assert exit_code([wait], 1e6, patience=None) is None
    assert next_decision([wait], patience=None) is None
    assert exit_code([wait], 1e6, patience=None, deadline=1e6) is ExitCode.TIME_OVER


def test_time_is_over_at_the_deadline_unless_all_have_ended() -> None:
    assert exit_code([_after(JobState.IN_PROGRESS)], 59.9, deadline=60.0) is None
    assert exit_code([_after(JobState.IN_PROGRESS)], 60.0, deadline=60.0) is ExitCode.TIME_OVER
    assert exit_code([_after(JobState.FAILED)], 60.0, deadline=60.0) is ExitCode.FAILED
    assert next_decision([_after(JobState.IN_PROGRESS)], deadline=60.0) == 60.0


def test_one_that_is_deleted_before_its_end_ends_the_wait_at_once() -> None:
    gone = _after(JobState.IN_PROGRESS).deleted(_obj(JobState.IN_PROGRESS), 2.0)
    assert exit_code([_after(JobState.IN_PROGRESS), gone], 2.0) is ExitCode.GONE
    assert exit_code([_after(JobState.IN_PROGRESS).deleted(None, 2.0)], 2.0) is ExitCode.GONE


def test_a_deletion_that_brings_the_end_is_that_end() -> None:
    ended = _after(JobState.IN_PROGRESS).deleted(_obj(JobState.COMPLETE), 2.0)
    assert exit_code([ended], 2.0) is ExitCode.COMPLETE
    assert exit_code([_after(JobState.FAILED).deleted(None, 2.0)], 2.0) is ExitCode.FAILED


@pytest.mark.parametrize("state", list(JobState))
def test_a_namesake_is_not_followed(state: JobState) -> None:
    wait = _after(JobState.IN_PROGRESS).seen(_obj(state, "another"), 3.0)
    assert exit_code([wait], 3.0) is ExitCode.GONE
    assert exit_code([wait.seen(_obj(JobState.COMPLETE), 4.0)], 4.0) is ExitCode.GONE


def test_the_deletion_of_a_namesake_says_nothing_of_ours() -> None:
    wait = _after(JobState.IN_PROGRESS)
    assert wait.deleted(_obj(JobState.COMPLETE, "another"), 2.0) == wait


@given(st.lists(st.sampled_from(sorted(JobState)), max_size=8), st.sampled_from((JobState.COMPLETE, JobState.FAILED)))
def test_an_end_that_was_seen_stays_whatever_follows(later: list[JobState], end: JobState) -> None:
    wait = _after(end)
    for number, state in enumerate(later):
        wait = wait.seen(_obj(state), 10.0 + number)
        wait = wait.seen(_obj(state, "another"), 10.0 + number).deleted(None, 10.0 + number)
    assert wait == _after(end)


@given(st.lists(st.sampled_from(sorted(JobState)), min_size=1, max_size=5), st.floats(0, 30), st.floats(0, 30))
def test_a_decision_changes_at_the_time_that_was_said_and_not_before(
    states: list[JobState], now: float, deadline: float
) -> None:
    waits = [_after(state) for state in states]
    at = next_decision(waits, deadline=deadline)
    assert at is not None
    before = exit_code(waits, -1.0, deadline=deadline)
    if now < at:
        assert exit_code(waits, now, deadline=deadline) == before
    else:
        assert exit_code(waits, now, deadline=deadline) is not None
