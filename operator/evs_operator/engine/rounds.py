"""Whose Secrets are read now. Pure.

Broken connections come first, each every two seconds, so that a repaired Secret is noticed within a few. Connections in
good order take turns at what is left: a Secret that changes while the old credential still works has time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .session import Session

TICK: Final = 0.5
"""Seconds between two rounds."""
BROKEN_PER_SECOND: Final = 60
HEALTHY_PER_SECOND: Final = 10
_AGAIN: Final = 2.0
_IDLE_AGAIN: Final = 10.0
_IDLE_AFTER: Final = 60.0


def due_reads(sessions: Iterable[Session], now: float) -> list[Session]:
    """Return the sessions whose Secrets are read in this round, the one that waits longest first."""
    broken: list[Session] = []
    healthy: list[Session] = []
    for session in sessions:
        if session.spec is None:
            continue
        used = now - session.asked_at < _IDLE_AFTER
        if now - session.read_at >= (_AGAIN if used or session.block else _IDLE_AGAIN):
            (broken if session.block or not session.read_at else healthy).append(session)
    return _longest(broken, BROKEN_PER_SECOND) + _longest(healthy, HEALTHY_PER_SECOND)


def _longest(sessions: list[Session], per_second: int) -> list[Session]:
    return sorted(sessions, key=lambda session: session.read_at)[: max(int(per_second * TICK), 1)]
