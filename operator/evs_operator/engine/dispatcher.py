"""Hands due EvsJobs to a fixed pool of workers, connection by connection.

Each connection has a lane: its share of the workers is bounded, so that a hung endpoint takes workers from no
one else, and its budget says when the next call may go. EvsJobs that need no call wait for no budget.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from evs_operator.core.schedule_price import DueQueue, Price

from .scheduler import Scheduler
from .store import Entry

WORKERS: Final = 256
LANE_WORKERS: Final = 32
_IDLE = 60.0


Patience = Callable[[Entry, float], float]
"""Seconds that an EvsJob can wait while a call costs the price given (seconds of unnoticed end)."""


class CallBudget(Protocol):
    """Says when the next call to one endpoint with one credential may go."""

    def take(self, now: float) -> float:
        """Return 0.0 and count the call, or the seconds until one may go."""


class Lane:
    """EvsJobs of one connection that wait for a call.

    Namespaces take turns; within a namespace the call goes where it is worth most (`core.schedule_price`).
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._price = Price()
        self._turns: OrderedDict[str, DueQueue[Entry]] = OrderedDict()
        self._since: OrderedDict[str, float] = OrderedDict()
        self.in_flight = 0

    def __bool__(self) -> bool:
        return bool(self._turns)

    def push(self, entry: Entry) -> None:
        """Add an EvsJob that is due."""
        queue = self._turns.setdefault(entry.namespace, DueQueue())
        self._since[entry.uid] = entry.due
        if entry.last_poll is None:
            queue.push_first(entry)
        else:
            queue.push(entry, entry.last_poll, self._patience(entry, self._price.value))

    def pop(self, now: float) -> Entry | None:
        """Take the next one; None where nobody waits."""
        while self._turns:
            namespace, queue = self._turns.popitem(last=False)
            served = queue.pop(now)
            if served is None:
                continue
            if len(queue):
                self._turns[namespace] = queue
            if served.urgency is not None:
                self._price.served(served.urgency)
            self._since.pop(served.item.uid, None)
            return served.item
        return None

    def oldest_due(self) -> float | None:
        """Return the due time of the EvsJob that came into the lane first, None where nobody waits."""
        return next(iter(self._since.values()), None)


class Dispatcher:
    """Moves due entries into lanes and from there to workers.

    `lane_of` names the lane and the budget of an entry, or None where it needs no call now.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        work: Callable[[Entry], Awaitable[None]],
        lane_of: Callable[[Entry], tuple[object, CallBudget] | None],
        patience: Patience,
        now: Callable[[], float],
        *,
        workers: int = WORKERS,
    ) -> None:
        self._scheduler = scheduler
        self._work = work
        self._lane_of = lane_of
        self._patience = patience
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
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._worker(), name=f"worker-{number}")
            while True:
                self._wake.clear()
                # Not asyncio.wait_for(): before Python 3.12 it may lose a cancellation that comes with the wake-up.
                timer = loop.call_later(self.turn(), self._wake.set)
                await self._wake.wait()
                timer.cancel()

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
        lane = self._lanes[key][0] if key in self._lanes else Lane(self._patience)
        self._lanes[key] = (lane, budget)
        lane.push(entry)

    def _drain(self, lane: Lane, budget: CallBudget, now: float) -> float:
        while lane and lane.in_flight < LANE_WORKERS and self._busy < self._workers:
            wait = budget.take(now)
            if wait > 0:
                return wait
            entry = lane.pop(now)
            if entry is None:
                break
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
