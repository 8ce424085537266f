"""Takes the snapshot that the metrics are made of: what is the case now, read from the parts.

Called at each scrape, in the event loop: one pass over the EvsJobs (a few ms for 10,000) and one over the connections.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from evs_operator.api.reading import JobState
from evs_operator.clock import Clock
from evs_operator.connections.connection import Connection, short_name
from evs_operator.core.phase import INVALID_SPEC, PENDING, Phase
from evs_operator.jobs.entry import Entry
from evs_operator.observe.metrics import BudgetNow, Snapshot
from evs_operator.observe.wording import Ours

from .wiring import Parts

S = TypeVar("S")
T = TypeVar("T")

_log = logging.getLogger(__name__)


def take_snapshot(parts: Parts, clock: Clock, *, leads: bool, works: bool) -> Snapshot:
    """Return what is the case now; `works` is false until the first list is complete: nothing is late before that."""
    now = clock()
    phases = Counter(_each(_phase, parts.store))
    jobs: Counter[str] = Counter()
    acting: Counter[str] = Counter()
    for phase, number in phases.items():
        jobs[phase.state] += number
        if phase.job_state is JobState.ACTION_REQUIRED:
            acting[phase.reason] += number
    connections = list(parts.registry)
    dues = [due for due in (parts.dispatcher.oldest_due(), parts.scheduler.next_due()) if due is not None]
    verified = parts.resync.verified

    def time_of_day(moment: float) -> float:
        """Turn a moment of the operator's clock into the time of day that Prometheus compares it with."""
        return clock.wall().timestamp() - (now - moment)

    return Snapshot(
        jobs=jobs,
        needing_action=acting,
        connections=Counter(_each(_state, connections)),
        blocked=[refusal for refusal in _each(_blocked, connections) if refusal],
        budgets=list(_each(lambda connection: _budget(connection, now), connections)),
        oldest_due=max([now - due for due in dues] + [0.0]) if works else 0.0,
        last_turn=time_of_day(parts.dispatcher.last_turn) if works else None,
        store_verified=None if verified is None else time_of_day(verified),
        watch_events=parts.store.received,
        leads=leads,
    )


def _each(read: Callable[[S], T], objects: Iterable[S]) -> Iterator[T]:
    """Yield what is read of each; one that we stumble over is left out, and a scrape shows the others."""
    for one in objects:
        try:
            yield read(one)
        except Exception:  # noqa: BLE001  # of whatever kind: it concerns this object alone
            _log.exception("%s: could not be counted", Ours(str(getattr(one, "key", None) or getattr(one, "name", ""))))


def _blocked(connection: Connection) -> tuple[str, str] | None:
    return None if connection.refusal is None else (short_name(connection.key), str(connection.refusal.reason))


def _phase(entry: Entry) -> Phase:
    if entry.seen.spec is None and not entry.seen.finished:
        return INVALID_SPEC
    return PENDING if entry.seen.retargeted else entry.seen.phase


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
