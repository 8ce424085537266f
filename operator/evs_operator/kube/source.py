"""The source of objects: a stream for each kind and place, on credentials that are renewed.

Every object that is listed, added, changed or deleted is handed to a callback, synchronously and in the order of the
stream. Of kopf the reading of a watch is used, and its vault of credentials; its reactor is left out: a task, two
queues, three loggers and four wrappers for each event cost more than all the rest of a job's life, its timers and
daemons add finalizers, and one refused PATCH ends them silently (docs/decisions). What is used is not in kopf's public
API, so kopf is pinned and a contract test holds every name of it. The supervisor restarts a source that ends or falls
behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from evs_operator.api.names import CLUSTER_EVS_CONNECTION
from evs_operator.observe.seldom import Seldom

from .api import KubeApi
from .cluster import Cluster, Login
from .lean_kopf import Vault, kopf, vault_var
from .pulse import Pulse
from .stream import Stream

OnEvent = Callable[[str, str | None, Mapping[str, object]], None]
"""Called with the kind, the event type (None: listed) and the object."""

_LISTS_AT_ONCE = 2
"""Lists whose pages are held in memory together, however many namespaces are watched."""

_log = logging.getLogger(__name__)


async def watch(
    cluster: Cluster,
    api: KubeApi,
    kinds: Collection[str],
    namespaces: Collection[str],
    on_event: OnEvent,
    on_listed: Callable[[], None],
    on_failed: Callable[[], None],
    pulse: Pulse,
) -> None:
    """Watch until cancelled or until a stream ends for good; `namespaces` empty means all of them.

    `on_listed` is called once everything was listed, and whenever a part of it was listed again; `on_failed` for every
    watch that did not live as long as it should.
    """
    vault, logins = Vault(), list[Login]()
    vault_var.set(vault)  # kopf's requests find it in the context of their task
    places = [(kind, place) for kind in kinds for place in _places(kind, namespaces)]
    unlisted = set(places)
    lists, seldom = asyncio.Semaphore(_LISTS_AT_ONCE), Seldom(_log)

    def stream_of(kind: str, namespace: str | None) -> Stream:
        def take(event_type: str | None, body: Mapping[str, object]) -> None:
            try:
                on_event(kind, event_type, body)
            except Exception:  # noqa: BLE001  # a fault of ours with one object must not end the stream of all
                _log.exception("%s %s: an event was not understood", kind, _name_of(body))

        def listed() -> None:
            unlisted.discard((kind, namespace))
            if not unlisted:
                on_listed()

        return Stream(
            api, kind, namespace, take=take, listed=listed, failed=on_failed, pulse=pulse, lists=lists, seldom=seldom
        )

    streams = [stream_of(kind, place) for kind, place in places]
    pulse.begin([stream.what for stream in streams])
    tasks = [asyncio.create_task(_sign_in(cluster, vault, logins), name="sign in")]
    tasks += [asyncio.create_task(stream.follow(), name=f"watch {stream.what}") for stream in streams]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled() and (error := task.exception()):
                _log.warning("watch ended: %s", _why(error))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=5)
        await vault.close()
        await _close(logins)


def _name_of(body: Mapping[str, object]) -> str:
    """Name an object in a line of the log, whatever is wrong with it."""
    metadata = body.get("metadata")
    found = metadata if isinstance(metadata, Mapping) else {}
    return "/".join(str(found[part])[:253] for part in ("namespace", "name") if found.get(part))


def _why(error: BaseException) -> str:
    """Say why a stream ended; kopf's own words for a refused credential speak of handlers and libraries."""
    refused = isinstance(error, kopf.LoginError) or getattr(error, "status", None) == 401
    return "the API server refuses our credential" if refused else str(error)


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
