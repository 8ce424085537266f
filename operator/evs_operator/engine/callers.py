"""The clients of all connections: one set of sockets for each connection, shared by all its projects.

Called by `sessions`. What a project needs of its own, its authentication, is small and kept for those used last; so
whoever names project after project fills neither the memory nor the process's table of open files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import httpx

from evs_operator.api.names import CLUSTER_EVS_CONNECTION
from evs_operator.cloud import errors
from evs_operator.cloud.client import EvsClient

from .clock import Clock
from .faults import Faults
from .identity import Asker, Identity
from .session import Caller, Session

_log = logging.getLogger(__name__)

_RETIRED_FOR: Final = 60.0
"""Seconds in which calls with a replaced credential may end."""


class Callers:
    """Makes and keeps clients; `evs_client` makes one with an authentication, by the session's sockets."""

    def __init__(
        self,
        evs_client: Callable[[Session, httpx.Auth], EvsClient],
        clock: Clock,
        on_change: Callable[[Session], None],
    ) -> None:
        self._evs_client = evs_client
        self._clock = clock
        self._on_change = on_change
        self._retired: list[tuple[float, EvsClient]] = []
        self._faults = Faults(clock, _log)

    def of(self, session: Session, identity: Identity, project_id: str | None, namespace: str) -> Caller:
        """Return the client of a session for one project and namespace; without a project it proves the credential."""
        key = (namespace, project_id or "")
        caller = session.clients.get(key)
        if caller is None:
            caller = self._made(session, identity, project_id, namespace)
            session.clients.put(key, namespace, caller)
        return caller

    def retire(self, session: Session) -> None:
        """Forget the clients of a session; calls under way may end before their sockets are closed."""
        if session.wire is not None:
            self._retired.append((self._clock() + _RETIRED_FOR, session.wire))
        session.empty()

    async def close_retired(self, now: float) -> None:
        """Close the sockets of credentials and specs that were replaced a while ago."""
        over = [wire for at, wire in self._retired if at <= now]
        self._retired = [(at, wire) for at, wire in self._retired if at > now]
        for wire in over:
            with self._faults.guard("connections", "sockets not closed"):
                await wire.aclose()

    def _made(self, session: Session, identity: Identity, project_id: str | None, namespace: str) -> Caller:
        own = session.spec.project_id if session.spec else None
        doubtful = session.key.kind == CLUSTER_EVS_CONNECTION and project_id is not None and project_id != own
        auth = identity.sign_in.auth(project_id or "", namespace=namespace or session.key.namespace, doubtful=doubtful)
        client = self._evs_client(session, auth)
        if session.wire is None:
            session.wire = client

        async def prove(other: str | None) -> None:
            if session.identity is not identity:
                raise errors.ServerError("the connection has changed")
            identity.spend()
            proving = self._evs_client(session, identity.sign_in.auth(other or ""))
            await proving.prove(other, identity.sign_in.proof())

        way = (session.key, session.uid, session.generation)
        fallback = own if own != project_id else None
        asker = Asker(project_id, namespace or session.key.namespace, way, doubtful, fallback, prove)
        return Caller(client, session, identity, asker, self._clock, self._on_change)
