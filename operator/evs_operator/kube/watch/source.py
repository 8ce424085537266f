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
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import aclosing

from evs_operator.api.names import CLUSTER_EVS_CONNECTION
from evs_operator.kube.api import KubeApi
from evs_operator.kube.config.cluster import Cluster, Login
from evs_operator.observe.seldom import Seldom
from evs_operator.observe.wording import Ours

from .lean_kopf import Vault, kopf, vault_var
from .pulse import Pulse
from .stream import USUAL, Pace, Stream

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
    pace: Pace = USUAL,
) -> None:
    """Watch until cancelled or until a stream ends for good; `namespaces` empty means all of them.

    `on_listed` is called once all was listed, and whenever a part is listed again; `on_failed` for each early end.
    """
    logins = _Logins(cluster)
    vault_var.set(logins.vault)  # kopf's requests find it in the context of their task
    places = [(kind, place) for kind in kinds for place in _places(kind, namespaces)]
    listed = _once_all_are_listed(places, on_listed)
    lists, seldom = asyncio.Semaphore(_LISTS_AT_ONCE), Seldom(_log)

    def stream_of(kind: str, namespace: str | None) -> Stream:
        return Stream(
            api,
            kind,
            namespace,
            take=_guarded(kind, on_event),
            listed=lambda: listed(kind, namespace),
            failed=on_failed,
            renew=logins.renew,
            pulse=pulse,
            lists=lists,
            seldom=seldom,
            pace=pace,
        )

    streams = [stream_of(kind, place) for kind, place in places]
    pulse.begin([stream.what for stream in streams])
    async with aclosing(logins):
        await _follow(streams, logins)


def _once_all_are_listed(
    places: Iterable[tuple[str, str | None]], on_listed: Callable[[], None]
) -> Callable[[str, str | None], None]:
    """Return what takes a place that was listed, and calls `on_listed` once no place is left, and from then on."""
    unlisted = set(places)

    def listed(kind: str, namespace: str | None) -> None:
        unlisted.discard((kind, namespace))
        if not unlisted:
            on_listed()

    return listed


async def _follow(streams: Collection[Stream], logins: _Logins) -> None:
    """Follow all streams until one of them ends."""
    tasks = [asyncio.create_task(logins.sign_in(), name="sign in")]
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


def _guarded(kind: str, on_event: OnEvent) -> Callable[[str | None, Mapping[str, object]], None]:
    def take(event_type: str | None, body: Mapping[str, object]) -> None:
        try:
            on_event(kind, event_type, body)
        except Exception:  # noqa: BLE001  # a fault of ours with one object must not end the stream of all
            _log.exception("%s %s: could not process an event", kind, Ours(_name_of(body)))

    return take


def _name_of(body: Mapping[str, object]) -> str:
    """Name an object in a line of the log, whatever is wrong with it."""
    metadata = body.get("metadata")
    found = metadata if isinstance(metadata, Mapping) else {}
    return "/".join(str(found[part])[:253] for part in ("namespace", "name") if found.get(part))


def _why(error: BaseException) -> str:
    """Say why a stream ended; kopf's own words for a refused credential speak of handlers and libraries."""
    refused = isinstance(error, kopf.LoginError) or getattr(error, "status", None) == 401
    return "the API server refuses our credential" if refused else str(error)


class _Logins:
    """The sessions that kopf was given, the last of them in use. It closes none that it has not used."""

    def __init__(self, cluster: Cluster) -> None:
        self.vault = Vault()
        self._cluster = cluster
        self._given: list[Login] = []

    async def sign_in(self) -> None:
        """Give kopf credentials, and others when the API server refuses them; until cancelled."""
        while True:
            await self.vault.wait_for_emptiness()
            if self._given:
                self._cluster.refused()
            await self._close()
            await self._give()

    async def renew(self) -> None:
        """Give others where the cluster's configuration changed; watches under way end on the old ones."""
        await self._cluster.headers()
        if self._given and self._given[-1].generation != self._cluster.generation:
            await self._give()

    async def aclose(self) -> None:
        """Close all of them."""
        await self.vault.close()
        await self._close()

    async def _give(self) -> None:
        self._given.append(await self._cluster.login())
        await self.vault.populate({"cluster": self._given[-1]})

    async def _close(self) -> None:
        while self._given:
            await self._given.pop().aiohttp_session.close()


def _places(kind: str, namespaces: Collection[str]) -> list[str | None]:
    return [None] if kind == CLUSTER_EVS_CONNECTION or not namespaces else [*namespaces]
