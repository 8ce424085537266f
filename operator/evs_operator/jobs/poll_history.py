"""When an EvsJob is looked at again, after what the last look gave. Pure.

The schedule of normal polling is `core.schedule`; here are the waits around it: after failed polls, while a
person must act, at a deadline, at the end of the time to live.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from zlib import crc32

from evs_operator.api.conditions import parse_timestamp
from evs_operator.clock import Clock
from evs_operator.core.judge import NOT_FOUND_GRACE
from evs_operator.core.schedule.next_poll import PollHistory
from evs_operator.evs.job import Job, JobOutcome

from .entry import Entry
from .recovery import PROBE

_PASSING: Final = (2.0, 60.0)
_ACTION: Final = (60.0, 300.0)
"""First and longest wait in seconds after a failed poll that heals by itself, and where a person must act."""
_ASKED_EVERY: Final = 60.0


def after_failure(entry: Entry, *, passing: bool) -> float:
    """Return the seconds to wait after `entry.polling.failures` failed polls in a row: doubling, with jitter."""
    first, most = _PASSING if passing else _ACTION
    if passing and entry.seen.spec is not None:
        first = max(first, float(entry.seen.spec.polling.min_interval))
    wait = min(first * 2.0 ** min(entry.polling.failures - 1, 10), max(most, first))
    if passing and entry.polling.probes:
        wait = min(wait, max(PROBE, first))
    return wait * _jitter(entry)


def within_grace(start: float, now: float, wait: float) -> float | None:
    """Shorten the wait of a job not found so that it is asked for when its grace is over; None after that."""
    over = start + NOT_FOUND_GRACE.total_seconds() + 0.5
    return min(wait, over - now) if over > now else None


def delete_at(entry: Entry, clock: Clock) -> float | None:
    """Return when `ttlSecondsAfterFinished` is over, None where the EvsJob is kept."""
    if not entry.seen.finished or entry.seen.spec is None or entry.seen.spec.ttl_seconds_after_finished is None:
        return None
    completed = parse_timestamp(entry.seen.completion)
    return None if completed is None else clock.at(completed) + entry.seen.spec.ttl_seconds_after_finished


def history_after_poll(entry: Entry, connection: str, job: Job, clock: Clock) -> PollHistory:
    """Return what the polls of this job have told by now."""
    spec = entry.seen.spec
    before = entry.polling.history
    now = clock()
    init = job.status.upper() == "INIT"
    subs = tuple(job.descendants())
    ends = [sub.end_time for sub in subs if sub.end_time is not None]
    history = PollHistory(
        connection=connection,
        job_type=job.job_type,
        first_seen=before.first_seen if before else entry.seen.first_seen,
        begin=clock.at(job.begin_time) if job.begin_time else None,
        last_poll=now,
        init_seen=now if init else before.init_seen if before else None,
        sub_jobs_open=sum(1 for sub in subs if sub.outcome is JobOutcome.IN_PROGRESS),
        last_sub_job_end=clock.at(max(ends)) if ends else None,
        jitter_key=entry.uid,
    )
    if spec is None:
        return history
    return replace(
        history,
        min_interval=float(spec.polling.min_interval),
        max_interval=float(spec.polling.max_interval),
    )


def history_from_status(entry: Entry, connection: str, clock: Clock) -> PollHistory | None:
    """Return what an earlier process has written of a job that it followed; None where it says nothing.

    When it asked last nobody knows: it is taken to have asked every minute, and never before its last write.
    """
    status, spec = entry.seen.status, entry.seen.spec
    if (
        spec is None
        or "jobStatus" not in status
        or status.get("jobId") != spec.job_id
        or entry.seen.retargeted
        or entry.seen.finished
    ):
        return None
    began, seen = parse_timestamp(status.get("beginTime")), parse_timestamp(status.get("observationStartTime"))
    first_seen = min(clock.at(seen), entry.seen.first_seen) if seen else entry.seen.first_seen
    written = [parse_timestamp(condition["lastTransitionTime"]) for condition in status.get("conditions", [])]
    last = max([first_seen, entry.seen.first_seen - _ASKED_EVERY, *(clock.at(moment) for moment in written if moment)])
    return PollHistory(
        connection=connection,
        job_type=status.get("jobType", ""),
        first_seen=first_seen,
        begin=clock.at(began) if began else None,
        last_poll=min(last, entry.seen.first_seen),
        min_interval=float(spec.polling.min_interval),
        max_interval=float(spec.polling.max_interval),
        jitter_key=entry.uid,
    )


def _jitter(entry: Entry) -> float:
    return 0.9 + 0.2 * (crc32(f"{entry.uid}/{entry.polling.failures}".encode()) / 2.0**32)
