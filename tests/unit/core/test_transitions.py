"""Which writes of a status are worth an Event, and what it says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.api.conditions import Condition
from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.api.spec import parse_spec
from evs_operator.api.status import EvsJobStatus
from evs_operator.core.connection_status import connection_status
from evs_operator.core.decide import Subject, decide
from evs_operator.core.observation import JobSeen, Observation, Trouble
from evs_operator.core.transitions import NOTE_BYTES, Action, transition_of_connection, transition_of_job
from evs_operator.evs.job import parse_job
from support.jobs import JOB_ID, batch, body, sub

T0 = datetime(2026, 2, 3, 9, 15, 2, tzinfo=UTC)
REFUSED = Trouble(Reason.UNAUTHORIZED, "HTTP 401 APIGW.0301", "decrypt token fail")
BUSY = Trouble(Reason.SERVER_ERROR, "HTTP 503")
MISSING = Trouble(Reason.JOB_NOT_FOUND, "HTTP 400 Common.0011")


def seen(word: str, **fields: Any) -> JobSeen:
    return JobSeen(parse_job(body(word, **fields)))


INIT, RUNNING, SUCCESS = seen("INIT", entities={}), seen("RUNNING"), seen("SUCCESS")
FAIL = seen("FAIL", error_code="EVS.2024", fail_reason="volume is error!")


def told(*observations: Observation | None, **spec: Any) -> list[str]:
    """Return `type action reason` of the Events of a history, one step each ten seconds."""
    status: EvsJobStatus = {}
    found = []
    for number, observation in enumerate(observations):
        who = Subject(1, parse_spec({"jobId": JOB_ID, **spec}), T0)
        after = decide(who, status, observation, T0 + timedelta(seconds=10 * number))
        if transition := transition_of_job(status, after):
            found.append(f"{transition.type} {transition.action} {transition.reason}")
        status = after
    return found


STARTED, FINISHED = "Normal Started JobInitializing", "Normal Finished JobSucceeded"
ASK = "Warning ActionRequired Unauthorized"


@pytest.mark.parametrize(
    ("history", "events"),
    [
        ([INIT, INIT, RUNNING, RUNNING, SUCCESS, SUCCESS], [STARTED, FINISHED]),
        ([SUCCESS], [FINISHED]),
        ([INIT, FAIL, FAIL], [STARTED, "Warning Failed JobFailed"]),
        ([RUNNING, INIT, RUNNING], ["Normal Started JobRunning"]),
        ([BUSY, BUSY, INIT, BUSY, INIT, BUSY, RUNNING], [STARTED]),
        ([INIT, REFUSED, REFUSED], [STARTED, ASK]),
        ([REFUSED, RUNNING], [ASK, "Normal Recovered JobRunning"]),
        ([REFUSED, SUCCESS], [ASK, FINISHED]),
        (
            [INIT, REFUSED, INIT, REFUSED],
            [STARTED, ASK, "Normal Recovered JobInitializing", ASK],
        ),
        (
            [INIT, REFUSED, BUSY, BUSY, RUNNING],
            [STARTED, ASK, "Normal Recovered JobRunning"],
        ),
        (
            [REFUSED, Trouble(Reason.WRONG_PROJECT, "HTTP 400 Common.0018")],
            [ASK, "Warning ActionRequired WrongProject"],
        ),
        ([MISSING] * 7 + [MISSING] * 3, ["Warning ActionRequired JobNotFound"]),
        ([MISSING, INIT], [STARTED]),
        ([RUNNING, MISSING, MISSING], ["Normal Started JobRunning", "Warning ActionRequired JobRecordExpired"]),
    ],
)
def test_a_transition_is_told_once(history: list[Observation | None], events: list[str]) -> None:
    assert told(*history) == events


def test_a_deadline_is_told_once_and_so_is_the_late_end() -> None:
    events = told(RUNNING, RUNNING, RUNNING, RUNNING, SUCCESS, deadlineSeconds=15)
    assert events == ["Normal Started JobRunning", "Warning ActionRequired DeadlineExceeded", FINISHED]


def test_a_suspended_job_has_no_event() -> None:
    assert told(None, None, suspend=True) == []


UNFINISHED = st.lists(st.sampled_from([None, INIT, RUNNING, BUSY, REFUSED]), max_size=12)


@given(UNFINISHED, st.sampled_from([SUCCESS, FAIL]))
def test_the_same_observation_again_is_never_told_again(history: list[Observation | None], end: JobSeen) -> None:
    once = told(*history, end)
    twice = told(*(observation for observation in [*history, end] for _ in range(2)))
    assert once == twice
    assert sum(" Started " in event for event in once) <= 1
    assert sum(" Finished " in event or " Failed " in event for event in once) == 1


def test_another_job_is_told_anew() -> None:
    other = "ff80808292ab11f50193d0c1a5e40b99"
    done = decide(Subject(1, parse_spec({"jobId": JOB_ID}), T0), {}, SUCCESS, T0)
    again = decide(Subject(2, parse_spec({"jobId": other}), T0), done, seen("SUCCESS", job_id=other), T0)
    transition = transition_of_job(done, again)
    assert transition is not None
    assert transition.action is Action.FINISHED


def test_the_same_job_through_another_connection_is_told_anew() -> None:
    who = Subject(1, parse_spec({"jobId": JOB_ID}), T0)
    done = decide(who, {}, SUCCESS, T0)
    assert transition_of_job(done, done) is None
    transition = transition_of_job(done, done, anew=True)
    assert transition is not None
    assert transition.action is Action.FINISHED


def test_the_note_of_a_failure_says_what_failed_and_what_to_do() -> None:
    failed = sub(2, "FAIL", error_code="EVS.1042", fail_reason="volume gigabytes exceeded volume gigabytes quota!")
    who = Subject(1, parse_spec({"jobId": JOB_ID}), T0)
    status = decide(who, {}, JobSeen(parse_job(batch("FAIL", sub(1, "SUCCESS"), failed))), T0)
    transition = transition_of_job({}, status)
    assert transition is not None
    assert transition.note.startswith("1 of 2 sub-jobs failed: EVS.1042 volume gigabytes exceeded")
    assert transition.note.endswith(status["failure"]["hint"])


@pytest.mark.parametrize("text", ["x" * 5000, "卷创建失败" * 1000, "é" * 3000])
def test_a_note_fits_into_an_event_in_bytes_and_keeps_the_hint(text: str) -> None:
    who = Subject(1, parse_spec({"jobId": JOB_ID}), T0)
    status = decide(who, {}, FAIL, T0)
    status["conditions"][0]["message"] = text
    transition = transition_of_job({}, status)
    assert transition is not None
    assert NOTE_BYTES - 4 < len(transition.note.encode()) <= NOTE_BYTES
    assert transition.note.endswith(f"… {status['failure']['hint']}")


def connection_events(*reasons: ConnectionReason) -> Iterable[str]:
    conditions: list[Condition] = []
    for number, reason in enumerate(reasons):
        now = T0 + timedelta(seconds=number)
        after = connection_status(reason, "said so", generation=1, previous=conditions, now=now)["conditions"]
        if transition := transition_of_connection(conditions, after):
            yield f"{transition.type} {transition.action} {transition.reason}"
        conditions = after


def test_a_connection_tells_when_its_credential_breaks_and_when_it_is_accepted() -> None:
    new, good, bad = (
        ConnectionReason.NOT_YET_VERIFIED,
        ConnectionReason.CREDENTIALS_VALID,
        ConnectionReason.UNAUTHORIZED,
    )
    verified, refused = "Normal Verified CredentialsValid", ASK
    assert list(connection_events(new, good, bad, bad, new, good, good)) == [verified, refused, verified]


def test_a_connection_that_cannot_be_reached_for_a_while_tells_nothing() -> None:
    good, away = ConnectionReason.CREDENTIALS_VALID, ConnectionReason.UNREACHABLE
    assert list(connection_events(good, away, good, away, good)) == ["Normal Verified CredentialsValid"]


def test_a_connection_that_was_broken_before_it_was_out_of_reach_tells_when_it_is_accepted() -> None:
    bad, away, good = ConnectionReason.UNAUTHORIZED, ConnectionReason.UNREACHABLE, ConnectionReason.CREDENTIALS_VALID
    new = ConnectionReason.NOT_YET_VERIFIED
    verified, refused = "Normal Verified CredentialsValid", "Warning ActionRequired Unauthorized"
    assert list(connection_events(bad, away, good)) == [refused, verified]
    assert list(connection_events(new, away, good)) == [verified]
