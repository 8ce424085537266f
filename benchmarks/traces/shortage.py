"""Drive a schedule through a trace with one token bucket: 20 calls a second, burst 20.

The queue is the part compared here.  `InOrder` serves due jobs first in, first out, as peers do; `MostUrgent` is
the operator's own `DueQueue` with its price.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Protocol

from benchmarks.traces.replay import Result, Schedule, View
from benchmarks.traces.rivals import Ours
from benchmarks.traces.worlds import HOUR, NEVER, TraceJob
from evs_operator.core.schedule.next_poll import patience
from evs_operator.core.schedule.price import DueQueue, Price

RATE = 20.0
BURST = 20.0


class Queue(Protocol):
    """Due jobs; `last` is None for a first poll."""

    def push(self, view: View, due: float) -> None: ...
    def pop(self, now: float) -> int: ...


class InOrder:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []

    def push(self, view: View, due: float) -> None:
        heapq.heappush(self._heap, (due, view.number))

    def pop(self, now: float) -> int:
        return heapq.heappop(self._heap)[1]


class MostUrgent:
    """The operator's queue."""

    def __init__(self, schedule: Ours) -> None:
        self._schedule = schedule
        self._queue: DueQueue[int] = DueQueue()
        self.price = Price()

    def push(self, view: View, due: float) -> None:
        if view.last is None:
            self._queue.push_first(view.number)
        else:
            scale = patience(self._schedule.history(view), self._schedule.durations, price=self.price.value)
            self._queue.push(view.number, view.last, scale)

    def pop(self, now: float) -> int:
        served = self._queue.pop(now)
        if served is None:
            raise RuntimeError("the queue lost a job")
        if served.urgency is not None:
            self.price.served(served.urgency)
        return served.item


def replay_short(jobs: Sequence[TraceJob], schedule: Schedule, queue: Queue, known: int = 0) -> Result:
    """Run a trace until every job that ends before an hour, or in a crowd every job, is seen to have ended.

    The first `known` jobs were polled before time 0, each at some moment of its delay.
    """
    views = [View(job.seen, number) for number, job in enumerate(jobs)]
    result = Result(list(jobs), [0] * len(jobs), [0.0] * len(jobs))
    due: list[tuple[float, int]] = []
    for number, job in enumerate(jobs):
        if number >= known:
            due.append((job.seen, number))
            continue
        views[number].learn_of(job, 0.0)
        delay = schedule.delay(views[number])
        views[number].learn_of(job, -delay * ((number * 0.618034) % 1.0))
        due.append(((views[number].last or 0.0) + delay, number))
    heapq.heapify(due)
    horizon = HOUR if known else NEVER
    open_jobs = sum(0 < job.end < horizon for job in jobs)
    now, tokens = 0.0, BURST
    waiting = 0
    while open_jobs:
        while due and due[0][0] <= now:
            at, number = heapq.heappop(due)
            queue.push(views[number], at)
            waiting += 1
        if not waiting:
            tokens = min(BURST, tokens + (due[0][0] - now) * RATE)
            now = due[0][0]
            continue
        if tokens < 1.0:
            now, tokens = now + (1.0 - tokens) / RATE, 1.0
            continue
        chosen = queue.pop(now)
        tokens -= 1.0
        waiting -= 1
        job, view = jobs[chosen], views[chosen]
        view.learn_of(job, now)
        result.calls[chosen] += 1
        if view.end is not None:
            result.latency[chosen] = now - max(job.end, job.seen)
            open_jobs -= 0 < job.end < horizon
            schedule.ended(view)
        else:
            heapq.heappush(due, (now + schedule.delay(view), chosen))
    return result
