"""Reads the Secrets of connections beside the rounds, so that one read that hangs delays nothing else.

Called in each round of `controller`; `refresh_order` says whose turn it is. Reads under way are bounded, for each
namespace and in all. What a read finds is the business of whoever is called for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from evs_operator.clock import Clock
from evs_operator.observe.faults import Faults

from .background import BackgroundTasks
from .connection import Connection, title
from .refresh_order import due

_AT_ONCE: Final = 64
_OF_NAMESPACE: Final = 32
"""Reads in flight together, in all and for one namespace."""

_log = logging.getLogger(__name__)


class SecretRefresh:
    """Runs `look` for each connection that is due; it raises nothing but faults of ours, which are logged by name."""

    def __init__(self, look: Callable[[Connection], Awaitable[None]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._faults = Faults(clock, _log)
        self._running = BackgroundTasks(self._ended)

    def start_due(self, connections: Iterable[Connection]) -> None:
        """Start the reads that are due."""
        running = self._running.by_namespace()
        waiting = [connection for connection in connections if connection not in self._running]
        if self._faults:
            waiting = [connection for connection in waiting if not self._faults.waits(title(connection.key))]
        for connection in due(waiting, self._clock(), self._stumbled):
            namespace = connection.key.namespace
            if len(self._running) >= _AT_ONCE:
                return
            if running[namespace] < _OF_NAMESPACE:
                running[namespace] += 1
                self._running.add(connection, asyncio.ensure_future(self._look(connection)))

    async def aclose(self) -> None:
        """Cancel the reads in flight."""
        await self._running.aclose()

    def _ended(self, connection: Connection, fault: Exception | None) -> None:
        if fault is not None:
            self._stumbled(connection, fault)
        else:
            self._faults.over(title(connection.key))

    def _stumbled(self, connection: Connection, fault: Exception) -> None:
        self._faults.met(title(connection.key), "its Secret was not read", fault)
