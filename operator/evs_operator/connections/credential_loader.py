"""Turns the Secrets of a connection into its identity, or into what is wrong with them.

Called by `registry` before a first call, and again and again by the rounds. The steps from the Secrets to a credential
are `opening`'s; here the connection gets what came of them, and those of the same credential share it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final

from evs_operator.api.connection import ConnectionSpec
from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.clock import Clock
from evs_operator.cloud.auth.credentials import Credentials
from evs_operator.cloud.auth.sign_in import SignIn
from evs_operator.cloud.budget import Budgets
from evs_operator.cloud.endpoints import AllowList, origin
from evs_operator.connections.credential.identities import Identities
from evs_operator.connections.credential.identity import Identity, Refusal
from evs_operator.connections.credential.secret_reader import SecretReader
from evs_operator.core.observation import Trouble
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.observe.faults import Faults, in_words
from evs_operator.redact.redaction import Redaction

from .connection import Connection, title
from .credential.secret_contents import CredentialsError
from .opening import OpeningSteps, PlatformAuth

__all__ = ["CredentialLoader", "PlatformAuth", "limit_of"]

DEFAULT_RATE: Final = 100
"""Requests per second where `rateLimit` names none: half of the gateway's documented default of 200 for an API."""
DEFAULT_BURST: Final = 200
_PATIENCE: Final = 10.0
"""Seconds for which a Secret of a connection that works may be away or broken."""
_FOREVER: Final = float("inf")

_log = logging.getLogger(__name__)


class CredentialLoader:
    """Opens connections; `retire` empties one before it gets another credential."""

    def __init__(
        self,
        api: KubeApi,
        allow: AllowList,
        operator_namespace: str,
        clock: Clock,
        *,
        platform: PlatformAuth,
        redaction: Redaction,
        on_judged: Callable[[Identity, bool], None],
        on_project: Callable[[Identity, str], None],
        retire: Callable[[Connection], None],
        on_change: Callable[[Connection], None],
    ) -> None:
        self._operator_namespace = operator_namespace
        self._clock = clock
        self._retire = retire
        self._on_change = on_change
        self._secrets = SecretReader(api, clock)
        self._steps = OpeningSteps(allow, platform, self._secrets.read)
        self._identities = Identities(
            clock, self._sign_in, on_judged, redaction, on_project=on_project, realm_of=allow.realm_of
        )
        self._budgets = Budgets()
        self._faults = Faults(clock, _log)

    async def open(self, connection: Connection) -> None:
        """Read the Secrets of a connection, also again; it is blocked where that fails. Raises KubeError.

        It is blocked by a fault of ours as well, and then tried again with growing waits.
        """
        connection.read_at = self._clock()
        name = f"{connection.key.kind} {connection.key.namespace}/{connection.key.name}"
        if self._faults.waits(name) and connection.own_refusal is not None:
            return
        try:
            await self._open(connection)
        except KubeError:
            raise
        except Exception as fault:  # noqa: BLE001  # of whatever kind: it concerns this connection alone
            self._faults.met(name, "cannot be read", fault)
            trouble = Trouble(Reason.CREDENTIALS_INVALID, f"{title(connection.key)} cannot be read: {in_words(fault)}")
            if self._bears(connection):
                return
            self._break(connection, trouble, ConnectionReason.SECRET_KEY_MISSING)
        else:
            self._faults.over(name)

    async def _open(self, connection: Connection) -> None:
        spec = connection.spec
        if spec is None:
            return
        namespace = connection.key.namespace or self._operator_namespace
        try:
            opened = await self._steps.open(spec, namespace)
            authority = sha256(opened.authority.encode()).digest() if opened.authority else b""
            if opened.credentials == connection.credentials and authority == connection.authority:
                connection.broken_since = 0.0
                return
            tls = self._steps.trust(opened, spec, namespace)
        except CredentialsError as error:
            if not self._bears(connection):
                self._break(connection, error.trouble(title(connection.key)), error.reason)
            return
        if connection.closed:
            return  # the connection changed while its Secrets were read
        self._retire(connection)
        connection.authority, connection.tls, connection.own_refusal = authority, tls, None
        self._join(connection, spec, opened.credentials)
        self._on_change(connection)

    def _join(self, connection: Connection, spec: ConnectionSpec, credentials: Credentials) -> None:
        """Give a connection the identity and the budget that it shares with those of the same credential."""
        endpoint = origin(spec.endpoint)
        connection.identity = self._identities.of(endpoint, credentials)
        connection.budget = self._budgets.join(connection.key, (endpoint, credentials), limit_of(spec), self._clock())
        connection.identity.budget = connection.budget
        connection.credentials_seen += 1
        connection.identity.joined(connection.key)

    def _bears(self, connection: Connection) -> bool:
        """Go on for a moment with the credential that was read before: its Secret may be away while it is renewed."""
        now = self._clock()
        if connection.identity is None or not connection.identity.accepted:
            return False
        connection.broken_since = connection.broken_since or now
        return now - connection.broken_since < _PATIENCE

    def _break(self, connection: Connection, trouble: Trouble, reason: ConnectionReason) -> None:
        if connection.own_refusal is not None and connection.own_refusal.trouble == trouble:
            return
        self._retire(connection)
        connection.own_refusal = Refusal(trouble, reason, _FOREVER)
        self._on_change(connection)

    def forget_unused(self, registry: Iterable[Connection]) -> None:
        """Forget credentials that no connection has used for a while."""
        self._identities.forget_unused({s.identity for s in registry if s.identity is not None})
        self._secrets.forget()

    def leave(self, connection: Connection) -> None:
        """Take a connection that is gone out of what it shared."""
        self._budgets.leave(connection.key, self._clock())

    def keep_secrets(self) -> None:
        """Forget the secrets that nobody holds any more."""
        self._identities.keep_secrets()

    def _sign_in(self, credentials: Credentials, hold: Callable[[str], None], on_request: Callable[[], None]) -> SignIn:
        return SignIn(credentials, clock=self._clock.wall, hold=hold, on_request=on_request)


def limit_of(spec: ConnectionSpec) -> tuple[float, int]:
    """Return the calls per second and at once that a connection names."""
    rate = spec.requests_per_second or DEFAULT_RATE
    return rate, spec.burst or (rate if spec.requests_per_second else DEFAULT_BURST)
