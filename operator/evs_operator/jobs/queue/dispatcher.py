"""Hands due EvsJobs to workers, budget by budget.

EvsJobs that need a call wait in a lane until their budget gives one away: one lane for all connections that ask the
same endpoint with the same credential, so that no connection is served before another. EvsJobs that need no call
wait for no budget. Each lane has one worker of its own, and a share of the others that shrinks while few are free:
however many endpoints hang, there is always a worker for the next.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from evs_operator.jobs.entry import Entry
from evs_operator.observe.wording import Ours

from .lane import CallBudget, Lane, Patience
from .scheduler import Scheduler

WORKERS: Final = 256
"""Workers that the lanes share, beside the one of each lane."""
_SHARE: Final = 4
"""A lane takes no more than this part (1/4) of the workers that are free."""
_IDLE = 60.0
_AFTER_FAULT: Final = 1.0

_log = logging.getLogger(__name__)


LookAt = Callable[[Entry], float | None]
"""When an EvsJob that waits for a call is looked at without one."""
Route = tuple[object, CallBudget | None]
"""The key of a lane and its budget; without a budget one EvsJob at a time makes the connection ready."""
OnFault = Callable[[Entry, str, Exception], None]
"""Takes a fault of ours with one EvsJob, and what was not done."""
Work = Callable[[Entry, CallBudget | None], Awaitable[None]]
"""Process an EvsJob, with one call of that budget where there is one."""


class Dispatcher:
    """Moves due entries into lanes and from there to workers.

    `route_of` names the lane of an entry, or None where it needs no call now. An entry that waits surfaces again at
    `look_at`, to be routed anew. `may_work` is asked at each turn.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        work: Work,
        route_of: Callable[[Entry], Route | None],
        patience: Patience,
        now: Callable[[], float],
        *,
        look_at: LookAt = lambda entry: None,
        on_fault: OnFault | None = None,
        may_work: Callable[[], bool] = lambda: True,
        workers: int = WORKERS,
    ) -> None:
        self._scheduler = scheduler
        self._look_at = look_at
        self._on_fault = on_fault or _log_fault
        self._may_work = may_work
        self._work = work
        self._route_of = route_of
        self._patience = patience
        self._now = now
        self._lanes: dict[object, Lane] = {}
        self._free: deque[tuple[Entry, int]] = deque()
        self._tickets = itertools.count(1)
        self._queue: asyncio.Queue[tuple[Entry, Lane | None, bool]] = asyncio.Queue()
        self._wake = scheduler.wake
        self._group: asyncio.TaskGroup | None = None
        self._workers = workers
        self._started = 0
        self._busy = 0
        self._shared_busy = 0
        self._stopping = False
        self.last_turn = now()

    def stop(self) -> None:
        """Hand over nothing more; what workers have in hand goes on."""
        self._stopping = True

    async def run(self) -> None:
        """Dispatch until cancelled."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as self._group:
            while True:
                self._wake.clear()
                # Not asyncio.wait_for(): before Python 3.12 it may lose a cancellation that comes with the wake-up.
                timer = loop.call_later(self._guarded_turn(), self._wake.set)
                await self._wake.wait()
                timer.cancel()

    def _guarded_turn(self) -> float:
        """Take a turn; a fault of ours that none of its EvsJobs answers for must not end the dispatcher."""
        try:
            wait = self.turn()
        except Exception:  # noqa: BLE001  # where it goes on, `last_turn` stands and the process is found unhealthy
            _log.exception("a turn of the dispatcher failed")
            return _AFTER_FAULT
        self.last_turn = self._now()
        return wait

    def turn(self) -> float:
        """Dispatch what may go now; return the seconds until something else may."""
        now = self._now()
        if self._stopping or not self._may_work():
            return _IDLE
        came = [entry for entry in self._scheduler.pop_due(now) if not entry.place.busy and self._enqueue(entry, now)]
        while self._free and self._shared_busy < self._workers:
            entry, ticket = self._free.popleft()
            if entry.place.ticket == ticket:
                self._hand_over(entry, None)
        wait = _IDLE
        for key, lane in list(self._lanes.items()):
            wait = min(wait, self._guarded_drain(lane, now))
            if lane.budget is not None:
                lane.budget.waiting = lane.length
            if not lane.waits and not lane.in_flight:
                del self._lanes[key]
        for entry in came:
            if entry.place.ticket:
                self._remind(entry)
        due = self._scheduler.next_due()
        return wait if due is None else min(wait, max(0.0, due - self._now()))

    def oldest_due(self) -> float | None:
        """Return the due time of the EvsJob that waits longest, None where none waits."""
        dues = [due for lane in self._lanes.values() if (due := lane.oldest_due()) is not None]
        if self._free:
            dues.append(self._free[0][0].place.due)
        return min(dues, default=None)

    def unserved(self) -> float:
        """Return for how many seconds some EvsJob waits for a worker that it should have had."""
        now = self._now()
        waits = [lane.unserved(now) for lane in self._lanes.values()]
        if self._free:
            waits.append(max(now - self._free[0][0].place.due, 0.0))
        return max(waits, default=0.0)

    @property
    def in_flight(self) -> int:
        """Number of EvsJobs that workers have in hand."""
        return self._busy

    def _remind(self, entry: Entry) -> None:
        try:
            at = self._look_at(entry)
            if at is not None:
                self._scheduler.remind(entry, at)
        except Exception as fault:  # noqa: BLE001  # it waits for its call without being looked at meanwhile
            _log_fault(entry, "not looked at while it waits", fault)

    def _enqueue(self, entry: Entry, now: float) -> bool:
        """Put an entry where it waits; return whether that is for a call.

        One that we stumble over waits for none: a worker says so in its status.
        """
        try:
            return self._put(entry, None if entry.polling.fault else self._route_of(entry), now)
        except Exception as fault:  # noqa: BLE001  # of whatever kind: it concerns this EvsJob alone
            entry.place.ticket = 0
            self._stumbled(entry, "not scheduled", fault)
            return False

    def _stumbled(self, entry: Entry, what: str, fault: Exception) -> None:
        try:
            self._on_fault(entry, what, fault)
        except Exception as another:  # noqa: BLE001  # then it waits for a change or for the next process
            _log_fault(entry, what, another)

    def _put(self, entry: Entry, route: Route | None, now: float) -> bool:
        ticket = next(self._tickets)
        if route is None:
            entry.place.ticket = ticket
            entry.place.due = now
            self._free.append((entry, ticket))
            return False
        key, budget = route
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(budget, self._patience, now)
        elif not lane.waits:
            lane.served_at = now
        lane.push(entry, ticket)
        return True

    def _guarded_drain(self, lane: Lane, now: float) -> float:
        try:
            return self._drain(lane, now)
        except Exception:  # noqa: BLE001  # a fault of ours with one budget must not stop the others
            _log.exception("a lane could not be served")
            return _AFTER_FAULT

    def _drain(self, lane: Lane, now: float) -> float:
        while lane.waits and self._has_room(lane):
            wait = lane.budget.take(now) if lane.budget else 0.0
            if wait > 0:
                return wait
            entry = lane.pop(now)
            if entry is None:
                if lane.budget:
                    lane.budget.unused()
                break
            self._hand_over(entry, lane)
        return _IDLE

    def _has_room(self, lane: Lane) -> bool:
        if lane.in_flight == 0:
            return True
        free = self._workers - self._shared_busy
        return lane.in_flight < min(lane.most_in_flight(), free // _SHARE)

    def _hand_over(self, entry: Entry, lane: Lane | None) -> None:
        shared = lane is None or lane.in_flight > 0
        if lane is not None:
            lane.in_flight += 1
        entry.place.busy, entry.place.ticket = True, 0
        self._busy += 1
        self._shared_busy += shared
        self._queue.put_nowait((entry, lane, shared))
        if self._busy > self._started and self._group is not None:
            self._started += 1
            self._group.create_task(self._worker(), name=f"worker-{self._started}")

    async def _worker(self) -> None:
        while True:
            entry, lane, shared = await self._queue.get()
            try:
                await self._work(entry, lane.budget if lane is not None else None)
            except Exception as fault:  # noqa: BLE001  # the worker serves all
                self._stumbled(entry, "not processed", fault)
            finally:
                entry.place.busy = False
                self._busy -= 1
                self._shared_busy -= shared
                if lane is not None:
                    lane.in_flight -= 1
                self._wake.set()


def _log_fault(entry: Entry, what: str, fault: Exception) -> None:
    _log.error("EvsJob %s: %s", Ours(f"{entry.namespace}/{entry.name}"), what, exc_info=fault)
