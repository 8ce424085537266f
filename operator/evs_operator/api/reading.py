"""Reads an EvsJob or a connection as the API server returned it: for programs that wait for a job or go on after it.

The object is what any client gives: a dict, or a mapping such as the body in a kopf handler. Fields and conditions of
other writers or newer versions are passed over, and what is missing or malformed reads as absent. A status that
speaks of an older generation of the spec counts as not yet there: it may be the result of another job.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, cast

from .conditions import Condition, parse_timestamp
from .reasons import Reason
from .status import Failure, SubJobStatus

Object = Mapping[str, Any]


class JobState(StrEnum):
    """How an EvsJob stands, in one word; `status.state` holds it for tools that compare a single field."""

    PENDING = "Pending"
    """The operator has not looked at this spec yet, or could not ask for the job so far."""
    IN_PROGRESS = "InProgress"
    """The job goes on, or cannot be seen for a reason that passes."""
    ACTION_REQUIRED = "ActionRequired"
    """A person must act: credentials, connection, project, job id, deadline. The job itself may go on."""
    COMPLETE = "Complete"
    FAILED = "Failed"
    """The job failed, or succeeded with a failed sub-job."""
    SUSPENDED = "Suspended"


_DECISIVE: Final = (
    ("Complete", JobState.COMPLETE),
    ("Failed", JobState.FAILED),
    ("Suspended", JobState.SUSPENDED),
    ("Stalled", JobState.ACTION_REQUIRED),
)
"""The first of these conditions that is True says the state; if none is, the job is in progress."""


def state(obj: Object) -> JobState:
    """Return the state of an EvsJob, read from its conditions."""
    if not is_current(obj):
        return JobState.PENDING
    return state_said(reason(obj), [kind for kind, _ in _DECISIVE if _is(obj, kind)])


def state_said(ready: str, true: Collection[str]) -> JobState:
    """Return the state that conditions say: the reason of `Ready`, and the types of those that are True."""
    if ready in ("", Reason.PENDING):
        return JobState.PENDING
    for kind, decided in _DECISIVE:
        if kind in true:
            return decided
    return JobState.IN_PROGRESS


def is_current(obj: Object) -> bool:
    """Return whether the status speaks of the spec as it is now."""
    generation = _mapping(obj.get("metadata")).get("generation")
    observed = _status(obj).get("observedGeneration")
    if not isinstance(observed, int) or observed < 0:
        return False
    return not isinstance(generation, int) or observed >= generation


def is_complete(obj: Object) -> bool:
    """Return whether the job succeeded, all its sub-jobs included."""
    return is_current(obj) and _is(obj, "Complete")


def is_failed(obj: Object) -> bool:
    """Return whether the job failed, or succeeded with a failed sub-job. It will not succeed any more."""
    return is_current(obj) and _is(obj, "Failed")


def is_finished(obj: Object) -> bool:
    """Return whether the job ended, either way."""
    return is_complete(obj) or is_failed(obj)


def needs_action(obj: Object) -> bool:
    """Return whether a person must act before the operator can tell more; a job that failed is not meant."""
    return is_current(obj) and _is(obj, "Stalled") and not _is(obj, "Failed")


def is_ready(obj: Object) -> bool:
    """Return whether `Ready` is True: of an EvsJob that it succeeded, of a connection that its credential works."""
    return is_current(obj) and _is(obj, "Ready")


def condition(obj: Object, kind: str) -> Condition | None:
    """Return the condition of that type, None where it is absent."""
    conditions = _status(obj).get("conditions")
    for found in conditions if isinstance(conditions, list) else ():
        if isinstance(found, Mapping) and found.get("type") == kind:
            return cast(Condition, found)
    return None


def reason(obj: Object, kind: str = "Ready") -> str:
    """Return the reason of a condition, "" where it is absent; compare it with members of Reason."""
    return _text(condition(obj, kind), "reason")


def message(obj: Object, kind: str = "Ready") -> str:
    """Return the message of a condition: one line for people, "" where it is absent. Never decide by it."""
    return _text(condition(obj, kind), "message")


def volume_ids(obj: Object) -> tuple[str, ...]:
    """Return the ids of the volumes of the job and its sub-jobs, in the order of the API; the first 500."""
    ids = _status(obj).get("volumeIds")
    return tuple(item for item in ids if isinstance(item, str)) if isinstance(ids, list) else ()


def job_status(obj: Object) -> str:
    """Return the word of the API, such as RUNNING, "" before it is known. An open set: decide by `state()`."""
    return _text(_status(obj), "jobStatus")


def failure(obj: Object) -> Failure | None:
    """Return the failure that explains why the job failed; None where it did not, or not yet."""
    found = _status(obj).get("failure")
    return cast(Failure, found) if isinstance(found, Mapping) else None


def sub_jobs(obj: Object) -> tuple[SubJobStatus, ...]:
    """Return the sub-jobs that the status shows: failed ones first, at most 100; `subJobCounts` has the numbers."""
    found = _status(obj).get("subJobs")
    items = found if isinstance(found, list) else ()
    return tuple(cast(SubJobStatus, item) for item in items if isinstance(item, Mapping))


def begin_time(obj: Object) -> datetime | None:
    """Return when the job began, as the API says."""
    return _time(obj, "beginTime")


def end_time(obj: Object) -> datetime | None:
    """Return when the job ended, as the API says."""
    return _time(obj, "endTime")


def completion_time(obj: Object) -> datetime | None:
    """Return when the operator first saw the job finished."""
    return _time(obj, "completionTime")


def _is(obj: Object, kind: str) -> bool:
    return _text(condition(obj, kind), "status") == "True"


def _status(obj: Object) -> Mapping[str, Any]:
    return _mapping(obj.get("status"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(mapping: Mapping[str, Any] | Condition | None, key: str) -> str:
    value = _mapping(mapping).get(key)
    return value if isinstance(value, str) else ""


def _time(obj: Object, key: str) -> datetime | None:
    return parse_timestamp(_text(_status(obj), key))
