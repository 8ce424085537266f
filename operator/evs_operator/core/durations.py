"""What is learned from jobs that ended: decayed histograms of durations per connection and job type.

The engine owns one `Durations` and calls `learn` for each job whose end it sees (and, after a restart, for
each finished EvsJob of the first LIST, oldest end first). `schedule.py` reads laws from it. A histogram
forgets by one percent per finished job of its kind, so about the last hundred jobs count, whatever the rate
of jobs.

Jobs with sub-jobs leave two more histograms: the lead (until the last sub-job ended) and the closing (from
there to the end of the job), because polls tell which of the two a job is in. A connection that has not yet
finished a job of a type reads the histogram of that type over all connections, as worth five jobs, and
starts its own from it.

State: 93 floats of 4 bytes per histogram, and a `Law` of 1.7 kB while jobs of the kind are followed. The
number of keys is bounded; the least recently used goes first.

Deliberately not here: time, I/O, persistence. What a restart loses is in the objects' status or learned
again from the next jobs.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Hashable

from evs_operator.core.schedule_law import BINS, Law, bin_of

DECAY = 0.99
BORROWED_JOBS = 5.0
_ENOUGH_JOBS = 3.0
_RESCALE_AT = 1e6
_NOTHING = Law()


class Histogram:
    """Weights of the durations of one kind of job, the newest job worth 1 and each older one 1 % less."""

    __slots__ = ("_counts", "_law", "_unit")

    def __init__(self) -> None:
        self._counts = array("f", bytes(4 * BINS))
        # The newest job adds a growing unit instead of shrinking 93 counts per job.
        self._unit = 1.0
        self._law: Law | None = None

    def add(self, duration: float) -> None:
        """Count one duration in seconds."""
        self._unit /= DECAY
        self._counts[bin_of(duration)] += self._unit
        self._law = None
        if self._unit > _RESCALE_AT:
            self._counts = array("f", self.weights())
            self._unit = 1.0

    def weights(self, limit: float | None = None) -> list[float]:
        """Return the jobs per bin, scaled down to `limit` jobs where that is given and less."""
        scale = 1.0 / self._unit
        if limit is not None and (total := sum(self._counts) * scale) > limit:
            scale *= limit / total
        return [count * scale for count in self._counts]

    def law(self, limit: float | None = None) -> Law:
        """Return the law of these durations; it is built once after each change."""
        if self._law is None:
            self._law = Law(self.weights(limit))
        return self._law

    def borrow(self) -> Histogram:
        """Return a new histogram that starts with a few jobs' worth of this one."""
        started = Histogram()
        started._counts = array("f", self.weights(BORROWED_JOBS))
        return started


class _Shelf:
    """Histograms by (connection, kind) with those of each kind over all connections below them."""

    __slots__ = ("_kinds", "_limit", "_own")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._own: OrderedDict[Hashable, Histogram] = OrderedDict()
        self._kinds: OrderedDict[Hashable, Histogram] = OrderedDict()

    def add(self, connection: str, kind: str, duration: float) -> None:
        own, shared = self._own.get((connection, kind)), self._kinds.get(kind)
        if own is None:
            own = shared.borrow() if shared is not None else Histogram()
        if shared is None:
            shared = Histogram()
        own.add(duration)
        shared.add(duration)
        self._keep(self._own, (connection, kind), own)
        self._keep(self._kinds, kind, shared)

    def _keep(self, shelf: OrderedDict[Hashable, Histogram], key: Hashable, histogram: Histogram) -> None:
        shelf[key] = histogram
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


class Durations:
    """The durations learned so far.  Mutable, owned by the engine, not thread-safe.

    `max_keys` bounds the number of (connection, job type) pairs kept, and of job types kept over all
    connections.
    """

    __slots__ = ("_closings", "_leads", "_wholes")

    def __init__(self, max_keys: int = 1000) -> None:
        self._wholes = _Shelf(max_keys)
        self._leads = _Shelf(max_keys)
        self._closings = _Shelf(max_keys)

    def learn(self, connection: str, job_type: str, duration_s: float, closing_s: float | None = None) -> None:
        """Learn from one job that ended.

        `duration_s` is the seconds from `schedule.work_began` to the end, `closing_s` those from the end of
        its last sub-job to the end: None where it has no sub-jobs, 0 where it ended before they did.
        Negative values (clocks disagree) count as 0.
        """
        self._wholes.add(connection, job_type, max(duration_s, 0.0))
        if closing_s is not None:
            self._closings.add(connection, job_type, max(closing_s, 0.0))
            self._leads.add(connection, job_type, max(duration_s - max(closing_s, 0.0), 0.0))

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
