"""Compares the store with what the API server lists, so that no missed watch event stays unnoticed.

Every five minutes, and after the watch listed everything anew, a metadata-only LIST removes EvsJobs that
are gone; where the LIST shows changes that the watch does not bring, the watch is dead and is restarted.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection
from typing import Final

from evs_operator.clock import Clock
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.objects import Listed

from .store import Store

_PERIOD: Final = 300.0
_SETTLE: Final = 5.0
_WATCH_LAG: Final = 15.0

_log = logging.getLogger(__name__)


class Resync:
    """Runs beside the watch; one instance per process.

    `verified` is when a LIST last showed that the watch had missed nothing, None before the first one.
    """

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        clock: Clock,
        namespaces: Collection[str],
        restart_watch: Callable[[], None],
    ) -> None:
        self._api = api
        self._store = store
        self._clock = clock
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._restart_watch = restart_watch
        self._asked = asyncio.Event()
        self.verified: float | None = None

    def ask(self) -> None:
        """Compare soon: the watch has listed everything again."""
        self._asked.set()

    async def run(self) -> None:
        """Compare again and again until cancelled; what the watch listed at the start is the first LIST."""
        self.verified = self._clock()
        loop = asyncio.get_running_loop()
        while True:
            timer = loop.call_later(_PERIOD * random.uniform(0.9, 1.1), self._asked.set)
            await self._asked.wait()
            timer.cancel()
            await asyncio.sleep(_SETTLE)  # a list that brings thousands of events asks once
            self._asked.clear()
            try:
                await self.compare()
            except KubeError as error:
                _log.warning("resync: %s", error.message)
            except Exception:  # noqa: BLE001  # the next one may go better, and the watch goes on meanwhile
                _log.exception("resync: failed")

    async def compare(self) -> None:
        """List once and correct the store."""
        started = self._clock()
        present: set[str] = set()
        behind: list[Listed] = []
        for namespace in self._namespaces:
            async for item in objects.list_jobs(self._api, namespace):
                present.add(item.uid)
                if self._is_behind(item):
                    behind.append(item)
        gone = self._store.retain(present, started)
        if gone:
            _log.info("resync: %d EvsJobs were deleted while the watch was down", len(gone))
        if behind:
            await asyncio.sleep(_WATCH_LAG)
            missed = sum(1 for item in behind if self._is_behind(item))
            if missed:
                _log.warning("resync: the watch missed changes of %d EvsJobs, restarting it", missed)
                self._restart_watch()
                return
        self.verified = started

    def _is_behind(self, item: Listed) -> bool:
        return self._store.is_older(item.uid, item.resource_version)
