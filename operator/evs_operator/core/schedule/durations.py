"""What is learned from the jobs followed: decayed histograms of durations per connection and job type.

The process owns one `Durations`. `next_poll.teach` feeds it after each poll, with the end of a job or with the
ages between which it was seen running: without the running ones, an operator that starts beside 9,500 long
jobs would take the first hundred ends for all there is. After a restart `jobs.warm_start` calls `learn` for the
finished EvsJobs of the first LIST, oldest end first. `schedule.py` reads laws from it. A histogram forgets by
one percent per finished job of its kind, so about the last hundred jobs count, whatever the rate of jobs.

Jobs with sub-jobs leave two more histograms: the lead (until the last sub-job ended) and the closing (from
there to the end of the job), because polls tell which of the two a job is in. A connection that has not yet
followed a job of a type reads the histogram of that type over all connections, as worth five jobs, and starts
its own from it.

A cloud that becomes slower shows in the jobs seen running past their time. One that becomes faster shows only in
ends, after polls that came too late: so the rank of each end within its law is watched, and while ends come
sooner than chance explains a histogram forgets half per job, and those of the same connection count little.

State: 2 kB per histogram, 279 floats of 4 bytes and a `Law`; so 4.6 kB for each job type of a connection, with that
of the type over all connections. The number of keys is bounded; the least recently used goes first.

Deliberately not here: time, I/O, persistence. What a restart loses is in the objects' status or learned again
from the next jobs.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from itertools import accumulate
from math import inf
from typing import TypeVar

from .law import BINS, WIDEST, Law, bin_of, part_of

DECAY = 0.99
BORROWED_JOBS = 5.0
_ENOUGH_JOBS = 3.0
_STALE = 10
_NOTICE = 0.2
"""Weight of the newest job in the mean rank by which a change of speed is noticed."""
_SURPRISED = 0.3
"""Deviation of that mean from one half: three times what chance gives while the law holds."""
_FORGET = 0.5
"""Decay per finished job while jobs end sooner than their law can explain."""
_RESCALE_AT = 1e6
_NOTHING = Law()
_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept")


class Histogram:
    """Durations of one kind of job, the newest job worth 1 and each older one 1 % less."""

    __slots__ = ("_asked", "_bias", "_changes", "_ends", "_law", "_parts", "_stale", "_top", "_unit")

    def __init__(self) -> None:
        self._ends = array("f", bytes(4 * BINS))
        # Jobs under observation, as changes from bin to bin, and which part of the bin lies before each change:
        # running jobs come and go at every poll.
        self._changes = array("f", bytes(4 * BINS))
        self._parts = array("f", bytes(4 * BINS))
        # Nothing was ever counted above this bin.
        self._top = 0
        # The newest job adds a growing unit instead of shrinking 279 counts per job.
        self._unit = 1.0
        self._law: Law | None = None
        self._asked: Law | None = None
        self._bias = 0.0
        self._stale = 0

    def watch(self, since: float, until: float) -> None:
        """Count that a job was not finished between two ages."""
        if until <= since:
            return
        self._change(since, self._unit)
        self._change(until, -self._unit)
        self._stale += 1
        if self._stale >= _STALE:
            self._law = None

    def add(self, duration: float, since: float) -> None:
        """Count one duration in seconds, watched from the age `since` on."""
        self._unit /= DECAY if self._expected(duration) else _FORGET
        k = bin_of(duration)
        self._ends[k] += self._unit
        self._change(min(since, duration), self._unit)
        # A job that ended counts for the whole of its bin.
        self._changes[k] -= self._unit
        self._parts[k] -= self._unit
        self._top = max(self._top, k)
        self._law = None
        if self._unit > _RESCALE_AT:
            self._rescale(1.0 / self._unit)

    def rank(self, duration: float) -> float:
        """Return which share of the durations learned is shorter: even over jobs while the law holds.

        One half before the law was ever asked for.
        """
        return 0.5 if self._asked is None else 1.0 - self._asked.survival(duration)

    def _expected(self, duration: float) -> bool:
        self._bias = _noticed(self._bias, self.rank(duration))
        return self._bias > -_SURPRISED

    def _change(self, age: float, weight: float) -> None:
        k = bin_of(age)
        self._changes[k] += weight
        self._parts[k] += weight * part_of(k, age)
        if k > self._top:
            self._top = k

    def _rescale(self, scale: float) -> None:
        self._ends = array("f", (count * scale for count in self._ends))
        self._changes = array("f", (count * scale for count in self._changes))
        self._parts = array("f", (count * scale for count in self._parts))
        self._unit = 1.0

    def law(self, limit: float = inf) -> Law:
        """Return the law of these durations, worth at most `limit` jobs; it is built once after each end."""
        if self._law is None:
            scale, size = self._scale(limit), min(self._top + WIDEST, BINS)
            ends = [count * scale for count in self._ends[:size]]
            through = [jobs * scale for jobs in accumulate(self._changes[:size])]
            rows = zip(through, self._parts, ends, strict=False)
            watched = [seen if (seen := jobs - part * scale) > end else end for jobs, part, end in rows]
            self._law = Law(ends, watched, through)
            self._asked = self._law
            self._stale = 0
        return self._law

    def _scale(self, limit: float) -> float:
        return min(1.0 / self._unit, limit / max(sum(self._ends), 1e-9))

    def doubt(self) -> None:
        """Make what was learned worth no more than what is borrowed."""
        self._rescale(self._scale(BORROWED_JOBS))
        self._law = None

    def borrow(self) -> Histogram:
        """Return a new histogram that starts with a few jobs' worth of this one."""
        started = Histogram()
        started._ends, started._changes, started._parts = self._ends, self._changes, self._parts
        started._top = self._top
        started._rescale(self._scale(BORROWED_JOBS))
        return started


