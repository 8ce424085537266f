"""Finds out with one call whether the cloud accepts the credential of a connection that no EvsJob uses.

Called in each round of `connections`. Jobs prove a credential by being polled; where none did within a few seconds, one
call is made. A call that did not tell is made again, with growing waits; a refused credential keeps to its own times.
Each namespace has one call under way at a time, and they take turns at what may run together: who has sixty connections
to an endpoint that hangs waits for them alone.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from evs_operator.clock import Clock
from evs_operator.evs import errors
from evs_operator.observe.faults import Faults

from .background import BackgroundTasks
from .connection import Connection, title
from .registry import ConnectionRegistry

_LEFT_TO_JOBS: Final = 3.0
"""Seconds in which EvsJobs that are applied together with the connection may prove it."""
_USED: Final = 60.0
_FIRST_WAIT: Final = 5.0
_LONGEST_WAIT: Final = 300.0
_AT_ONCE: Final = 64
_OF_CLUSTER: Final = 4
"""Calls under way together: in all, and for ClusterEvsConnections; for any namespace it is one."""

_log = logging.getLogger(__name__)


class Verification:
    """Runs the calls beside the rounds; a hung endpoint holds up nobody else."""

    def __init__(self, registry: ConnectionRegistry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._running = BackgroundTasks(self._ended)
        self._again: dict[Connection, tuple[float, float]] = {}
        self._served: dict[str, int] = {}
        self._turn = itertools.count(1)
        self._faults = Faults(clock, _log)

    def start_due(self, registry: Iterable[Connection]) -> None:
        """Start the calls that are due."""
        present = set(registry)
        self._again = {connection: again for connection, again in self._again.items() if connection in present}
        for connection in self._running:
            if connection not in present:  # it was changed or deleted: nobody waits for this answer
                self._running.cancel(connection)
        for connection in self._in_turns(present):
            if len(self._running) >= _AT_ONCE:
                return
            self._served[connection.key.namespace] = next(self._turn)
            self._running.add(connection, asyncio.create_task(self._verify(connection), name="verify"))

    def _in_turns(self, present: Collection[Connection]) -> Iterator[Connection]:
        """Yield whom to call for: by the namespace that waited longest, within it what was never tried first."""
        waiting: defaultdict[str, list[Connection]] = defaultdict(list)
        for connection in present:
            with self._faults.guard(title(connection.key), "not verified"):
                if (
                    connection not in self._running
                    and not self._faults.waits(title(connection.key))
                    and self._is_due(connection)
                ):
                    waiting[connection.key.namespace].append(connection)
        self._served = {name: turn for name, turn in self._served.items() if name in waiting}
        running = self._running.by_namespace()
        for namespace in sorted(waiting, key=lambda name: self._served.get(name, 0)):
            room = (1 if namespace else _OF_CLUSTER) - running[namespace]
            yield from sorted(waiting[namespace], key=self._since)[: max(room, 0)]

    def _since(self, connection: Connection) -> tuple[float, float]:
        return self._again.get(connection, (0.0, 0.0))[0], connection.born

    async def aclose(self) -> None:
        """End the calls that run."""
        await self._running.aclose()

    def _ended(self, connection: Connection, fault: Exception | None) -> None:
        if fault is not None:
            wait = self._faults.met(title(connection.key), "not verified", fault)
            self._again[connection] = self._clock() + wait, wait

    def _is_due(self, connection: Connection) -> bool:
        now, identity = self._clock(), connection.identity
        if identity is None or identity.accepted or connection.own_refusal or now - connection.born < _LEFT_TO_JOBS:
            return False
        if identity.tried and now - connection.asked_at < _USED:
            return False  # its EvsJobs will tell
        if identity.refusal is not None and identity.refusal.lasts(now):
            return False
        return now >= max(self._again.get(connection, (0.0, 0.0))[0], connection.budget.paused_until)

    async def _verify(self, connection: Connection) -> None:
        project_id = connection.spec.project_id if connection.spec else None
        wait = min(self._again.get(connection, (0.0, _FIRST_WAIT / 2))[1] * 2, _LONGEST_WAIT)
        caller = self._registry.client(connection, project_id)
        if caller.budget.take(self._clock()) > 0:
            return  # a later round tries again
        try:
            await caller.prove(project_id)
        except errors.CloudError:  # what it means was noted where it was met
            self._again[connection] = (self._clock() + wait, wait)
        else:
            self._again.pop(connection, None)
