"""The lower bound: a schedule that knows the true law of each type, which no operator does."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

from benchmarks.traces.replay import View
from benchmarks.traces.worlds import STANDARD, Draw, Variant

_DRAWS = 200_000


class TrueLaw:
    """Survival function of many drawn durations, in bins of 3 %."""

    def __init__(self, durations: Sequence[float]) -> None:
        ordered = sorted(durations)
        ratio = 1.03 if len(ordered) > 10_000 else 1.1
        edges = [0.0, 0.05]
        while edges[-1] < 1e5:
            edges.append(edges[-1] * ratio)
        total = len(ordered)
        # A trace of a heavy tail keeps the law defined beyond the longest draw.
        tail = [(total - bisect_right(ordered, edge)) / total + 1e-5 / (10 + edge) for edge in edges]
        pieces = ((b - a) * (s + t) / 2 for (a, b), (s, t) in zip(pairwise(edges), pairwise(tail), strict=True))
        self._edges, self._tail, self._area = edges, tail, [0.0, *accumulate(pieces)]

    def _at(self, age: float) -> tuple[float, float]:
        k = min(bisect_right(self._edges, age), len(self._edges) - 1) - 1
        low, high = self._edges[k], self._edges[k + 1]
        alive = self._tail[k] - (self._tail[k] - self._tail[k + 1]) * (min(age, high) - low) / (high - low)
        return alive, self._area[k] + (age - low) * (self._tail[k] + alive) / 2

    def delay(self, age: float, price: float, low: float, high: float) -> float:
        """Return the delay in `low` to `high` at which the expected unnoticed time reaches the price."""
        alive, start = self._at(age)

        def waited(delay: float) -> float:
            return delay - (self._at(age + delay)[1] - start) / alive

        if waited(low) >= price:
            return low
        if waited(high) < price:
            return high
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (low, middle) if waited(middle) >= price else (middle, high)
        return high


class Oracle:
    """Asks when the expected unnoticed time, by the true law of the type, reaches the price."""

    name = "true law known"

    def __init__(self, laws: dict[str, TrueLaw], price: float = 0.3) -> None:
        self._laws = laws
        self._price = price

    def delay(self, view: View) -> float:
        assert view.begin is not None
        assert view.last is not None
        return self._laws[view.kind].delay(view.last - view.begin, self._price, 2.0, 60.0)

    def ended(self, view: View) -> None:
        pass

    def restarted(self, finished: Sequence[View]) -> None:
        pass


def true_laws(variant: Variant = STANDARD, draws: int = _DRAWS) -> dict[str, TrueLaw]:
    """Draw the durations of each type, from a seed that no trace uses."""
    draw = Draw(424_242, variant)
    durations: dict[str, list[float]] = {}
    for _ in range(draws):
        kind, work, _ = draw.work()
        durations.setdefault(kind, []).append(work)
    return {kind: TrueLaw(drawn) for kind, drawn in durations.items()}
