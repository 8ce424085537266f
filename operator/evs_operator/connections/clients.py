"""The clients of all connections: one set of sockets for each connection, shared by all its projects.

Called by `registry`. What a project needs of its own, its authentication, is small and kept for those used last; so
whoever names project after project fills neither the memory nor the process's table of open files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import httpx

from evs_operator.api.names import CLUSTER_EVS_CONNECTION
from evs_operator.clock import Clock
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.endpoints import AllowList
from evs_operator.cloud.network import Network
from evs_operator.cloud.transport import OnCall
from evs_operator.connections.credential.identity import Asker, Identity
from evs_operator.evs import errors
from evs_operator.observe.faults import Faults

from .connection import Caller, Connection

_log = logging.getLogger(__name__)

_RETIRED_FOR: Final = 60.0
"""Seconds in which calls with a replaced credential may end."""

MakeClient = Callable[[Connection, httpx.Auth], EvsClient]
"""Makes the client of a connection with an authentication, by the sockets that the connection has already."""


@dataclass(frozen=True)
class EvsClients:
    """Makes the clients of a process; `network` bounds their sockets, `on_call` counts their requests."""

    allow: AllowList
    network: Network = field(default_factory=Network)
    on_call: OnCall | None = None

    def __call__(self, connection: Connection, auth: httpx.Auth) -> EvsClient:
        """Return a client with that authentication."""
        if connection.wire is not None:
            return connection.wire.with_auth(auth)
        return EvsClient(
            connection.spec.endpoint if connection.spec else "",
            auth,
            tls=connection.tls,
            allow=self.allow,
            on_call=self.on_call,
            network=self.network,
            turn=connection.key.namespace,
        )


class Callers:
    """Keeps the clients of each connection."""

    def __init__(self, make_client: MakeClient, clock: Clock, on_change: Callable[[Connection], None]) -> None:
        self._make_client = make_client
        self._clock = clock
        self._on_change = on_change
        self._retired: list[tuple[float, EvsClient]] = []
        self._faults = Faults(clock, _log)

    def of(self, connection: Connection, identity: Identity, project_id: str | None, namespace: str) -> Caller:
        """Return a connection's client for one project and namespace; without a project it proves the credential."""
        key = (namespace, project_id or "")
        caller = connection.clients.get(key)
        if caller is None:
            caller = self._made(connection, identity, project_id, namespace)
            connection.clients.put(key, namespace, caller)
        return caller

    def retire(self, connection: Connection) -> None:
        """Forget the clients of a connection; calls under way may end before their sockets are closed."""
        if connection.wire is not None:
            self._retired.append((self._clock() + _RETIRED_FOR, connection.wire))
        connection.empty()

    async def close_retired(self, now: float) -> None:
        """Close the sockets of credentials and specs that were replaced a while ago."""
        over = [wire for at, wire in self._retired if at <= now]
        self._retired = [(at, wire) for at, wire in self._retired if at > now]
        for wire in over:
            with self._faults.guard("connections", "sockets not closed"):
                await wire.aclose()

    def _made(self, connection: Connection, identity: Identity, project_id: str | None, namespace: str) -> Caller:
        own = connection.spec.project_id if connection.spec else None
        doubtful = connection.key.kind == CLUSTER_EVS_CONNECTION and project_id is not None and project_id != own
        auth = identity.sign_in.auth(
            project_id or "", namespace=namespace or connection.key.namespace, doubtful=doubtful
        )
        client = self._make_client(connection, auth)
        if connection.wire is None:
            connection.wire = client

        async def prove(other: str | None) -> None:
            if connection.identity is not identity:
                raise errors.ServerError("the connection has changed")
            identity.spend()
            proving = self._make_client(connection, identity.sign_in.auth(other or ""))
            await proving.prove(other, identity.sign_in.proof())

        way = (connection.key, connection.uid, connection.generation)
        fallback = own if own != project_id else None
        asker = Asker(project_id, namespace or connection.key.namespace, way, doubtful, fallback, prove)
        return Caller(client, connection, identity, asker, self._clock, self._on_change)
