"""What was seen and is not written yet, while the API server is away: kept, replaced by what is newer, tried again.

The reconciler goes on asking meanwhile, except for a job that has ended: its result is all that there is to write.
Only the reconciler calls this; the times are the entry's.
"""

from __future__ import annotations

from typing import Final

from evs_operator.core.observation import JobSeen, Observation, Trouble
from evs_operator.evs.job import JobOutcome
from evs_operator.kube.api import KubeError

from .entry import Entry
from .recovery import PROBE

_LONGEST: Final = 60.0
_CHANGED_TOO_FAST: Final = 1.0


def is_end(observation: Observation | None) -> bool:
    """Return whether an observation is the end of a job, after which nothing newer is to be seen."""
    return isinstance(observation, JobSeen) and observation.job.outcome is not JobOutcome.IN_PROGRESS


def newest(pending: Observation | None, seen: Observation | None) -> Observation | None:
    """Return what is to be written; a trouble, which the next poll shows again, replaces no answer of the cloud."""
    return pending if isinstance(seen, Trouble) and isinstance(pending, JobSeen) else seen


def may_be_tried(entry: Entry, before: Observation | None, now: float) -> bool:
    """Return whether a write may go: it is the first of what is new, or has waited since the last that failed."""
    return before is None or now >= entry.polling.write_at or (is_end(entry.polling.pending) and not is_end(before))


def failed(entry: Entry, error: KubeError, now: float) -> None:
    """Take note of a write that failed, or of a read before it: the next waits longer."""
    if error.status == 409:  # the object changed under every write, and somebody waits for it
        entry.polling.write_at = now + _CHANGED_TOO_FAST
    else:
        entry.polling.write_failures += 1
        most = PROBE if entry.polling.probes else _LONGEST
        entry.polling.write_at = now + max(min(2.0**entry.polling.write_failures, most), error.retry_after)
    if entry.polling.poll_at <= now:
        entry.polling.poll_at = entry.polling.write_at


def next_try(entry: Entry) -> float:
    """Return when an EvsJob is looked at again: to write, or to ask meanwhile."""
    if (
        entry.polling.pending is None
        or is_end(entry.polling.pending)
        or entry.seen.spec is None
        or entry.seen.spec.suspend
    ):
        return entry.polling.write_at
    return min(entry.polling.write_at, entry.polling.poll_at)
