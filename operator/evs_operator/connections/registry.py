"""All connections: which one an EvsJob uses, whether it may, and a caller that is signed in.

Called by the workers before each call, by the watch when a connection object changes, and by `controller`, which has
Secrets read periodically. What a connection is made of has modules of its own: `access` (which one an EvsJob means, and
what its status says if it cannot be used), `tenancy` (which namespace may use it), `credential_loader` (Secrets become
an identity), `credential.identity` (the credential and its verdict), `caller` (one call).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from evs_operator.api.connection import parse_connection
from evs_operator.api.names import CLUSTER_EVS_CONNECTION
from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.api.spec import EvsJobSpec, SpecError
from evs_operator.api.stored import StoredConnectionStatus, connection_status, mapping, same_connection_status
from evs_operator.clock import Clock
from evs_operator.cloud.budget import Budget
from evs_operator.cloud.endpoints import AllowList
from evs_operator.connections.credential.identity import Identity, Refusal
from evs_operator.core.observation import Trouble
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.objects import ObjectKey
from evs_operator.observe.faults import in_words
from evs_operator.redact.redaction import Redaction

from . import access
from .caller import Caller, Callers
from .clients import EvsClients, MakeClient
from .connection import Connection, title
from .credential_loader import CredentialLoader, PlatformAuth, limit_of
from .reachability import Reach
from .tenancy import Tenancy

_FOREVER: Final = float("inf")

_log = logging.getLogger(__name__)


class ConnectionRegistry:
    """All connections by kind, namespace and name.

    `on_change` gets a connection whose status may have to be written, `on_foreign` one whose status somebody else
    wrote, with the object's metadata; `on_healed` gets the key of one whose credential is accepted again, by all
    projects (None) or by one.
    """

    def __init__(
        self,
        api: KubeApi,
        allow: AllowList,
        operator_namespace: str,
        clock: Clock,
        *,
        platform: PlatformAuth | None = None,
        redaction: Redaction | None = None,
        make_client: MakeClient | None = None,
        on_change: Callable[[Connection], None] = lambda connection: None,
        on_foreign: Callable[[Connection, Mapping[str, object]], None] = lambda connection, metadata: None,
        on_healed: Callable[[ObjectKey, str | None], None] = lambda key, project_id: None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._registry: dict[ObjectKey, Connection] = {}
        self._loader = CredentialLoader(
            api,
            allow,
            operator_namespace,
            clock,
            platform=platform or PlatformAuth(),
            redaction=redaction or Redaction(clock),
            on_judged=self._judged,
            on_project=self._project_healed,
            retire=self._retire,
            on_change=self.changed,
        )
        self._callers = Callers(make_client or EvsClients(allow), clock, self.changed)
        self.tenancy = Tenancy(api, clock)
        self._on_change = on_change
        self._on_foreign = on_foreign
        self._on_healed = on_healed

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._registry.values()))

    def knows_newer(self, key: ObjectKey, version: str) -> bool:
        """Return whether a newer version of a connection is known, by its number."""
        known = self._registry.get(key)
        return known is not None and _older(version, known.resource_version)

    def apply(self, key: ObjectKey, body: Mapping[str, object], *, fresh: bool = False) -> Connection | None:
        """Take a connection object as it is now; return its connection where the spec is new or changed.

        `fresh` means that it was read a moment ago: it is the truth, whatever its version. Raises what we stumble
        over in reading the spec, which then blocks the connection and is read again next time.
        """
        metadata = mapping(body.get("metadata"))
        uid, version = str(metadata.get("uid")), str(metadata.get("resourceVersion"))
        generation = metadata.get("generation")
        generation = generation if isinstance(generation, int) else 0
        known = self._registry.get(key)
        if not fresh and known is not None and _older(version, known.resource_version):
            return None
        status = connection_status(body.get("status"))
        if known is not None and (known.uid, known.generation, known.stumbled) == (uid, generation, False):
            self._take_status(known, version, status, metadata)
            return None
        if known is not None:
            self._close(known)
        reach = Reach.recalled(status, generation)
        connection = Connection(key, uid, generation, version, status, born=self._clock(), reach=reach)
        self._registry[key] = connection
        self._read_spec(connection, body.get("spec"))
        return connection

    def _take_status(
        self, known: Connection, version: str, status: StoredConnectionStatus, metadata: Mapping[str, object]
    ) -> None:
        """Take the status of a connection whose spec is known."""
        if version == known.resource_version:
            return  # known by its write
        foreign = not any(same_connection_status(status, other) for other in (known.status, *known.tried))
        known.resource_version, known.status = version, status
        if foreign:
            self._on_foreign(known, metadata)

    def _read_spec(self, connection: Connection, spec: object) -> None:
        """Read the spec of a new connection; raises what we stumble over, which blocks the connection."""
        key = connection.key
        try:
            connection.spec = parse_connection(spec, cluster=key.kind == CLUSTER_EVS_CONNECTION)
        except SpecError as error:
            connection.own_refusal = _invalid(f"{title(key)}: {error}")
        except Exception as fault:
            connection.own_refusal = _invalid(f"{title(key)}: its spec cannot be read: {in_words(fault)}")
            connection.stumbled = True
            self.changed(connection)
            raise
        else:
            connection.budget = Budget(*limit_of(connection.spec))  # until the Secret tells with whom it is shared

    def remove(self, key: ObjectKey, uid: str | None = None) -> bool:
        """Forget a connection and its credential; one that was created anew under the name stays (False)."""
        connection = self._registry.get(key)
        if connection is None or (uid is not None and connection.uid != uid):
            return False
        del self._registry[key]
        self._close(connection)
        self._loader.leave(connection)
        return True

    def gone(self, present: Collection[str], kind: str, namespaces: Collection[str], before: float) -> list[ObjectKey]:
        """Return connections that a LIST begun at `before` did not show; `namespaces` empty means all."""
        return [
            connection.key
            for connection in self
            if connection.key.kind == kind
            and connection.uid not in present
            and connection.born < before
            and (not namespaces or connection.key.namespace in namespaces)
        ]

    def key_of(self, namespace: str, spec: EvsJobSpec) -> ObjectKey:
        """Return the connection that an EvsJob means, whether it is there or not."""
        return access.meant(namespace, spec, self._registry)

    def get(self, key: ObjectKey) -> Connection | None:
        """Return a connection, None if it is not there."""
        return self._registry.get(key)

    def find(self, namespace: str, spec: EvsJobSpec) -> Connection | None:
        """Return the connection that an EvsJob uses, None if it is not there."""
        return self._registry.get(self.key_of(namespace, spec))

    async def client_for(
        self, namespace: str, spec: EvsJobSpec, *, urgent: bool = False
    ) -> tuple[Connection, str, Caller]:
        """Return connection, project id and a caller for an EvsJob; `urgent` if a person asks for the poll.

        Raises ConnectionTroubleError if a person must act, KubeError if the API server did not answer.
        """
        while True:
            connection = await self._connection_for(namespace, spec)
            if self._registry.get(connection.key) is connection:
                break  # else the connection changed meanwhile
        project_id = access.project_to_ask(connection, namespace, spec, self._clock(), urgent=urgent)
        return connection, project_id, self.client(connection, project_id, namespace)

    async def _connection_for(self, namespace: str, spec: EvsJobSpec) -> Connection:
        """Return the connection that an EvsJob may use, with its Secrets read; raises as `client_for`."""
        key = self.key_of(namespace, spec)
        connection = self._registry.get(key) or await self._fetch(namespace, spec)
        if connection is None:
            raise access.not_found(key, spec, self._registry)
        connection.asked_at = self._clock()
        if connection.spec is not None:
            why = await self.tenancy.refusal(connection.key, connection.spec.allowed, namespace)
            if why:
                raise access.not_allowed(connection.key, why)
        await self.prepare(connection)
        return connection

    async def prepare(self, connection: Connection) -> None:
        """Read the Secrets where that was not done; a failure blocks the connection."""
        if connection.identity is not None or connection.own_refusal is not None:
            return  # a read that is under way is not waited for: what was read before serves meanwhile
        async with connection.lock:
            if connection.identity is None and connection.own_refusal is None:
                await self._loader.open(connection)

    async def refresh(self, connection: Connection) -> bool:
        """Read the Secrets again; return True where they give another credential or another trouble than before."""
        before = (connection.identity, connection.tls, connection.own_refusal and connection.own_refusal.trouble)
        async with connection.lock:
            await self._loader.open(connection)
        return before != (
            connection.identity,
            connection.tls,
            connection.own_refusal and connection.own_refusal.trouble,
        )

    def changed(self, connection: Connection) -> None:
        """Tell that the status of a connection may have to be written."""
        self._on_change(connection)

    def client(self, connection: Connection, project_id: str | None, namespace: str = "") -> Caller:
        """Return the caller of a prepared connection for one project; None is for proving the credential alone."""
        if connection.identity is None:
            raise access.not_read_yet(connection.key)
        return self._callers.of(connection, connection.identity, project_id, namespace)

    async def aclose(self) -> None:
        """Close all clients."""
        for connection in self:
            self._close(connection)
        await self.close_retired(_FOREVER)

    async def close_retired(self, now: float) -> None:
        """Close clients of credentials that were replaced a while ago, and forget what nobody uses."""
        await self._callers.close_retired(now)
        self._loader.forget_unused(self)

    def keep_secrets(self) -> None:
        """Forget the secrets that nobody holds any more."""
        self._loader.keep_secrets()

    async def _fetch(self, namespace: str, spec: EvsJobSpec) -> Connection | None:
        """Ask the API server before a connection is called missing: its watch may be behind the EvsJob's."""
        for key in access.possible(namespace, spec, self._registry):
            try:
                body = await objects.read(self._api, key)
            except KubeError as error:
                if error.status not in (403, 404):
                    raise
                continue
            if (connection := self.apply(key, body, fresh=True)) is not None:
                self.changed(connection)
            return self._registry.get(key)
        return None

    def _close(self, connection: Connection) -> None:
        connection.closed = True
        self._retire(connection)

    def _retire(self, connection: Connection) -> None:
        self._callers.retire(connection)
        self.tenancy.forget(connection.key)

    def _judged(self, identity: Identity, healed: bool) -> None:
        for connection in self:
            if connection.identity is identity:
                self.changed(connection)
                if healed:
                    self._on_healed(connection.key, None)

    def _project_healed(self, identity: Identity, project_id: str) -> None:
        for connection in self:
            if connection.identity is identity:
                self._on_healed(connection.key, project_id)


def _invalid(what: str) -> Refusal:
    return Refusal(Trouble(Reason.INVALID_SPEC, what), ConnectionReason.INVALID_SPEC, _FOREVER)


def _older(one: str, other: str) -> bool:
    try:
        return int(one) < int(other)
    except ValueError:
        return False