class _Shelf:
    """Histograms by (connection, kind) with those of each kind over all connections below them."""

    __slots__ = ("_bias", "_kinds", "_limit", "_own")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._own: OrderedDict[tuple[str, str], Histogram] = OrderedDict()
        self._kinds: OrderedDict[str, Histogram] = OrderedDict()
        self._bias: OrderedDict[str, float] = OrderedDict()

    def touch(self, connection: str, kind: str) -> tuple[Histogram, Histogram]:
        shared = self._kinds.get(kind)
        own = self._own.get((connection, kind))
        if own is None:
            own = shared.borrow() if shared is not None else Histogram()
        if shared is None:
            shared = Histogram()
        self._keep(self._own, (connection, kind), own)
        self._keep(self._kinds, kind, shared)
        return own, shared

    def add(self, connection: str, kind: str, duration: float, since: float) -> None:
        own, shared = self.touch(connection, kind)
        bias = _noticed(self._bias.get(connection, 0.0), own.rank(duration))
        if bias <= -_SURPRISED:
            # The cloud has become faster: what was learned of the kinds that have not ended since is doubtful too.
            for key, histogram in self._own.items():
                if key[0] == connection:
                    histogram.doubt()
            shared.doubt()
            bias = 0.0
        self._keep(self._bias, connection, bias)
        own.add(duration, since)
        shared.add(duration, since)

    def watch(self, connection: str, kind: str, since: float, until: float) -> None:
        for histogram in self.touch(connection, kind):
            histogram.watch(since, until)

    def _keep(self, shelf: OrderedDict[_Key, _Kept], key: _Key, kept: _Kept) -> None:
        shelf[key] = kept
        shelf.move_to_end(key)
        if len(shelf) > self._limit:
            shelf.popitem(last=False)

    def law(self, connection: str, kind: str) -> Law:
        own = self._own.get((connection, kind))
        if own is not None:
            return own.law()
        shared = self._kinds.get(kind)
        return shared.law(BORROWED_JOBS) if shared is not None else _NOTHING

    def __len__(self) -> int:
        return len(self._own)


def _noticed(bias: float, rank: float) -> float:
    return bias + _NOTICE * (rank - 0.5 - bias)


class Durations:
    """The durations learned so far.  Mutable, owned by the process, not thread-safe.

    `max_keys` bounds the number of (connection, job type) pairs kept, and of job types kept over all
    connections.
    """

    __slots__ = ("_closings", "_leads", "_wholes")

    def __init__(self, max_keys: int = 1000) -> None:
        self._wholes = _Shelf(max_keys)
        self._leads = _Shelf(max_keys)
        self._closings = _Shelf(max_keys)

    def watch(self, connection: str, job_type: str, since_s: float, until_s: float) -> None:
        """Learn that a job of the age `until_s` is not finished; it was last asked at the age `since_s`."""
        self._wholes.watch(connection, job_type, max(since_s, 0.0), until_s)

    def learn(
        self,
        connection: str,
        job_type: str,
        duration_s: float,
        closing_s: float | None = None,
        since_s: float = 0.0,
    ) -> None:
        """Learn from one job that ended.

        `duration_s` is the seconds from `schedule.work_began` to the end, `closing_s` those from the end of
        its last sub-job to the end: None where it has no sub-jobs, 0 where it ended before they did.
        `since_s` is the age up to which `watch` was told of the job, or at which it was first seen. A job that
        had ended by then is skipped: it tells nothing about jobs that are asked about.
        Negative values (clocks disagree) count as 0.
        """
        duration, since = max(duration_s, 0.0), max(since_s, 0.0)
        if since <= duration:
            self._wholes.add(connection, job_type, duration, since)
        if closing_s is not None:
            self._closings.add(connection, job_type, max(closing_s, 0.0), 0.0)
            self._leads.add(connection, job_type, max(duration - max(closing_s, 0.0), 0.0), 0.0)

    def law(self, connection: str, job_type: str) -> Law:
        """Return the law of whole durations for a job of this connection and type."""
        return self._wholes.law(connection, job_type)

    def lead_law(self, connection: str, job_type: str) -> Law:
        """Return the law of the seconds until the last sub-job ended."""
        return self._leads.law(connection, job_type)

    def closing_law(self, connection: str, job_type: str) -> Law:
        """Return the law of the seconds from the end of the last sub-job to the end of the job."""
        return self._closings.law(connection, job_type)

    def estimate(self, connection: str, job_type: str, age_s: float) -> float | None:
        """Return the median remaining seconds of a job of this age, None before enough is learned."""
        law = self.law(connection, job_type)
        return law.remaining(max(age_s, 0.0)) if law.jobs >= _ENOUGH_JOBS else None

    def __len__(self) -> int:
        return len(self._wholes)
