"""When an EvsJob is looked at again, after what the last look gave. Pure.

The schedule of normal polling is `core.schedule`; here are the waits around it: after failed polls, while a
person must act, at a deadline, at the end of the time to live.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final
from zlib import crc32

from evs_operator.api.conditions import parse_timestamp
from evs_operator.cloud.job import Job
from evs_operator.cloud.job import Outcome as Word
from evs_operator.core.decide import NOT_FOUND_GRACE
from evs_operator.core.schedule import PollHistory

from .store import Entry

_PASSING: Final = (2.0, 60.0)
_ACTION: Final = (60.0, 300.0)
"""First and longest wait in seconds after a failed poll that heals by itself, and where a person must act."""


def after_failure(entry: Entry, *, passing: bool) -> float:
    """Return the seconds to wait after `entry.failures` failed polls in a row: doubling, with jitter."""
    first, most = _PASSING if passing else _ACTION
    if passing and entry.spec is not None:
        first = max(first, float(entry.spec.polling.min_interval))
    wait = min(first * 2.0 ** min(entry.failures - 1, 10), max(most, first))
    return wait * _jitter(entry)


def within_grace(start: datetime, now: float, wait: float) -> float | None:
    """Shorten the wait of a job not found so that it is asked for when its grace is over; None after that."""
    over = start.timestamp() + NOT_FOUND_GRACE.total_seconds() + 0.5
    return min(wait, over - now) if over > now else None


def delete_at(entry: Entry) -> float | None:
    """Return when `ttlSecondsAfterFinished` is over, None where the EvsJob is kept."""
    if not entry.finished or entry.spec is None or entry.spec.ttl_seconds_after_finished is None:
        return None
    completed = parse_timestamp(entry.completion)
    return None if completed is None else completed.timestamp() + entry.spec.ttl_seconds_after_finished


def told(entry: Entry, connection: str, job: Job, now: float) -> PollHistory:
    """Return what the polls of this job have told by now."""
    spec = entry.spec
    before = entry.history
    init = job.status.upper() == "INIT"
    subs = tuple(job.descendants())
    ends = [sub.end_time.timestamp() for sub in subs if sub.end_time is not None]
    history = PollHistory(
        connection=connection,
        job_type=job.job_type,
        first_seen=entry.first_seen,
        begin=job.begin_time.timestamp() if job.begin_time else None,
        last_poll=now,
        init_seen=now if init else before.init_seen if before else None,
        sub_jobs_open=sum(1 for sub in subs if sub.outcome is Word.IN_PROGRESS),
        last_sub_job_end=max(ends, default=None),
        jitter_key=entry.uid,
    )
    if spec is None:
        return history
    return replace(
        history,
        min_interval=float(spec.polling.min_interval),
        max_interval=float(spec.polling.max_interval),
    )


def _jitter(entry: Entry) -> float:
    return 0.9 + 0.2 * (crc32(f"{entry.uid}/{entry.failures}".encode()) / 2.0**32)
