"""Hands due EvsJobs to a fixed pool of workers, connection by connection.

Each connection has a lane: its share of the workers is bounded, so that a hung endpoint takes workers from no
one else, and its budget says when the next call may go. Within a lane EvsJobs that were never polled go
first, then the namespaces take turns. EvsJobs that need no call wait for no budget.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from .scheduler import Scheduler
from .store import Entry

WORKERS: Final = 256
LANE_WORKERS: Final = 32
_IDLE = 60.0


class CallBudget(Protocol):
    """Says when the next call to one endpoint with one credential may go."""

    def take(self, now: float) -> float:
        """Return 0.0 and count the call, or the seconds until one may go."""


class Lane:
    """EvsJobs of one connection that wait for a call."""

    def __init__(self) -> None:
        self._fresh: deque[Entry] = deque()
        self._turns: OrderedDict[str, deque[Entry]] = OrderedDict()
        self.in_flight = 0

    def __bool__(self) -> bool:
        return bool(self._fresh or self._turns)

    def push(self, entry: Entry) -> None:
        """Add an EvsJob that is due."""
        if entry.last_poll is None:
            self._fresh.append(entry)
        else:
            self._turns.setdefault(entry.namespace, deque()).append(entry)

    def pop(self) -> Entry:
        """Take the next one: never polled first, then the namespaces in turn."""
        if self._fresh:
            return self._fresh.popleft()
        namespace, waiting = self._turns.popitem(last=False)
        entry = waiting.popleft()
        if waiting:
            self._turns[namespace] = waiting
        return entry

    def oldest_due(self) -> float | None:
        """Return the due time of the EvsJob that waits longest."""
        heads = [self._fresh[0].due] if self._fresh else []
        heads += [waiting[0].due for waiting in self._turns.values()]
        return min(heads, default=None)


class Dispatcher:
    """Moves due entries into lanes and from there to workers.

    `lane_of` names the lane and the budget of an entry, or None where it needs no call now.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        work: Callable[[Entry], Awaitable[None]],
        lane_of: Callable[[Entry], tuple[object, CallBudget] | None],
        now: Callable[[], float],
        *,
        workers: int = WORKERS,
    ) -> None:
        self._scheduler = scheduler
        self._work = work
        self._lane_of = lane_of
        self._now = now
        self._lanes: dict[object, tuple[Lane, CallBudget]] = {}
        self._free: deque[Entry] = deque()
        self._queue: asyncio.Queue[tuple[Entry, Lane | None]] = asyncio.Queue()
        self._wake = asyncio.Event()
        self._workers = workers
        self._busy = 0
        self.stopping = False
        self.last_turn = now()

    def wake(self) -> None:
        """Look again now: something was scheduled, or became possible."""
        self._wake.set()

    async def run(self) -> None:
        """Dispatch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._worker(), name=f"worker-{number}")
            while True:
                self._wake.clear()
                delay = self.turn()
                try:
                    await asyncio.wait_for(self._wake.wait(), timeout=delay)
                except TimeoutError:
                    continue

    def turn(self) -> float:
        """Dispatch what may go now; return the seconds until something else may."""
        now = self._now()
        self.last_turn = now
        if self.stopping:
            return _IDLE
        for entry in self._scheduler.pop_due(now):
            if not entry.busy:
                entry.busy = True
                self._enqueue(entry)
        while self._free and self._busy < self._workers:
            self._hand_over(self._free.popleft(), None)
        wait = _IDLE
        for key, (lane, budget) in list(self._lanes.items()):
            wait = min(wait, self._drain(lane, budget, now))
            if not lane and not lane.in_flight:
                del self._lanes[key]
        due = self._scheduler.next_due()
        return wait if due is None else min(wait, max(0.0, due - self._now()))

    def oldest_due(self) -> float | None:
        """Return the due time of the EvsJob that waits longest, None where none waits."""
        dues = [due for lane, _ in self._lanes.values() if (due := lane.oldest_due()) is not None]
        if self._free:
            dues.append(self._free[0].due)
        return min(dues, default=None)

    @property
    def in_flight(self) -> int:
        """Number of EvsJobs that workers have in hand."""
        return self._busy

    def _enqueue(self, entry: Entry) -> None:
        where = self._lane_of(entry)
        if where is None:
            self._free.append(entry)
            return
        key, budget = where
        lane = self._lanes[key][0] if key in self._lanes else Lane()
        self._lanes[key] = (lane, budget)
        lane.push(entry)

    def _drain(self, lane: Lane, budget: CallBudget, now: float) -> float:
        while lane and lane.in_flight < LANE_WORKERS and self._busy < self._workers:
            wait = budget.take(now)
            if wait > 0:
                return wait
            entry = lane.pop()
            lane.in_flight += 1
            self._hand_over(entry, lane)
        return _IDLE

    def _hand_over(self, entry: Entry, lane: Lane | None) -> None:
        self._busy += 1
        self._queue.put_nowait((entry, lane))

    async def _worker(self) -> None:
        while True:
            entry, lane = await self._queue.get()
            try:
                await self._work(entry)
            finally:
                entry.busy = False
                self._busy -= 1
                if lane is not None:
                    lane.in_flight -= 1
                self._wake.set()
