"""Turns the Secrets of a connection into its identity: reads them, makes the credential, and reports what is wrong.

Called by `registry` before a first call, and again and again by the rounds. A connection that names an endpoint or a
way to sign in that the operator does not allow is blocked before its Secret is read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from evs_operator.api.connection import PLATFORM_AUTH, ConnectionSpec
from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.clock import Clock
from evs_operator.cloud.auth.credentials import Credentials
from evs_operator.cloud.auth.sign_in import SignIn
from evs_operator.cloud.budget import Budgets
from evs_operator.cloud.endpoints import AllowList, EndpointNotAllowed, origin
from evs_operator.connections.credential.identities import Identities
from evs_operator.connections.credential.identity import Identity, Refusal
from evs_operator.connections.credential.secret_reader import SecretReader
from evs_operator.core.observation import Trouble
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.observe.faults import Faults, in_words
from evs_operator.redact.redaction import Redaction

from .connection import Connection, title
from .credential import secret_contents as secret_contents

DEFAULT_RATE: Final = 100
"""Requests per second where `rateLimit` names none: half of the gateway's documented default of 200 for an API."""
DEFAULT_BURST: Final = 200
_PATIENCE: Final = 10.0
"""Seconds for which a Secret of a connection that works may be away or broken."""
_FOREVER: Final = float("inf")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlatformAuth:
    """Which ways to sign in as the operator itself are allowed (`oidc`, `instanceMetadata`), and its token's file."""

    kinds: frozenset[str] = frozenset()
    token_file: str = ""


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
        self._allow = allow
        self._operator_namespace = operator_namespace
        self._clock = clock
        self._platform = platform
        self._retire = retire
        self._on_change = on_change
        self._secrets = SecretReader(api, clock)
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
        if spec is None or not self._may_sign_in(connection, spec):
            return
        namespace = connection.key.namespace or self._operator_namespace
        try:
            secrets = await self._secrets_of(spec, namespace)
            credentials = secret_contents.credentials_of(spec, secrets, namespace, self._platform.token_file)
            authority = secret_contents.authority_of(spec, secrets, namespace)
            known = sha256(authority.encode()).digest() if authority else b""
            if credentials == connection.credentials and known == connection.authority:
                connection.broken_since = 0.0
                return
            tls = secret_contents.trust_in(authority, spec, namespace)
        except secret_contents.CredentialsError as error:
            if self._bears(connection):
                return
            self._break(connection, error.trouble(title(connection.key)), error.reason)
            return
        if connection.closed:
            return  # the connection changed while its Secrets were read
        self._retire(connection)
        connection.authority, connection.tls, connection.own_refusal = known, tls, None
        endpoint = origin(spec.endpoint)
        connection.identity = self._identities.of(endpoint, credentials)
        connection.budget = self._budgets.join(connection.key, (endpoint, credentials), limit_of(spec), self._clock())
        connection.identity.budget = connection.budget
        connection.credentials_seen += 1
        connection.identity.joined(connection.key)
        self._on_change(connection)

    async def _secrets_of(self, spec: ConnectionSpec, namespace: str) -> secret_contents.Secrets:
        found = {}
        for name, keys in secret_contents.needed_keys(spec).items():
            try:
                found[name] = await self._secrets.read(namespace, name, keys)
            except KubeError as error:
                if error.status not in (400, 403, 404):
                    raise
                raise secret_contents.unreadable(namespace, name, error.status) from None
        return found

    def _may_sign_in(self, connection: Connection, spec: ConnectionSpec) -> bool:
        """Refuse a connection that would send a credential where, or in a way, that the operator does not allow."""
        kind, name = spec.auth.kind, title(connection.key)
        try:
            for endpoint in (spec.endpoint, spec.auth.iam_endpoint, spec.auth.metadata_endpoint):
                if endpoint:
                    self._allow.check(endpoint)
        except EndpointNotAllowed as error:
            trouble, reason = Trouble(Reason.ENDPOINT_NOT_ALLOWED, f"{name}: {error}"), "EndpointNotAllowed"
        else:
            if kind not in PLATFORM_AUTH or kind in self._platform.kinds:
                return True
            what = f"{name}: auth.{kind} signs in as the operator itself: allow it with --allow-auth {kind}"
            trouble, reason = Trouble(Reason.CONNECTION_NOT_ALLOWED, what), "AuthNotAllowed"
        if connection.own_refusal is None:
            connection.own_refusal = Refusal(trouble, ConnectionReason(reason), _FOREVER)
            self._on_change(connection)
        return False

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

    def _sign_in(self, credentials: Credentials, hold: Callable[[str], None]) -> SignIn:
        return SignIn(credentials, clock=self._clock.wall, hold=hold)


def limit_of(spec: ConnectionSpec) -> tuple[float, int]:
    """Return the calls per second and at once that a connection names."""
    rate = spec.requests_per_second or DEFAULT_RATE
    return rate, spec.burst or (rate if spec.requests_per_second else DEFAULT_BURST)
