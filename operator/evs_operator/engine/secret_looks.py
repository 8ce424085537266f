"""Has the Secrets of connections read beside the rounds, so that one read that hangs holds up nothing else.

Called in each round of `connections`; `rounds` says whose turn it is. Reads under way are bounded, for each namespace
and in all. What a read finds is the business of whoever is called for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from .clock import Clock
from .faults import Faults
from .rounds import due_reads
from .session import Session, title
from .session_tasks import SessionTasks

_AT_ONCE: Final = 64
_OF_NAMESPACE: Final = 32
"""Reads under way together, in all and for one namespace."""

_log = logging.getLogger(__name__)


class SecretLooks:
    """Runs `look` for each session that is due; it raises nothing but faults of ours, which are logged by name."""

    def __init__(self, look: Callable[[Session], Awaitable[None]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._faults = Faults(clock, _log)
        self._running = SessionTasks(self._ended)

    def start_due(self, sessions: Iterable[Session]) -> None:
        """Start the reads that are due."""
        running = self._running.by_namespace()
        waiting = [session for session in sessions if session not in self._running]
        if self._faults:
            waiting = [session for session in waiting if not self._faults.waits(title(session.key))]
        for session in due_reads(waiting, self._clock(), self._stumbled):
            namespace = session.key.namespace
            if len(self._running) >= _AT_ONCE:
                return
            if running[namespace] < _OF_NAMESPACE:
                running[namespace] += 1
                self._running.add(session, asyncio.ensure_future(self._look(session)))

    async def aclose(self) -> None:
        """End the reads that run."""
        await self._running.aclose()

    def _ended(self, session: Session, fault: Exception | None) -> None:
        if fault is not None:
            self._stumbled(session, fault)
        else:
            self._faults.over(title(session.key))

    def _stumbled(self, session: Session, fault: Exception) -> None:
        self._faults.met(title(session.key), "its Secret was not read", fault)
