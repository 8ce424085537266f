"""A status without the texts that came from outside, for when the API server refuses one with them. Pure.

What is left are our own words, numbers and times, and of the cloud's words those that are plain: a name that nobody
can refuse. The status writers ask; what the verdict is does not change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, cast

from evs_operator.api.conditions import Condition
from evs_operator.api.status import EvsJobStatus, Failure

LEFT_OUT: Final = "the API server refused the text that belongs here: see the operator's log"
"""Message of a condition, or note of an Event, whose own could not be written."""
_PLAIN: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z _.:/+-]{0,127}")
_OURS: Final = frozenset(
    {
        "observedGeneration",
        "state",
        "connection",
        "jobId",
        "projectId",
        "beginTime",
        "endTime",
        "duration",
        "estimatedCompletionTime",
        "observationStartTime",
        "completionTime",
        "subJobCounts",
        "progress",
    }
)
_WORDS: Final = frozenset({"jobStatus", "jobType", "errorCode"})
_FAILURE: Final = frozenset({"code", "category", "hint", "jobId"})


def plain_status(status: EvsJobStatus, *, request: bool) -> EvsJobStatus:
    """Return the status without sub-jobs, entities and messages; `request` keeps the echo of `requestedAt`."""
    kept: dict[str, object] = {
        key: value
        for key, value in status.items()
        if key in _OURS or (key in _WORDS and _is_plain(value)) or (request and key == "lastHandledReconcileAt")
    }
    if "volumeIds" in status:
        kept["volumeIds"] = [volume_id for volume_id in status["volumeIds"] if _is_plain(volume_id)]
    if "failure" in status:
        kept["failure"] = _plain_failure(status["failure"])
    if "conditions" in status:
        kept["conditions"] = plain_conditions(status["conditions"])
    return cast(EvsJobStatus, kept)


def plain_conditions(conditions: Iterable[Condition]) -> list[Condition]:
    """Return conditions whose messages say that their own were refused; all else of them is ours."""
    return [{**condition, "message": LEFT_OUT} for condition in conditions]


def _plain_failure(failure: Failure) -> Failure:
    kept = {key: value for key, value in failure.items() if key in _FAILURE and _is_printable(value)}
    return cast(Failure, kept)


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and _PLAIN.fullmatch(value) is not None


def _is_printable(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()
