"""One connection object, in one version of its spec, with what is needed to call through it.

A changed spec, or an object that was created anew under the same name, is a new connection: what is still in flight for
the old one cannot touch it. It is filled by `registry`, calls are made with its `caller`s, and its status is written by
`status_writer`.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from evs_operator.api.connection import ConnectionSpec
from evs_operator.api.object_names import shown
from evs_operator.api.reasons import Reason
from evs_operator.api.stored import StoredConnectionStatus
from evs_operator.cloud.auth.credentials import Credentials
from evs_operator.cloud.auth.kept import Kept
from evs_operator.cloud.budget import Budget
from evs_operator.cloud.client import EvsClient
from evs_operator.connections.credential.identity import Identity, Refusal
from evs_operator.core.observation import Trouble
from evs_operator.core.refusals import SECRET
from evs_operator.kube.objects import ObjectKey

from .reachability import Reach

if TYPE_CHECKING:
    from .caller import Caller

__all__ = ["Connection", "Refusal", "short_name", "title"]

_CLIENTS: Final = 16
"""Clients of a connection that are kept, one for each namespace and project."""


@dataclass(slots=True, eq=False)
class Connection:
    """State of a connection. Times are seconds of the epoch.

    Of its Secrets only the credential and the trust that were made of them are kept; `authority` is the SHA-256 of the
    CA that is trusted, empty for the public ones. All `clients` share the sockets of `wire`. `stumbled` tells that a
    fault of ours kept the spec from being read. `tried` are statuses of ours that may have been stored or not, `mended`
    is when one was last put right that somebody else had written.
    """

    key: ObjectKey
    uid: str = ""
    generation: int = 0
    resource_version: str = "0"
    status: StoredConnectionStatus = field(default_factory=lambda: StoredConnectionStatus())
    spec: ConnectionSpec | None = None
    own_refusal: Refusal | None = None
    identity: Identity | None = None
    budget: Budget = field(default_factory=lambda: Budget(1, 1))
    authority: bytes = b""
    wire: EvsClient | None = None
    clients: Kept[tuple[str, str], Caller] = field(default_factory=lambda: Kept(_CLIENTS, _CLIENTS))
    tls: ssl.SSLContext | None = None
    trouble: Trouble | None = None
    trouble_since: float = 0.0
    born: float = 0.0
    read_at: float = 0.0
    broken_since: float = 0.0
    asked_at: float = 0.0
    credentials_seen: int = 0
    closed: bool = False
    stumbled: bool = False
    reach: Reach = field(default_factory=Reach)
    tried: tuple[StoredConnectionStatus, ...] = ()
    mended: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def refusal(self) -> Refusal | None:
        """Why the connection cannot be used now: of its own, or because its credential was refused."""
        return self.own_refusal or (self.identity.refusal if self.identity else None)

    def refusal_for(self, namespace: str, project_id: str | None) -> Refusal | None:
        """Return why a namespace may not ask about a project now; None stands for the connection's own project."""
        if self.own_refusal is not None or self.identity is None:
            return self.own_refusal
        return self.identity.refusal_of(project_id or (self.spec.project_id if self.spec else None), namespace)

    def named(self, trouble: Trouble) -> Trouble:
        """Name connection and Secret in what is told of a refused credential, which may be that of several."""
        if trouble.reason is not Reason.UNAUTHORIZED or not trouble.advice or self.spec is None:
            return trouble
        secret, advice = self.spec.auth.secret_name, trouble.advice
        if secret:
            name = shown(secret)
            where = f"Secret {self.key.namespace}/{name}" if self.key.namespace else f"the operator's Secret {name}"
            advice = advice.replace(SECRET, where) if SECRET in advice else f"{advice.rstrip('.')} ({where})"
        end = "" if advice.endswith((".", "?")) else "."
        return replace(trouble, advice=f"{title(self.key)}: {advice}{end}")

    @property
    def credentials(self) -> Credentials | None:
        """The credential, once it was read."""
        return self.identity.credentials if self.identity else None

    @property
    def verified(self) -> bool:
        """True once the cloud accepted the credential."""
        return self.identity is not None and self.identity.accepted

    @property
    def unreachable(self) -> str:
        """What keeps calls from the cloud now, "" where nothing is known to."""
        return self.trouble.message() if self.trouble else ""

    def empty(self) -> None:
        """Forget what was read and made of it."""
        if self.identity is not None:
            self.identity.left(self.key)
            self.reach.since = None  # what is read next may trust another authority
        self.identity = self.tls = self.trouble = self.wire = None
        self.authority, self.broken_since = b"", 0.0
        self.clients.clear()


def title(key: ObjectKey) -> str:
    """Return a connection's kind and name, for messages."""
    return f"{key.kind} {key.namespace}/{shown(key.name)}" if key.namespace else f"{key.kind} {shown(key.name)}"


def short_name(key: ObjectKey) -> str:
    """Return `namespace/name` of a connection, `name` of a cluster connection: one string, however often it is kept."""
    return sys.intern(f"{key.namespace}/{key.name}" if key.namespace else key.name)
