"""The clients of a process: one set of sockets for each connection, shared by all its projects.

Used by `caller`, which keeps what they are made for. Tests and other programs give the registry another `MakeClient`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.endpoints import AllowList
from evs_operator.cloud.network import Network
from evs_operator.cloud.transport import OnCall

from .connection import Connection

MakeClient = Callable[[Connection, httpx.Auth], EvsClient]
"""Makes the client of a connection with an authentication, by the sockets that the connection has already."""


@dataclass(frozen=True)
class EvsClients:
    """Makes the clients of a process; `network` bounds their sockets, `on_call` counts their requests.

    `may_send` is asked before each request.
    """

    allow: AllowList
    network: Network = field(default_factory=Network)
    on_call: OnCall | None = None
    may_send: Callable[[], bool] = lambda: True

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
            may_send=self.may_send,
        )
