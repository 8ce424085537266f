"""The law of a duration: how likely a job of a given age has ended some seconds later.

`durations.py` fills histograms and turns each into a `Law`; `schedule.py` asks the law when to poll, and for
the estimated end of a job. A law is immutable and pure arithmetic over 93 log-spaced bins (ratio 1.15, from
0.25 s to 26 h) in which the density is flat. Below the bins of every law lies a prior that has no scale of
its own beyond ten seconds, `P(T > t) = 10 / (10 + t)`, worth two jobs: with nothing learned it makes the
delay grow with the age of the job, and past everything learned it takes over again.

With `S` the survival function, a job last seen unfinished at age `a` has at age `a + d` been finished
unnoticed for an expected time of

    wait(a, d) = integral over u from 0 to d of P(T <= a + u | T > a) = integral of 1 - S(a + u) / S(a)

and a poll then finds nothing with probability `S(a + d) / S(a)`. Within a bin `S` is linear, so the root of
`wait = price * S(a + d) / S(a)` is found by walking edges and solving one quadratic equation.

Deliberately not here: clamps, jitter and what polls told about the job (`schedule.py`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import log, sqrt
from operator import ge, mul

BINS = 93
_RATIO = 1.15
_FIRST = 0.25
_LOG_RATIO = log(_RATIO)
EDGES: tuple[float, ...] = (0.0, *(_FIRST * _RATIO**k for k in range(BINS)))
_LAST = EDGES[-1]
_WIDTHS = tuple(high - low for low, high in pairwise(EDGES))

_PRIOR_SCALE = 10.0
_PRIOR_JOBS = 2.0
_PRIOR_TAILS = tuple(_PRIOR_JOBS * _PRIOR_SCALE / (_PRIOR_SCALE + edge) for edge in EDGES)
_PRIOR_ENDS = tuple(high - low for high, low in pairwise(_PRIOR_TAILS))

_SMOOTH_JOBS = 8.0
WIDEST = 11
"""So many bins at most the ends of one are spread over."""
_MOST = 0.99


def bin_of(duration: float) -> int:
    """Return the index of the bin that holds a duration in seconds; longer ones share the last bin."""
    if duration < _FIRST:
        return 0
    return min(int(log(duration / _FIRST) / _LOG_RATIO) + 1, BINS - 1)


def part_of(k: int, age: float) -> float:
    """Return which part of bin `k` lies below `age`, 0 to 1."""
    return min((age - EDGES[k]) / _WIDTHS[k], 1.0)


class Law:
    """Survival function of one kind of duration, learned weights over the prior.

    `ends` are the jobs that ended in each bin, `watched` the jobs under observation there (ended or not), each
    counted for the part of the bin that it was watched in. The survival function is the product-limit estimate
    of the two, so that jobs first seen when old and jobs still running count for what they tell, no more.
    `through` are the jobs watched through the upper edge of each bin: where they are fewer than came in, the others
    are in the bin still. All three are as long as needed. Without them there is the prior alone. `jobs` is the weight
    of the ends.
    """

    __slots__ = ("_known", "_tail", "jobs")

    def __init__(
        self, ends: Sequence[float] = (), watched: Sequence[float] = (), through: Sequence[float] = ()
    ) -> None:
        self.jobs = sum(ends)
        self._known = bytes(map(ge, watched, _PRIOR_TAILS))
        smooth = _smoothed(ends, watched) if self.jobs else ends
        rows = zip(smooth, watched, _PRIOR_ENDS, _PRIOR_TAILS, strict=False)
        falls = [(end + prior_end) / (prior + seen) for end, seen, prior_end, prior in rows]
        before = 0.0
        for k, past in enumerate(through):
            if before > past and before > watched[k]:
                falls[k] = min(falls[k] + _unseen(k, before, watched[k], max(past, 0.0)), _MOST)
            before = past
        tail: list[float] = [1.0, *accumulate([1.0 - fall for fall in falls], mul)]
        rest = tail[-1] / _PRIOR_TAILS[len(tail) - 1]
        self._tail = array("d", tail + [rest * later for later in _PRIOR_TAILS[len(tail) :]])

    def survival(self, age: float) -> float:
        """Return the probability of durations above `age` seconds."""
        if age >= _LAST:
            return self._tail[BINS] * _LAST / age
        k = bisect_right(EDGES, age) - 1
        return self._tail[k] - self._slope(k) * (age - EDGES[k])

    def quantile(self, share: float) -> float:
        """Return the seconds within which `share` (0 to 1) of the durations end."""
        return self._age_at(self._tail[0] * (1.0 - share))

    def _age_at(self, level: float) -> float:
        k = 0
        while k < BINS - 1 and self._tail[k + 1] > level:
            k += 1
        return min(EDGES[k] + (self._tail[k] - level) / self._slope(k), EDGES[k + 1])

    def _slope(self, k: int) -> float:
        return (self._tail[k] - self._tail[k + 1]) / (EDGES[k + 1] - EDGES[k])

    def delay(self, age: float, price: float) -> float:
        """Return the seconds after `age` at which a poll is worth `price` seconds for each one wasted."""
        if age >= _LAST:
            return sqrt(2.0 * price * age)
        edges, tail = EDGES, self._tail
        k = bisect_right(edges, age) - 1
        alive = tail[k] - self._slope(k) * (age - edges[k])
        # Invariant: the root lies above `at`; there S is `here`, and `waited` is wait() times S(age).
        at, here, waited = age, alive, 0.0
        while True:
            edge, later = edges[k + 1], tail[k + 1]
            beyond = waited + (edge - at) * (alive - (here + later) / 2.0)
            if beyond >= price * later:
                break
            k += 1
            at, here, waited = edge, later, beyond
            if k == BINS:
                return at - age
        # Within the bin: slope/2 x^2 + gap x = missing, solved without dividing by a slope near zero.
        slope = self._slope(k)
        gap = alive - here + price * slope
        missing = price * here - waited
        return at - age + 2.0 * missing / (gap + sqrt(gap * gap + 2.0 * slope * missing))

    def remaining(self, age: float) -> float | None:
        """Return the median remaining seconds at `age`, or None where what was learned says little there."""
        k = bisect_right(EDGES, age) - 1
        if k >= len(self._known) or not self._known[k]:
            return None
        half = self.survival(age) / 2.0
        return max(self._age_at(half) - age, 0.0) if half > self._tail[BINS] else None


def _smoothed(ends: Sequence[float], watched: Sequence[float]) -> list[float]:
    """Spread the ends of each bin over so many neighbours, at most five a side, as together hold eight ends.

    They are spread in proportion to the jobs watched: what is smoothed is the hazard.
    """
    size, widest = len(ends), min(WIDEST, len(ends))
    ended = [0.0, *accumulate(ends)]
    seen = [0.0, *accumulate(watched)]
    change = [0.0] * (size + 1)
    for k, weight in enumerate(ends):
        if weight > 0.0:
            low, high = k, k + 1
            while high - low < widest and ended[high] - ended[low] < _SMOOTH_JOBS:
                low, high = low - 1 if low else 0, high + 1 if high < size else size
            part = weight / max(seen[high] - seen[low], weight)
            change[low] += part
            change[high] -= part
    # Neighbours may have been watched less than the bin itself: fewer can end than were watched.
    rows = zip(accumulate(change), watched, strict=False)
    return [min(share, _MOST) * jobs for share, jobs in rows]


def _unseen(k: int, before: float, watched: float, past: float) -> float:
    """Return what the prior adds to the ends of bin `k`, as a share, for the part that its jobs have yet to reach.

    Of `before` jobs that came into the bin `past` have left it at its upper edge. Those in it now tell of the part
    before them and nothing of the part ahead, where the prior holds among those few that were watched through it.
    """
    ahead = 1.0 - max(watched - past, 0.0) / (before - past)
    prior = _PRIOR_TAILS[k]
    return ahead * _PRIOR_ENDS[k] * (1.0 / (prior + past) - 1.0 / (prior + watched))
