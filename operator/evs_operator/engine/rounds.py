"""Whose Secrets are read now. Pure.

Broken connections that EvsJobs wait for come first, each every two seconds, so that a repaired Secret is noticed within
a few. Connections in good order take turns at what is left: a Secret that changes while the old credential still works
has time, and so has a broken connection that nobody uses. Namespaces take turns in both: who has a thousand connections
delays no other namespace's by more than its own turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from .session import Session

TICK: Final = 0.5
"""Seconds between two rounds."""
BROKEN_PER_SECOND: Final = 100
HEALTHY_PER_SECOND: Final = 10
_AGAIN: Final = 2.0
_IDLE_AGAIN: Final = 10.0
_HEALTHY_IDLE_AGAIN: Final = 60.0
_USED_FOR: Final = 60.0
_WAITED_FOR: Final = 400.0
"""Seconds after an EvsJob asked for it; those of a broken connection look every five minutes at the latest."""


def due_reads(sessions: Iterable[Session], now: float) -> list[Session]:
    """Return the sessions whose Secrets are read in this round, in turns by namespace, longest wait first."""
    broken: list[tuple[bool, float, Session]] = []
    healthy: list[tuple[bool, float, Session]] = []
    for session in sessions:
        if session.spec is None:
            continue
        urgent = session.block is not None or not session.read_at or session.broken_since > 0
        idle = now - session.asked_at >= (_WAITED_FOR if urgent else _USED_FOR)
        young = now - session.born < _USED_FOR
        rest = _IDLE_AGAIN if urgent else _HEALTHY_IDLE_AGAIN
        if now - session.read_at >= (_AGAIN if young or not idle else rest):
            (broken if urgent else healthy).append((idle, session.read_at, session))
    return _first(broken, BROKEN_PER_SECOND) + _first(healthy, HEALTHY_PER_SECOND)


def _first(waiting: list[tuple[bool, float, Session]], per_second: int) -> list[Session]:
    """Return as many as may be read in one round: a first one of each namespace, then a second one, and so on."""
    waiting.sort(key=lambda item: item[:2])
    seen: defaultdict[tuple[str, bool], int] = defaultdict(int)
    ranked = []
    for idle, read_at, session in waiting:
        rank = seen[session.key.namespace, idle]
        seen[session.key.namespace, idle] = rank + 1
        ranked.append(((idle, rank, read_at), session))
    ranked.sort(key=lambda item: item[0])
    return [session for _, session in ranked[: max(int(per_second * TICK), 1)]]
