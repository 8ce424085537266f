"""Takes the snapshot that the metrics are made of: what is the case now, read from the parts.

Called at each scrape, in the event loop: one pass over the EvsJobs (a few ms for 10,000) and one over the connections.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from evs_operator.clock import Clock
from evs_operator.connections.connection import Connection
from evs_operator.connections.registry import ConnectionRegistry, short_name
from evs_operator.core.phase import PENDING, Phase
from evs_operator.jobs.queue.dispatcher import Dispatcher
from evs_operator.jobs.queue.scheduler import Scheduler
from evs_operator.jobs.resync import Resync
from evs_operator.jobs.store import Entry, Store
from evs_operator.observe.metrics import BudgetNow, Snapshot
from evs_operator.observe.wording import Ours

S = TypeVar("S")
T = TypeVar("T")

_log = logging.getLogger(__name__)
_INVALID_SPEC = Phase("stalled", "InvalidSpec")


class Measure:
    """Reads the parts of one process; `leads` and `works` are the supervisor's to say."""

    def __init__(
        self,
        *,
        store: Store,
        scheduler: Scheduler,
        dispatcher: Dispatcher,
        registry: ConnectionRegistry,
        resync: Resync,
        clock: Clock,
        leads: Callable[[], bool],
        works: Callable[[], bool],
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._dispatcher = dispatcher
        self._registry = registry
        self._resync = resync
        self._clock = clock
        self._leads = leads
        self._works = works

    def overdue(self) -> float:
        """Return how many seconds the EvsJob that waits longest is due, for a worker or for the scheduler."""
        dues = (self._dispatcher.oldest_due(), self._scheduler.next_due())
        return max((self._clock() - due for due in dues if due is not None), default=0.0) if self._works() else 0.0

    def __call__(self) -> Snapshot:
        """Take a snapshot."""
        now = self._clock()
        phases = Counter(_each(_phase, self._store))
        jobs: Counter[str] = Counter()
        acting: Counter[str] = Counter()
        for phase, number in phases.items():
            jobs[phase.state] += number
            if phase.state == "stalled":
                acting[phase.reason] += number
        connections = list(self._registry)
        verified = self._resync.verified
        return Snapshot(
            jobs=jobs,
            needing_action=acting,
            connections=Counter(_each(_state, connections)),
            blocked=[refusal for refusal in _each(_blocked, connections) if refusal],
            budgets=list(_each(lambda connection: _budget(connection, now), connections)),
            oldest_due=max(self.overdue(), 0.0),
            last_turn=self._wall(self._dispatcher.last_turn) if self._works() else None,
            store_verified=None if verified is None else self._wall(verified),
            watch_events=self._store.received,
            leads=self._leads(),
        )

    def _wall(self, moment: float) -> float:
        """Turn a moment of the operator's clock into the time of day that Prometheus compares it with."""
        return self._clock.wall().timestamp() - (self._clock() - moment)


def _each(read: Callable[[S], T], objects: Iterable[S]) -> Iterator[T]:
    """Yield what is read of each; one that we stumble over is left out, and a scrape shows the others."""
    for one in objects:
        try:
            yield read(one)
        except Exception:  # noqa: BLE001  # of whatever kind: it concerns this object alone
            _log.exception("%s: not counted", Ours(str(getattr(one, "key", None) or getattr(one, "name", ""))))


def _blocked(connection: Connection) -> tuple[str, str] | None:
    return None if connection.refusal is None else (short_name(connection.key), str(connection.refusal.reason))


def _phase(entry: Entry) -> Phase:
    if entry.spec is None and not entry.finished:
        return _INVALID_SPEC
    return PENDING if entry.anew else entry.phase


def _state(connection: Connection) -> str:
    if connection.refusal is not None:
        return "blocked"
    if connection.unreachable:
        return "unreachable"
    return "ready" if connection.verified else "unverified"


def _budget(connection: Connection, now: float) -> BudgetNow:
    budget = connection.budget
    paused = now < budget.paused_until
    return BudgetNow(short_name(connection.key), 0.0 if paused else budget.rate, budget.ceiling, paused, budget.calls)
