"""Whose Secrets are read now. Pure.

Broken connections that EvsJobs wait for come first, each every two seconds, so that a repaired Secret is noticed within
a few. Connections in good order take turns at what is left: a Secret that changes while the old credential still works
has time, and so has a broken connection that nobody uses. Namespaces take turns in both: who has a thousand connections
delays no other namespace's by more than its own turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from .connection import Connection

TICK: Final = 0.5
"""Seconds between two rounds."""
BROKEN_PER_SECOND: Final = 100
HEALTHY_PER_SECOND: Final = 10
_AGAIN: Final = 2.0
_IDLE_AGAIN: Final = 10.0
_HEALTHY_IDLE_AGAIN: Final = 60.0
_USED_FOR: Final = 60.0
_WAITED_FOR: Final = 400.0
"""Seconds after an EvsJob asked for it; those of a broken connection ask every five minutes at the latest."""


def due(
    connections: Iterable[Connection], now: float, on_fault: Callable[[Connection, Exception], None] | None = None
) -> list[Connection]:
    """Return the connections whose Secrets are read in this round, in turns by namespace, longest wait first.

    A connection that we stumble over is told to `on_fault`, and left out.
    """
    broken: list[tuple[bool, float, Connection]] = []
    healthy: list[tuple[bool, float, Connection]] = []
    for connection in connections:
        try:
            turn = _turn_of(connection, now)
        except Exception as fault:  # of whatever kind: it concerns this connection alone
            if on_fault is None:
                raise
            on_fault(connection, fault)
            continue
        if turn is not None:
            urgent, idle = turn
            (broken if urgent else healthy).append((idle, connection.read_at, connection))
    return _first(broken, BROKEN_PER_SECOND) + _first(healthy, HEALTHY_PER_SECOND)


def _turn_of(connection: Connection, now: float) -> tuple[bool, bool] | None:
    """Return whether a connection is broken, and whether nobody uses it; None if it is not due."""
    if connection.spec is None:
        return None
    urgent = connection.refusal is not None or not connection.read_at or connection.broken_since > 0
    idle = now - connection.asked_at >= (_WAITED_FOR if urgent else _USED_FOR)
    young = now - connection.born < _USED_FOR
    rest = _IDLE_AGAIN if urgent else _HEALTHY_IDLE_AGAIN
    return (urgent, idle) if now - connection.read_at >= (_AGAIN if young or not idle else rest) else None


def _first(waiting: list[tuple[bool, float, Connection]], per_second: int) -> list[Connection]:
    """Return as many as may be read in one round: a first one of each namespace, then a second one, and so on."""
    waiting.sort(key=lambda item: item[:2])
    seen: defaultdict[tuple[str, bool], int] = defaultdict(int)
    ranked = []
    for idle, read_at, connection in waiting:
        rank = seen[connection.key.namespace, idle]
        seen[connection.key.namespace, idle] = rank + 1
        ranked.append(((idle, rank, read_at), connection))
    ranked.sort(key=lambda item: item[0])
    return [connection for _, connection in ranked[: max(int(per_second * TICK), 1)]]
