"""The law of a duration: how likely a job of a given age has ended some seconds later.

`durations.py` fills histograms and turns each into a `Law`; `schedule.py` asks the law when to poll, and
for the estimated end of a job. A law is immutable and pure arithmetic over 93 log-spaced bins (ratio 1.15,
from 0.25 s to 26 h) in which the density is flat. Below the bins of every law lies a prior that has no
scale of its own beyond ten seconds, `P(T > t) = 10 / (10 + t)`, worth two jobs: with nothing learned it
makes the delay grow with the age of the job, and past everything learned it takes over again.

With `S` the survival function, a job last seen unfinished at age `a` has at age `a + d` been finished
unnoticed for an expected time of

    wait(a, d) = integral over u from 0 to d of P(T <= a + u | T > a) = d - (I(a + d) - I(a)) / S(a)

where `I` is the integral of `S`, and a poll then finds nothing with probability `S(a + d) / S(a)`. `S` and
`I` are kept at the bin edges; within a bin `S` is linear, so the root of `wait = price * S(a + d) / S(a)` is
found by walking edges and solving one quadratic equation.

Deliberately not here: clamps, jitter and what polls told about the job (`schedule.py`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import log, sqrt

BINS = 93
_RATIO = 1.15
_FIRST = 0.25
EDGES: tuple[float, ...] = (0.0, *(_FIRST * _RATIO**k for k in range(BINS)))
_LAST = EDGES[-1]

_PRIOR_SCALE = 10.0
_PRIOR_JOBS = 2.0
_PRIOR_TAILS = tuple(_PRIOR_JOBS * _PRIOR_SCALE / (_PRIOR_SCALE + edge) for edge in EDGES)

_SMOOTH_JOBS = 8.0
_WIDEST = 11


def bin_of(duration: float) -> int:
    """Return the index of the bin that holds a duration in seconds; longer ones share the last bin."""
    if duration < _FIRST:
        return 0
    return min(int(log(duration / _FIRST) / log(_RATIO)) + 1, BINS - 1)


class Law:
    """Survival function of one kind of duration, learned weights over the prior.

    `weights` are the learned jobs per bin, in jobs; an empty sequence gives the prior alone.  They are
    smoothed first: 100 jobs of a kind that takes 5 to 60 minutes leave bins empty by chance.
    """

    __slots__ = ("_area", "_tail", "jobs")

    def __init__(self, weights: Sequence[float] = ()) -> None:
        tail = array("d", _PRIOR_TAILS)
        self.jobs = 0.0
        if weights:
            above = list(accumulate(reversed(_smoothed(weights))))
            self.jobs = above[-1]
            for k, weight in enumerate(reversed(above)):
                tail[k] += weight
        area = array("d", [0.0])
        total = 0.0
        for k in range(BINS):
            total += (EDGES[k + 1] - EDGES[k]) * (tail[k] + tail[k + 1]) / 2.0
            area.append(total)
        self._tail = tail
        self._area = area

    def survival(self, age: float) -> float:
        """Return the weight in jobs, prior included, of durations above `age` seconds."""
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
        return EDGES[k] + (self._tail[k] - level) / self._slope(k)

    def _slope(self, k: int) -> float:
        return (self._tail[k] - self._tail[k + 1]) / (EDGES[k + 1] - EDGES[k])

    def delay(self, age: float, price: float) -> float:
        """Return the seconds after `age` at which a poll is worth `price` seconds for each one wasted."""
        if age >= _LAST:
            return sqrt(2.0 * price * age)
        edges, tail, area = EDGES, self._tail, self._area
        k = bisect_right(edges, age) - 1
        alive = tail[k] - self._slope(k) * (age - edges[k])
        start = area[k] + (age - edges[k]) * (tail[k] + alive) / 2.0
        # Invariant: the root lies above `at`; there S is `here`, and `waited` is wait() times S(age).
        at, here, waited = age, alive, 0.0
        while True:
            beyond = (edges[k + 1] - age) * alive - (area[k + 1] - start)
            if beyond >= price * tail[k + 1]:
                break
            k += 1
            at, here, waited = edges[k], tail[k], beyond
            if k == BINS:
                return at - age
        # Within the bin: slope/2 x^2 + gap x = missing, solved without dividing by a slope near zero.
        slope = self._slope(k)
        gap = alive - here + price * slope
        missing = price * here - waited
        return at - age + 2.0 * missing / (gap + sqrt(gap * gap + 2.0 * slope * missing))

    def remaining(self, age: float) -> float | None:
        """Return the median remaining seconds at `age`, or None where what was learned says little there."""
        alive = self.survival(age)
        if age >= _LAST or alive < 2.0 * _prior(age) or alive / 2.0 < self._tail[BINS]:
            return None
        return max(self._age_at(alive / 2.0) - age, 0.0)


def _prior(age: float) -> float:
    return _PRIOR_JOBS * _PRIOR_SCALE / (_PRIOR_SCALE + age)


def _smoothed(weights: Sequence[float]) -> list[float]:
    """Spread each bin evenly over so many neighbours, at most five a side, as together hold eight jobs."""
    below = [0.0, *accumulate(weights)]
    change = [0.0] * (BINS + 1)
    for k, weight in enumerate(weights):
        if weight > 0.0:
            low, high = k, k + 1
            while high - low < _WIDEST and below[high] - below[low] < _SMOOTH_JOBS:
                low, high = max(low - 1, 0), min(high + 1, BINS)
            part = weight / (high - low)
            change[low] += part
            change[high] -= part
    return [max(weight, 0.0) for weight in accumulate(change[:BINS])]
