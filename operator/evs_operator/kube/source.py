"""kopf's watch streams as the source of objects: list, watch, resume, start again after 410, time out, sign in anew.

Every object that is listed, added, changed or deleted is handed to a callback, synchronously and in the order of the
stream. kopf's reactor is left out: a task, two queues, three loggers and four wrappers for each event cost more than
all the rest of a job's life, its timers and daemons add finalizers, and one refused PATCH ends them silently
(docs/decisions). Its streams are not in kopf's public API, so kopf is pinned and a contract test holds every name used
here. The supervisor restarts a source that ends or falls behind.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterator, Mapping

from evs_operator.api.names import CLUSTER_EVS_CONNECTION, GROUP, PLURALS, VERSION

from .cluster import Cluster, Login
from .lean_kopf import Bookmark, Vault, infinite_watch, kopf, vault_var

OnEvent = Callable[[str, str | None, Mapping[str, object]], None]
"""Called with the kind, the event type (None: listed) and the object."""

_log = logging.getLogger(__name__)


async def watch(
    cluster: Cluster,
    kinds: Collection[str],
    namespaces: Collection[str],
    on_event: OnEvent,
    on_listed: Callable[[], None],
) -> None:
    """Watch until cancelled or until a stream ends for good; `namespaces` empty means all of them.

    `on_listed` is called once everything was listed, and whenever a part of it was listed again.
    """
    vault, settings, logins = Vault(), _settings(), list[Login]()
    vault_var.set(vault)  # kopf's requests find it in the context of their task
    places = [(kind, place) for kind in kinds for place in _places(kind, namespaces)]
    unlisted = set(places)

    async def follow(kind: str, namespace: str | None) -> None:
        resource = kopf.Resource(GROUP, VERSION, PLURALS[kind], kind=kind, namespaced=kind != CLUSTER_EVS_CONNECTION)
        async for event in infinite_watch(
            settings=settings,
            resource=resource,
            namespace=namespace,  # type: ignore[arg-type]  # a NewType of str that kopf keeps to itself
        ):
            if event is Bookmark.LISTED:
                unlisted.discard((kind, namespace))
                if not unlisted:
                    on_listed()
            elif not isinstance(event, Bookmark) and event["type"] != "BOOKMARK":
                try:
                    on_event(kind, event["type"], event["object"])
                except Exception:  # noqa: BLE001  # a fault of ours with one object must not end the stream of all
                    _log.exception("%s: an event was not understood", kind)

    tasks = [asyncio.create_task(_sign_in(cluster, vault, logins), name="sign in")]
    tasks += [asyncio.create_task(follow(kind, place), name=f"watch {kind}") for kind, place in places]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled() and (error := task.exception()):
                refused = isinstance(error, kopf.LoginError)  # its own words speak of handlers and libraries
                _log.warning("watch ended: %s", "the API server refuses our credential" if refused else error)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=5)
        await vault.close()
        await _close(logins)


async def _sign_in(cluster: Cluster, vault: Vault, logins: list[Login]) -> None:
    """Give kopf credentials, and others when the API server refuses them."""
    while True:
        await vault.wait_for_emptiness()
        await _close(logins)
        logins.append(await cluster.login())
        await vault.populate({"cluster": logins[-1]})


async def _close(logins: list[Login]) -> None:
    """Close the sessions that kopf was given; it closes none that it has not used."""
    while logins:
        await logins.pop().aiohttp_session.close()


def _places(kind: str, namespaces: Collection[str]) -> list[str | None]:
    return [None] if kind == CLUSTER_EVS_CONNECTION or not namespaces else [*namespaces]


def _settings() -> kopf.OperatorSettings:
    """Return the settings that were tried under faults (design, section 4)."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = 70
    settings.watching.reconnect_backoff = 1.0
    settings.watching.chunk_size = 250
    settings.watching.initial_streaming = False
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = _Backoffs()
    return settings


class _Backoffs:
    """Endless jittered waits, 1 to 30 s; iterated anew for each request."""

    def __iter__(self) -> Iterator[float]:
        wait = 1.0
        while True:
            yield wait * random.uniform(0.8, 1.2)
            wait = min(wait * 2, 30.0)
