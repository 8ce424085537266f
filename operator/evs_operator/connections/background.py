"""Work for connections that runs beside the rounds, one task at a time for each.

Used by `verification` and `secret_refresh`, which decide whose turn it is and how many may run together.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Iterator

from .connection import Connection


class BackgroundTasks:
    """Tasks by connection. `ended` is called when one is over, with the fault of ours that ended it or None."""

    def __init__(self, ended: Callable[[Connection, Exception | None], None]) -> None:
        self._ended = ended
        self._running: dict[Connection, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._running)

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._running

    def by_namespace(self) -> Counter[str]:
        """Return how many run for each namespace."""
        return Counter(connection.key.namespace for connection in self._running)

    def add(self, connection: Connection, task: asyncio.Future[None]) -> None:
        """Take a task that was started for a connection that has none."""
        self._running[connection] = task
        task.add_done_callback(functools.partial(self._over, connection))

    def cancel(self, connection: Connection) -> None:
        """Cancel the task of a connection."""
        self._running[connection].cancel()

    async def aclose(self) -> None:
        """Cancel all tasks and wait for them."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _over(self, connection: Connection, task: asyncio.Future[None]) -> None:
        del self._running[connection]
        fault = None if task.cancelled() else task.exception()
        self._ended(connection, fault if isinstance(fault, Exception) else None)
