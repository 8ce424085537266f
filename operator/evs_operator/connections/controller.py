"""Looks after the connections, round by round: takes their changes, has Secrets read and credentials verified.

Secrets are read with GET (`refresh_order` decides when), so the operator needs neither `list` nor `watch` on them.
Every change polls the EvsJobs that it affects at once. Writing the status is `status_writer`'s.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Generic, Protocol, TypeVar

from evs_operator.api.names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION
from evs_operator.api.stored import mapping
from evs_operator.clock import Clock
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.foreign_writes import ForeignWrites
from evs_operator.kube.objects import ObjectKey
from evs_operator.observe.faults import Faults
from evs_operator.observe.seldom import Seldom
from evs_operator.observe.wording import Ours

from .connection import Connection, short_name, title
from .refresh_order import TICK
from .registry import ConnectionRegistry
from .secret_refresh import SecretRefresh
from .status_writer import ConnectionStatusWriter
from .verification import Verification

READ: Final = "READ"
"""Event type of an object that was read a moment ago."""
_RESYNC: Final = 300.0
_NAMESPACES: Final = 5.0
_POLLED_AGAIN: Final = 1.0
"""Seconds after which the EvsJobs of a connection are polled again because it changed again."""
_FORGETTING: Final = 60.0

_log = logging.getLogger(__name__)


class UsingJob(Protocol):
    """What is looked at of an EvsJob that uses a connection."""

    namespace: str


JobT = TypeVar("JobT", bound=UsingJob)


class JobsOfConnections(Protocol[JobT]):
    """The EvsJobs, as far as connections know them; `jobs.rescheduling` is this."""

    def jobs_of(self, key: ObjectKey) -> list[JobT]:
        """Return the unfinished EvsJobs that use this connection."""
        ...

    def idle_jobs_of(self, key: ObjectKey, project_id: str | None) -> list[JobT]:
        """Return those that no worker has in hand, all (None) or those of one project."""
        ...

    def wake(self, entries: Iterable[JobT]) -> None:
        """Poll EvsJobs now, within their budget."""
        ...


class ConnectionController(Generic[JobT]):
    """Background care for all connections; one instance per process."""

    def __init__(
        self,
        api: KubeApi,
        registry: ConnectionRegistry,
        jobs: JobsOfConnections[JobT],
        clock: Clock,
        writer: ConnectionStatusWriter,
        namespaces: Collection[str],
    ) -> None:
        self._api = api
        self._registry = registry
        self._jobs = jobs
        self._clock = clock
        self._writer = writer
        self._namespaces = tuple(namespaces)
        self._looks = SecretRefresh(self._look_at, clock)
        self._verification = Verification(registry, clock)
        self._seldom = Seldom(_log)
        self._faults = Faults(clock, _log)
        self._next_resync = 0.0
        self._next_namespaces = 0.0
        self._at_namespaces: asyncio.Task[None] | None = None
        self._next_forgetting = 0.0
        self._polled: dict[ObjectKey, float] = {}
        self._poll_later: set[ObjectKey] = set()
        self._foreign = ForeignWrites(clock, _log)

    def on_event(self, kind: str, event_type: str | None, body: Mapping[str, object]) -> bool:
        """Take a watch event of a connection; its jobs are polled at once where it changed.

        Return False where a list (`event_type` None) shows it older than it is known; what was `READ` is the truth.
        """
        metadata = mapping(body.get("metadata"))
        namespace = str(metadata.get("namespace")) if kind == EVS_CONNECTION else ""
        key = ObjectKey(kind, namespace, str(metadata.get("name")))
        if event_type == "DELETED":
            self._remove(key, str(metadata.get("uid")))
            return True
        if event_type is None and self._registry.knows_newer(key, str(metadata.get("resourceVersion"))):
            return False
        if (connection := self._registry.apply(key, body, fresh=event_type == READ)) is not None:
            self._writer.mark(connection)
            self._poll_jobs_of(key)
        return True

    def resync_soon(self) -> None:
        """Compare with a LIST in the next round: the watch may have missed that connections were deleted."""
        self._next_resync = 0.0

    async def run(self) -> None:
        """Look after the connections until cancelled."""
        try:
            while True:
                await asyncio.sleep(TICK)
                await self._round()
        finally:
            if self._at_namespaces is not None:
                self._at_namespaces.cancel()
            await self._looks.aclose()
            await self._verification.aclose()

    async def _round(self) -> None:
        now, guard = self._clock(), self._faults.guard
        self._polled = {key: at for key, at in self._polled.items() if now - at < _POLLED_AGAIN}
        for key in self._poll_later - self._polled.keys():
            with guard(short_name(key), "its EvsJobs are not polled"):
                self._poll_jobs_of(key)
        with guard("connections", "Secrets not looked at"):
            self._looks.start_due(self._registry)
        with guard("connections", "not verified"):
            self._verification.start_due(self._registry)
        if now >= self._next_namespaces and (self._at_namespaces is None or self._at_namespaces.done()):
            self._next_namespaces = now + _NAMESPACES
            self._at_namespaces = asyncio.create_task(self._look_at_namespaces(), name="namespaces")
        if now >= self._next_resync:
            self._next_resync = now + _RESYNC * random.uniform(0.9, 1.1)
            with guard("connections", "not compared with a list"):
                await self._resync()
        with guard("connections", "statuses not written"):
            await self._writer.write()
        with guard("connections", "clients not closed"):
            await self._registry.close_retired(now)
        if now >= self._next_forgetting:
            self._next_forgetting = now + _FORGETTING
            with guard("connections", "secrets not forgotten"):
                self._registry.keep_secrets()

    async def _look_at_namespaces(self) -> None:
        """Poll the jobs of namespaces that may use a connection by now; a look that hangs holds up no round."""
        try:
            for key, namespace in await self._registry.tenancy.newly_allowed():
                self._poll_jobs_of(key, namespace)
        except Exception:  # noqa: BLE001  # the next look may be better
            _log.exception("namespaces: could not be checked")

    async def _look_at(self, connection: Connection) -> None:
        """Read the Secrets of one connection; the jobs of one whose credential changed are polled at once."""
        first = not connection.read_at
        try:
            if await self._registry.refresh(connection) and not first:
                _log.info("%s: Secret changed", Ours(title(connection.key)))
                self._poll_jobs_of(connection.key)
        except KubeError as error:
            message = Ours(f"{title(connection.key)}:", error.message)
            self._seldom.warning(f"read {error.status}", message, {"connection": short_name(connection.key)})

    async def _resync(self) -> None:
        """Remove connections that were deleted unseen, and take those that the watch has not brought."""
        for kind, places in ((EVS_CONNECTION, self._namespaces), (CLUSTER_EVS_CONNECTION, ())):
            started = self._clock()
            present: set[str] = set()
            try:
                for place in places or (None,):
                    async for body in objects.list_connections(self._api, kind, place):
                        metadata = mapping(body.get("metadata"))
                        present.add(str(metadata.get("uid")))
                        with self._faults.guard(
                            f"{kind} {metadata.get('namespace')}/{metadata.get('name')}", "not taken from a list"
                        ):
                            self.on_event(kind, None, body)
            except KubeError as error:
                if error.status != 403:  # without the right to list them there are none here
                    self._seldom.warning("list", Ours("connections:", error.message))
                continue
            for key in self._registry.gone(present, kind, places, started):
                _log.info("%s: was deleted while the watch was down", Ours(title(key)))
                self._remove(key, None)

    def changed(self, connection: Connection) -> None:
        """Have the status of a connection written, if it says something else now."""
        self._writer.mark(connection)

    def overwritten(self, connection: Connection, metadata: Mapping[str, object]) -> None:
        """Have a status put right that somebody else wrote."""
        self._foreign.met(f"{connection.key.kind} {short_name(connection.key)}", metadata)
        self._writer.mend(connection)

    def _remove(self, key: ObjectKey, uid: str | None) -> None:
        affected = self._jobs.jobs_of(key)
        if self._registry.remove(key, uid):
            self._jobs.wake(affected)

    def poll_healed(self, key: ObjectKey, project_id: str | None) -> None:
        """Poll what waited for a credential, or for one project alone, to be accepted again."""
        self._jobs.wake(self._jobs.idle_jobs_of(key, project_id))

    def _poll_jobs_of(self, key: ObjectKey, namespace: str | None = None) -> None:
        """Poll the EvsJobs of a connection, or one namespace's; all of them once a second, however often it changes."""
        if namespace is None:
            if self._clock() - self._polled.get(key, float("-inf")) < _POLLED_AGAIN:
                self._poll_later.add(key)
                return
            self._polled[key] = self._clock()
            self._poll_later.discard(key)
        self._jobs.wake([e for e in self._jobs.jobs_of(key) if namespace in (None, e.namespace)])
