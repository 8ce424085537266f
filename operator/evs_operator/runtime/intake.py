"""Takes what the watch brings, each object for itself: a fault with one of them concerns no other.

Called by the source for every object that is listed, added, changed or deleted. An object that could not be taken is
logged with its name, an EvsJob says so in its status, and it is read and taken again with growing waits. So is what a
list shows older than it is known: after a restore of etcd resourceVersions go back, and a read is the truth.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from evs_operator.api.names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION
from evs_operator.api.stored import mapping
from evs_operator.clock import Clock
from evs_operator.connections.controller import READ
from evs_operator.jobs.entry import Entry
from evs_operator.jobs.reconciler import JobReconciler
from evs_operator.jobs.rescheduling import Rescheduling
from evs_operator.jobs.store import Change, Store
from evs_operator.jobs.warm_start import WarmStart
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.objects import ObjectKey
from evs_operator.kube.watch.stream import RESTORED
from evs_operator.observe.faults import Faults

_TICK: Final = 1.0
_AT_A_TIME: Final = 50
"""Objects that are read again in one tick."""
_NO_NAME: Final = "?"

_log = logging.getLogger(__name__)

TakeConnection = Callable[[str, str | None, Mapping[str, object]], bool]
"""Takes kind, event type (`READ`: read a moment ago) and object; False if it may be older than what is known."""


class Intake:
    """Hands EvsJobs to store and reconciler, connections to `take_connection`; `listing` until the first list is in."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        reconciler: JobReconciler,
        rescheduling: Rescheduling,
        warm_start: WarmStart,
        take_connection: TakeConnection,
        clock: Clock,
        listing: Callable[[], bool],
    ) -> None:
        self._api = api
        self._store = store
        self._reconciler = reconciler
        self._rescheduling = rescheduling
        self._warm_start = warm_start
        self._take_connection = take_connection
        self._clock = clock
        self._listing = listing
        self._faults = Faults(clock, _log)
        self._aside: dict[ObjectKey, float] = {}

    def on_event(self, kind: str, event_type: str | None, body: Mapping[str, object]) -> None:
        """Process an event; raises nothing."""
        try:
            self._take(kind, event_type, body, fresh=event_type == RESTORED)
        except Exception as fault:  # noqa: BLE001  # a fault of ours with one object must not end the stream of all
            self._set_aside(kind, body, fault)

    async def run(self) -> None:
        """Retry what could not be processed, until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            now = self._clock()
            due = [key for key, at in self._aside.items() if at <= now][:_AT_A_TIME]
            await asyncio.gather(*map(self._take_again, due))

    async def _take_again(self, key: ObjectKey) -> None:
        del self._aside[key]
        body: Mapping[str, object] = {}
        try:
            body = await objects.read(self._api, key)
            entry = self._take(key.kind, "MODIFIED", body, fresh=True)
            if entry is not None:
                self._rescheduling.changed(entry)
        except KubeError as error:
            if error.status != 404:  # then the watch tells that it is gone
                self._aside[key] = self._clock() + self._faults.met(_named(key), "could not be read again", error)
        except Exception as fault:  # noqa: BLE001  # as above
            self._set_aside(key.kind, body, fault)
        else:
            self._faults.over(_named(key))

    def _set_aside(self, kind: str, body: Mapping[str, object], fault: Exception) -> None:
        key = _key(kind, body)
        wait = self._faults.met(_named(key), "could not process an event", fault)
        if key.name != _NO_NAME:
            self._aside[key] = self._clock() + wait
        entry = self._store.get(str(mapping(mapping(body).get("metadata")).get("uid")))
        if entry is not None and not entry.place.busy:
            with self._faults.guard(_named(key), "the fault could not be told"):
                self._reconciler.tell_fault(entry, fault, wait)

    def _take(self, kind: str, event_type: str | None, body: Mapping[str, object], *, fresh: bool) -> Entry | None:
        if kind in (EVS_CONNECTION, CLUSTER_EVS_CONNECTION):
            if not self._take_connection(kind, READ if fresh else event_type, body):
                self._aside[_key(kind, body)] = self._clock()
            return None
        entry, change = self._store.apply(event_type, body, fresh=fresh)
        if change is Change.DOUBT:
            self._aside[_key(kind, body)] = self._clock()
            return None
        if entry is None or change is Change.DELETED:
            return None
        self._take_job(entry, change)
        return entry

    def _take_job(self, entry: Entry, change: Change) -> None:
        if self._listing():
            self._warm_start.collect(entry)
        if change is Change.SPEC:
            self._rescheduling.changed(entry)
        elif change is Change.FOREIGN and not entry.place.busy:
            self._rescheduling.mend(entry)
        elif entry.seen.finished and not entry.place.busy:
            self._rescheduling.consider(entry)


def _key(kind: str, body: Mapping[str, object]) -> ObjectKey:
    metadata = mapping(mapping(body).get("metadata"))
    name, namespace = metadata.get("name"), metadata.get("namespace")
    shown = name if isinstance(name, str) and name else _NO_NAME
    return ObjectKey(kind, namespace if isinstance(namespace, str) else "", shown)


def _named(key: ObjectKey) -> str:
    return f"{key.kind} {key.namespace}/{key.name}" if key.namespace else f"{key.kind} {key.name}"
