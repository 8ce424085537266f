"""Watches the objects of the API server, from the wait for permission to the restart of a watch that ended.

Called by `supervisor`. What the watch brings goes to `intake`; once everything is listed, `synced` is set and work
begins. Deliberately not here: the stream itself (`kube.watch`).
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Collection
from typing import Final

from evs_operator.clock import Clock
from evs_operator.kube.access import Access, missing_access
from evs_operator.kube.api import KubeError
from evs_operator.kube.config.cluster import Cluster
from evs_operator.kube.watch import source
from evs_operator.kube.watch.pauses import Pauses
from evs_operator.kube.watch.pulse import Pulse
from evs_operator.observe.metrics import Metrics
from evs_operator.observe.wording import Ours

from .wiring import ApiServer, Parts

_WATCH_LASTED: Final = 10.0
"""Seconds after which a watch that ended is begun anew at once."""
_LONGEST_WAIT: Final = 10.0
"""Seconds between two looks at whether watching is possible, at most."""

_log = logging.getLogger(__name__)


class Watcher:
    """Keeps a watch running; `waiting_for` says in words what keeps it from beginning, "" once it has begun."""

    def __init__(
        self, cluster: Cluster, server: ApiServer, namespaces: Collection[str], clock: Clock, metrics: Metrics
    ) -> None:
        self._cluster = cluster
        self._server = server
        self._namespaces = tuple(namespaces)
        self._clock = clock
        self._metrics = metrics
        self._restart = asyncio.Event()
        self.pulse = Pulse(clock)
        self.synced = asyncio.Event()
        self.waiting_for = "starting"

    def restart(self) -> None:
        """End the watch that runs, and begin another one."""
        self._restart.set()

    async def run(self, parts: Parts) -> None:
        """Wait until watching is possible, watch, and start again whenever a watch ends."""
        pauses = Pauses(_WATCH_LASTED)
        while True:
            access, began = await self._access(), self._clock()
            await self._watch(access, parts)
            self._metrics.watch_restarts.inc()
            parts.resync.ask()
            parts.connections.resync_soon()
            await asyncio.sleep(pauses.after(self._clock() - began))

    async def _watch(self, access: Access, parts: Parts) -> None:
        """Watch until the watch ends or is restarted."""
        self._restart.clear()
        watching = source.watch(
            self._cluster,
            self._server.lists,
            access.kinds,
            self._namespaces,
            parts.intake.on_event,
            lambda: self._on_listed(parts),
            self._metrics.watch_restarts.inc,
            self.pulse,
        )
        tasks = [
            asyncio.create_task(watching, name="source"),
            asyncio.create_task(self._restart.wait(), name="restart"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _access(self) -> Access:
        """Wait until the CRDs are there and may be watched."""
        wait = 1.0
        while True:
            try:
                access = await missing_access(self._server.reads, self._namespaces)
                problem: str = Ours(access.problem)
            except KubeError as error:
                problem = error.message
            else:
                if not problem:
                    self.waiting_for = ""
                    return access
            if problem != self.waiting_for:
                _log.warning("waiting: %s", problem)
            self.waiting_for = problem
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_WAIT)

    def _on_listed(self, parts: Parts) -> None:
        """Begin to poll once all is listed; later lists came after a gap, so what it hid is looked for."""
        if self.synced.is_set():
            parts.resync.ask()
            return
        try:
            learned = parts.warm_start.learn(parts.durations, parts.registry)
        except Exception:  # noqa: BLE001  # durations are learned anew by polling
            _log.exception("durations: nothing learned from the first list")
            learned = 0
        # What was listed stays: the collector of cycles need not look through it again and again.
        gc.collect()
        gc.freeze()
        self.synced.set()
        _log.info("synced: %d EvsJobs, durations learned from %d of them", len(parts.store), learned)
