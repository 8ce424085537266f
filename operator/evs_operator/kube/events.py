"""Writes Events (`events.k8s.io/v1`) in the background, and drops them rather than delay a status write.

`EventRecorder.tell()` only puts a transition into a bounded queue, whose namespaces take turns (`event_queue`); four
tasks send what is there, one request for each. The same transition of the same object again within minutes counts up
the series of the Event that is there. Events are for people and best effort: what the API server refuses or the queue
cannot hold is dropped and counted; the status is what tells the truth. Without the permission the operator works, and
says so once.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from evs_operator.api.names import API_VERSION, GROUP
from evs_operator.core.plain_status import LEFT_OUT
from evs_operator.core.transitions import Transition
from evs_operator.observe.wording import Ours

from .api import METADATA, KubeApi, KubeError
from .event_queue import EventQueue
from .objects import ObjectKey

CONTROLLER: Final = f"{GROUP}/evs-operator"
_QUEUE: Final = 500
"""Events of one namespace that may wait."""
_SENDERS: Final = 4
_SERIES_WINDOW: Final = 360.0
"""Seconds in which a repetition belongs to the same series, as in client-go."""
_REMEMBERED: Final = 1000
_TRIES: Final = 3
_RETRY_AFTER: Final = 5.0
_REFUSED_PAUSE: Final = 300.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Happened:
    key: ObjectKey
    uid: str
    transition: Transition
    at: float


@dataclass(slots=True)
class _Known:
    """An Event that was written not long ago."""

    name: str
    count: int
    at: float


class EventRecorder:
    """Queue and senders; one instance per process. `count` is called with the result of each Event."""

    def __init__(
        self,
        api: KubeApi,
        now: Callable[[], float],
        count: Callable[[str], None],
        *,
        instance: str = "",
        capacity: int = _QUEUE,
    ) -> None:
        self._api = api
        self._now = now
        self._count = count
        self._instance = (instance or socket.gethostname())[:128]
        self._queue: EventQueue[_Happened] = EventQueue(capacity)
        self._known: OrderedDict[tuple[str, Transition], _Known] = OrderedDict()
        self._refused: dict[str, float] = {}
        self._told_refused = False
        self._waiting = asyncio.Event()

    def tell(self, key: ObjectKey, uid: str, transition: Transition | None) -> None:
        """Queue a transition to be written as an Event; returns at once. None is ignored."""
        if transition is None:
            return
        happened = _Happened(key, uid, transition, self._now())
        loser = self._queue.put(key.namespace, happened, warning=transition.type == "Warning")
        if loser is not None:
            self._drop(loser, "too many Events of this namespace wait")
        self._waiting.set()

    @property
    def busy(self) -> bool:
        """True while Events are queued or being sent."""
        return bool(self._queue or self._queue.on_the_way)

    async def run(self) -> None:
        """Send Events until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_SENDERS):
                group.create_task(self._send_all())

    async def flush(self, seconds: float) -> None:
        """Wait for what is queued to be sent, at most that long."""
        end = self._now() + seconds
        while self.busy and self._now() < end:  # noqa: ASYNC110  # over in a second
            await asyncio.sleep(0.02)

    async def _send_all(self) -> None:
        while True:
            taken = self._queue.take()
            if taken is None:
                self._waiting.clear()
                await self._waiting.wait()
                continue
            namespace, happened = taken
            try:
                await self._send(happened)
            except Exception:  # noqa: BLE001  # a fault of ours in one Event must not end all Events
                _log.exception("Event for %s %s: could not be written", happened.key.kind, Ours(happened.key.name))
            finally:
                self._queue.done(namespace)
                self._waiting.set()

    async def _send(self, happened: _Happened) -> None:
        key = happened.key
        if self._now() < self._refused.get(key.namespace, 0.0):
            self._count("refused")
            return
        for attempt in range(1, _TRIES + 1):
            try:
                await self._write(happened)
            except KubeError as error:
                if error.status == 403:
                    self._take_refusal(key, error)
                    return
                if error.status in (400, 422) and happened.transition.note != LEFT_OUT:
                    happened = replace(happened, transition=replace(happened.transition, note=LEFT_OUT))
                    continue
                if not error.passing or attempt == _TRIES:
                    self._drop(key.namespace, error.message)
                    return
                await asyncio.sleep(_RETRY_AFTER)
            else:
                self._count("written")
                return

    async def _write(self, happened: _Happened) -> None:
        """Increment the series of the existing Event, or write a new one."""
        mark = (happened.uid, happened.transition)
        known = self._known.get(mark) if happened.transition.may_repeat else None
        path = f"/apis/events.k8s.io/v1/namespaces/{quote(happened.key.namespace or 'default')}/events"
        if known is not None and happened.at - known.at < _SERIES_WINDOW:
            series = {"count": known.count + 1, "lastObservedTime": _micro_time(happened.at)}
            try:
                await self._api.request(
                    "PATCH",
                    f"{path}/{known.name}",
                    body={"series": series},
                    content_type="application/merge-patch+json",
                    accept=f"{METADATA},application/json",
                )
            except KubeError as error:
                if error.status != 404:
                    raise  # 404: the Event's time to live is over
            else:
                known.count, known.at = known.count + 1, happened.at
                return
        # `kubectl describe` shows them by name: the time in it, as client-go writes it, makes that the order of time
        name = f"{happened.key.name[:236].rstrip('.-')}.{int(happened.at * 1e9):016x}"
        body = self._event(happened, name)
        await self._api.request("POST", path, body=body, accept=f"{METADATA},application/json")
        if happened.transition.may_repeat:
            self._known[mark] = _Known(name, 1, happened.at)
            self._known.move_to_end(mark)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def _event(self, happened: _Happened, name: str) -> dict[str, object]:
        key, transition = happened.key, happened.transition
        regarding = {"apiVersion": API_VERSION, "kind": key.kind, "name": key.name, "uid": happened.uid}
        if key.namespace:
            regarding["namespace"] = key.namespace
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            # an Event of a cluster-scoped object is kept in the namespace default
            "metadata": {"name": name, "namespace": key.namespace or "default"},
            "eventTime": _micro_time(happened.at),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": str(transition.action),
            "reason": transition.reason,
            "regarding": regarding,
            "note": transition.note,
            "type": transition.type,
        }

    def _take_refusal(self, key: ObjectKey, error: KubeError) -> None:
        self._count("refused")
        if "being terminated" in error.message:  # nothing can be created in a namespace that goes
            return
        self._refused[key.namespace] = self._now() + _REFUSED_PAUSE
        if not self._told_refused:
            self._told_refused = True
            _log.warning("no Events: grant create and patch on events.events.k8s.io; statuses are still written")

    def _drop(self, namespace: str, why: str) -> None:
        self._count("dropped")
        _log.debug("Event in %s dropped: %s", Ours(namespace or "default"), why)


def _micro_time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
