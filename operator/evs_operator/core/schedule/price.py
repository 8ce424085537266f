"""The short budget in the currency of the schedule: who is served next, and what a wasted call costs now.

Each lane keeps one `DueQueue` and one `Price` per token bucket. A polled job is due at `next_poll` for the
normal price; it is then pushed with its `patience` at the price of the moment of its last poll, and whenever
the bucket has a token the most urgent job is popped. The urgency at which jobs are served tells what a call
is worth: `Price` follows it. So a bucket that cannot serve 10,000 jobs when they are due lets the uncertain
ones wait and still asks at once about those that have surely ended.

Deliberately not here: the bucket itself, 429 (`cloud/budget.py`), fairness between namespaces.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import exp, log
from typing import Generic, TypeVar

from .next_poll import PRICE, urgency

Item = TypeVar("Item")

_CLASSES_PER_E = 8.0
_FOLLOW = 0.02
_DEAREST = log(10_000.0)
_IMPATIENT = 1e-3
_FAIR = 16
"""Every so many turns the job that waits longest is served, whoever is more urgent."""


class Price:
    """The going rate of a call, in seconds of unnoticed end per wasted call."""

    __slots__ = ("_log",)

    def __init__(self) -> None:
        self._log = 0.0

    @property
    def value(self) -> float:
        """The price for `patience`: `PRICE` while the budget suffices."""
        return PRICE * exp(self._log)

    def served(self, urgency_of_job: float) -> None:
        """Follow the urgency of the jobs that were served; worth grows with its square."""
        worth = min(2.0 * log(max(urgency_of_job, 1.0)), _DEAREST)
        self._log += _FOLLOW * (worth - self._log)


@dataclass(frozen=True, slots=True)
class Served(Generic[Item]):
    """One job taken from the queue, and its urgency; None for a first poll."""

    item: Item
    urgency: float | None


class DueQueue(Generic[Item]):
    """Due jobs, the most urgent first, in constant time per job.

    Among jobs of like patience the order is that of their last poll, whatever the time, so jobs are kept in
    classes 12 % wide, first in, first out, and only the heads of the classes are compared. First polls are a
    class of their own and go first. Every 16th turn is for the polled job that waits longest, so that with `m`
    jobs waiting longer than itself a job is served within `16 (m + 1)` turns, whatever comes after it.
    """

    __slots__ = ("_classes", "_first", "_pushed", "_turn")

    def __init__(self) -> None:
        self._classes: dict[int, deque[tuple[float, float, int, Item]]] = {}
        self._first: deque[Item] = deque()
        self._pushed = 0
        self._turn = 0

    def push_first(self, item: Item) -> None:
        """Add a job that was never polled."""
        self._first.append(item)

    def push(self, item: Item, last: float, patience: float) -> None:
        """Add a due job that was polled at `last`."""
        patience = max(patience, _IMPATIENT)
        like = round(_CLASSES_PER_E * log(patience))
        self._pushed += 1
        self._classes.setdefault(like, deque()).append((last, patience, self._pushed, item))

    def pop(self, now: float) -> Served[Item] | None:
        """Take the job whose poll is worth most at `now`; None from an empty queue."""
        self._turn += 1
        if not self._classes:
            return Served(self._first.popleft(), None) if self._first else None
        if self._turn % _FAIR == 0:
            like = min(self._classes, key=lambda like: self._classes[like][0][2])
        elif self._first:
            return Served(self._first.popleft(), None)
        else:
            like = max(self._classes, key=lambda like: urgency(now, *self._classes[like][0][:2]))
        line = self._classes[like]
        last, patience, _, item = line.popleft()
        if not line:
            del self._classes[like]
        return Served(item, urgency(now, last, patience))

    def __len__(self) -> int:
        return len(self._first) + sum(map(len, self._classes.values()))
