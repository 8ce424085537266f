"""What is worth an Event: the transition between two statuses, if there is one. Pure.

The writers call this with the status that was there and the one that they wrote. Because both are what the API
server holds, a restart repeats nothing, and a write that says the same again is none. Passing troubles, suspending
and progress have no Event: the conditions show them, and they may come and go with every poll.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from evs_operator.api.conditions import Condition, condition_of
from evs_operator.api.reading import JobState
from evs_operator.api.reasons import ConnectionReason
from evs_operator.api.status import EvsJobStatus

from .phase import phase_of

NOTE_BYTES = 1024
"""The API server refuses a longer note."""


class Action(StrEnum):
    """Action of an Event: the transition, for programs."""

    STARTED = "Started"
    FINISHED = "Finished"
    FAILED = "Failed"
    ACTION_REQUIRED = "ActionRequired"
    RECOVERED = "Recovered"
    VERIFIED = "Verified"
    OUT_OF_REACH = "OutOfReach"


@dataclass(frozen=True, slots=True)
class Transition:
    """What an Event says; `note` is one line of at most 1024 bytes, redacted as the status is."""

    action: Action
    reason: str
    note: str

    @property
    def may_repeat(self) -> bool:
        """Return whether the same transition of the same object may come again; a job starts and ends once."""
        return self.action in (Action.ACTION_REQUIRED, Action.RECOVERED, Action.VERIFIED, Action.OUT_OF_REACH)

    @property
    def type(self) -> Literal["Normal", "Warning"]:
        """Type of the Event."""
        return "Warning" if self.action in (Action.FAILED, Action.ACTION_REQUIRED, Action.OUT_OF_REACH) else "Normal"


def transition_of_job(previous: EvsJobStatus, status: EvsJobStatus, *, anew: bool = False) -> Transition | None:
    """Return the transition of an EvsJob, None for a write without one; `anew`: `previous` is of another job."""
    if anew or previous.get("jobId") != status.get("jobId"):
        previous = {}
    before, after = previous.get("conditions", []), status.get("conditions", [])
    ready = condition_of(after, "Ready")
    if ready is None:
        return None
    reason, message = ready["reason"], ready["message"]
    match phase_of(status).job_state:
        case JobState.COMPLETE:
            return None if _is(before, "Complete") else Transition(Action.FINISHED, reason, _note(message))
        case JobState.FAILED:
            hint = status.get("failure", {}).get("hint", "")
            return None if _is(before, "Failed") else Transition(Action.FAILED, reason, _note(message, hint))
        case JobState.ACTION_REQUIRED:
            return _action_required(before, reason, message)
        case JobState.IN_PROGRESS if _is(after, "Observed"):
            return _in_progress(previous, reason, message)
        case _:
            return None


def _in_progress(previous: EvsJobStatus, reason: str, message: str) -> Transition | None:
    """Return that a job was seen for the first time, or again after a person had to act."""
    before = previous.get("conditions", [])
    if _is(before, "Stalled") or _was_stalled_while_unseen(before):
        return Transition(Action.RECOVERED, reason, _note(f"no longer stalled: {message}"))
    return None if "jobStatus" in previous else Transition(Action.STARTED, reason, _note(message))


def transition_of_connection(before: Iterable[Condition], after: Iterable[Condition]) -> Transition | None:
    """Return the transition of a connection: its credential cannot be used, or was accepted, also once more."""
    before, after = list(before), list(after)
    ready = condition_of(after, "Ready")
    if ready is None:
        return None
    if _is(after, "Stalled"):
        return _action_required(before, ready["reason"], ready["message"])
    if ready["status"] != "True" or _is(before, "Ready") or _was_ready_before_it_was_out_of_reach(before):
        return None
    return Transition(Action.VERIFIED, ready["reason"], _note(ready["message"]))


def out_of_reach(reason: str, message: str) -> Transition:
    """Return that an endpoint which answered before has been out of reach for minutes."""
    return Transition(Action.OUT_OF_REACH, reason, _note(message))


def _action_required(before: Iterable[Condition], reason: str, message: str) -> Transition | None:
    last = condition_of(before, "Stalled")
    if last is not None and last["reason"] == reason:
        return None
    return Transition(Action.ACTION_REQUIRED, reason, _note(message))


def _was_ready_before_it_was_out_of_reach(before: Iterable[Condition]) -> bool:
    """Return whether a connection only comes back from a passing trouble: Ready and Reconciling moved together."""
    ready, reconciling = condition_of(before, "Ready"), condition_of(before, "Reconciling")
    if ready is None or reconciling is None or ready["reason"] != ConnectionReason.UNREACHABLE:
        return False
    return ready["lastTransitionTime"] == reconciling["lastTransitionTime"]


def _was_stalled_while_unseen(before: Iterable[Condition]) -> bool:
    """Return whether a person had to act before a passing trouble took the word: Ready moved after sight was lost."""
    observed, ready = condition_of(before, "Observed"), condition_of(before, "Ready")
    if observed is None or ready is None or observed["status"] != "False":
        return False
    return ready["lastTransitionTime"] > observed["lastTransitionTime"]


def _is(conditions: Iterable[Condition], kind: str) -> bool:
    found = condition_of(conditions, kind)
    return found is not None and found["status"] == "True"


def _note(message: str, hint: str = "") -> str:
    """Join message and hint; where both are too long for a note, the message is cut so that the hint is kept."""
    tail = f" {hint}" if hint else ""
    if tail and not message.endswith((".", "!", ")", "…")):
        message += "."
    room = NOTE_BYTES - len(tail.encode())
    raw = message.encode("utf-8", "replace")
    if len(raw) > room:
        message = raw[: room - len("…".encode())].decode("utf-8", "ignore") + "…"
    return message + tail
