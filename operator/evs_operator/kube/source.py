"""kopf as the supervised list/watch source of objects, and nothing else.

Every object that is listed, added, changed or deleted is handed to a callback, synchronously. No other part
of kopf is used: its timers and daemons add finalizers, and one refused PATCH ends them silently (design,
section 4). The supervisor restarts a source that ends or falls behind.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import kopf

from evs_operator.api.names import GROUP, PLURALS, VERSION

from .cluster import Cluster

OnEvent = Callable[[str, str | None, Mapping[str, object]], None]
"""Called with the kind, the event type (None: listed) and the object."""

_log = logging.getLogger(__name__)


class _ForgetfulProgress(kopf.ProgressStorage):
    """Keeps nothing: we have no handlers whose progress kopf would write into the object."""

    def fetch(self, **_: object) -> None:
        return None

    def store(self, **_: object) -> None:
        return None

    def purge(self, **_: object) -> None:
        return None

    def touch(self, **_: object) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:  # kopf's own type of an object's essence is a plain dict
        return essence


class _ForgetfulDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing: we compare generations ourselves."""

    def build(self, **_: object) -> Any:  # kopf's own type of an object's essence is a plain dict
        return {}

    def fetch(self, **_: object) -> None:
        return None

    def store(self, **_: object) -> None:
        return None


async def watch(
    cluster: Cluster,
    kinds: Collection[str],
    namespaces: Collection[str],
    on_event: OnEvent,
    on_started: Callable[[], None],
) -> None:
    """Watch until cancelled or until a part of kopf ends; `namespaces` empty means all of them.

    `on_started` is called once kopf has set its signal handlers, so that the caller can set its own.
    """
    tasks = await kopf.spawn_tasks(
        registry=_registry(cluster, kinds, on_event),
        settings=_settings(),
        clusterwide=not namespaces,
        namespaces=list(namespaces),
    )
    on_started()
    try:
        # Not kopf.run_tasks(): at its end it cancels every task of the loop that is younger than kopf.
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled() and (error := task.exception()):
                _log.warning("watch ended: %s", error)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=5)


def _registry(cluster: Cluster, kinds: Collection[str], on_event: OnEvent) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await cluster.login()

    kopf.on.login(registry=registry)(login)
    for kind in kinds:
        kopf.on.event(GROUP, VERSION, PLURALS[kind], registry=registry, id=kind)(_handler(kind, on_event))
    return registry


def _handler(kind: str, on_event: OnEvent) -> Callable[..., Any]:
    async def handle(event: Mapping[str, Any], **_: Any) -> None:
        on_event(kind, event["type"], event["object"])

    return handle


def _settings() -> kopf.OperatorSettings:
    """Return the settings that were tried under faults (design, section 4)."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = 70
    settings.watching.reconnect_backoff = 1.0
    settings.watching.chunk_size = 500
    settings.watching.initial_streaming = False
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = _Backoffs()
    settings.queueing.idle_timeout = 0.05
    settings.queueing.worker_limit = None
    settings.queueing.exit_timeout = 2.0
    settings.persistence.progress_storage = _ForgetfulProgress()
    settings.persistence.diffbase_storage = _ForgetfulDiffBase()
    return settings


class _Backoffs:
    """Endless jittered waits, 1 to 30 s; iterated anew for each request."""

    def __iter__(self) -> Iterator[float]:
        wait = 1.0
        while True:
            yield wait * random.uniform(0.8, 1.2)
            wait = min(wait * 2, 30.0)
