"""When to stop waiting for EvsJobs, and with which exit code: for whoever waits on behalf of a person or a pipeline.

Pure: the caller watches, and hands in each object and each deletion with the time of its own clock, in seconds; the
zero of that clock does not matter. One `JobWait` holds what is known of one EvsJob, `exit_code` decides over all of
them, and `next_decision` says when the decision may change although nothing happens. Nothing here sleeps or asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from .reading import JobState, Object, state

PATIENCE_SECONDS: Final = 10.0
"""How long `ActionRequired` must last before a wait ends for it: a Secret that arrives late heals within seconds."""

_ENDED: Final = (JobState.COMPLETE, JobState.FAILED)


class ExitCode(IntEnum):
    """How a wait ended. USAGE and INTERRUPTED are never decided here: they belong to the program that waits."""

    COMPLETE = 0
    """All jobs succeeded."""
    FAILED = 1
    """All have ended, at least one failed."""
    USAGE = 2
    """The program could not do as it was asked: wrong flags, no permission, no cluster."""
    ACTION_REQUIRED = 3
    """A person must act, and the state lasted."""
    GONE = 4
    """An EvsJob was not found, or was deleted before it ended."""
    TIME_OVER = 124
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class JobWait:
    """What is known of one EvsJob that somebody waits for. An end that was seen stays, whatever comes after it."""

    uid: str = ""
    """Of the EvsJob that is waited for; "" until it has been seen."""
    state: JobState = JobState.PENDING
    since: float = 0.0
    """When that state was first seen, in seconds of the caller's clock."""
    gone: bool = False

    @property
    def ended(self) -> bool:
        """Whether the job ended, well or not."""
        return self.state in _ENDED

    def seen(self, obj: Object, now: float) -> JobWait:
        """Return what is known after the EvsJob of that name was read; one with another uid means that ours is gone."""
        if self.ended or self.gone:
            return self
        uid, found = _uid(obj), state(obj)
        if self.uid and uid != self.uid:
            return replace(self, gone=True)
        since = self.since if self.uid and found is self.state else now
        return JobWait(uid, found, since)

    def deleted(self, last: Object | None, now: float) -> JobWait:
        """Return what is known after the EvsJob is gone; `last` is its last content if known: it may have ended."""
        if last is not None and self.uid and _uid(last) != self.uid:
            return self
        known = self.seen(last, now) if last is not None else self
        return known if known.ended else replace(known, gone=True)


def exit_code(
    waits: Collection[JobWait], now: float, *, deadline: float | None = None, patience: float | None = PATIENCE_SECONDS
) -> ExitCode | None:
    """Return how the wait for all of these ends; None if it goes on.

    It ends at once if one is gone, or needs a person for `patience` seconds (None: for as long as it takes), otherwise
    once all have ended or `deadline` has come. `now` and `deadline` are times of the same clock as in JobWait.
    """
    if any(wait.gone for wait in waits):
        return ExitCode.GONE
    if all(wait.ended for wait in waits):
        failed = any(wait.state is JobState.FAILED for wait in waits)
        return ExitCode.FAILED if failed else ExitCode.COMPLETE
    if any(now >= end for end in _ends_of_patience(waits, patience)):
        return ExitCode.ACTION_REQUIRED
    return ExitCode.TIME_OVER if deadline is not None and now >= deadline else None


def next_decision(
    waits: Collection[JobWait], *, deadline: float | None = None, patience: float | None = PATIENCE_SECONDS
) -> float | None:
    """Return when `exit_code` may decide otherwise although nothing happens; None if never."""
    times = _ends_of_patience(waits, patience)
    return min(times if deadline is None else [*times, deadline], default=None)


def _ends_of_patience(waits: Collection[JobWait], patience: float | None) -> list[float]:
    if patience is None:
        return []
    return [wait.since + patience for wait in waits if wait.state is JobState.ACTION_REQUIRED]


def _uid(obj: Object) -> str:
    metadata = obj.get("metadata")
    uid = metadata.get("uid") if isinstance(metadata, Mapping) else None
    return uid if isinstance(uid, str) else ""
