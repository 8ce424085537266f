"""Turns the Secrets of a session into its identity: reads them, makes the credential, and says what is wrong with them.

Called by `sessions` before a first call, and again and again by the rounds. A connection that names an endpoint or a
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
from evs_operator.cloud.budget import Budgets
from evs_operator.cloud.credentials import Credentials
from evs_operator.cloud.endpoints import AllowList, EndpointNotAllowed, origin
from evs_operator.cloud.sign_in import SignIn
from evs_operator.core.observation import Trouble
from evs_operator.kube.api import KubeApi, KubeError

from . import credentials as made_of
from .clock import Clock
from .faults import Faults, in_words
from .identities import Identities
from .identity import Block, Identity
from .redaction import Redaction
from .secret_reader import SecretReader
from .session import Session, title

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


class Opener:
    """Opens sessions; `retire` empties one before it gets another credential."""

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
        retire: Callable[[Session], None],
        on_change: Callable[[Session], None],
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

    async def open(self, session: Session) -> None:
        """Read the Secrets of a session, also again; it is blocked where that fails. Raises KubeError.

        It is blocked by a fault of ours as well, and then tried again with growing waits.
        """
        session.read_at = self._clock()
        name = f"{session.key.kind} {session.key.namespace}/{session.key.name}"
        if self._faults.waits(name) and session.own_block is not None:
            return
        try:
            await self._open(session)
        except KubeError:
            raise
        except Exception as fault:  # noqa: BLE001  # of whatever kind: it concerns this connection alone
            self._faults.met(name, "cannot be read", fault)
            trouble = Trouble(Reason.CREDENTIALS_INVALID, f"{title(session.key)} cannot be read: {in_words(fault)}")
            if self._bears(session):
                return
            self._break(session, trouble, ConnectionReason.SECRET_KEY_MISSING)
        else:
            self._faults.over(name)

    async def _open(self, session: Session) -> None:
        spec = session.spec
        if spec is None or not self._may_sign_in(session, spec):
            return
        namespace = session.key.namespace or self._operator_namespace
        try:
            secrets = await self._secrets_of(spec, namespace)
            credentials = made_of.credentials_of(spec, secrets, namespace, self._platform.token_file)
            authority = made_of.authority_of(spec, secrets, namespace)
            known = sha256(authority.encode()).digest() if authority else b""
            if credentials == session.credentials and known == session.authority:
                session.broken_since = 0.0
                return
            tls = made_of.trust_in(authority, spec, namespace)
        except made_of.CredentialsError as error:
            if self._bears(session):
                return
            self._break(session, error.trouble(title(session.key)), error.reason)
            return
        if session.closed:
            return  # the connection changed while its Secrets were read
        self._retire(session)
        session.authority, session.tls, session.own_block = known, tls, None
        endpoint = origin(spec.endpoint)
        session.identity = self._identities.of(endpoint, credentials)
        session.budget = self._budgets.join(session.key, (endpoint, credentials), limit_of(spec), self._clock())
        session.identity.budget = session.budget
        session.credentials_seen += 1
        session.identity.joined(session.key)
        self._on_change(session)

    async def _secrets_of(self, spec: ConnectionSpec, namespace: str) -> made_of.Secrets:
        found = {}
        for name, keys in made_of.needed_keys(spec).items():
            try:
                found[name] = await self._secrets.read(namespace, name, keys)
            except KubeError as error:
                if error.status not in (400, 403, 404):
                    raise
                raise made_of.unreadable(namespace, name, error.status) from None
        return found

    def _may_sign_in(self, session: Session, spec: ConnectionSpec) -> bool:
        """Block a connection that would send a credential where, or in a way, that the operator does not allow."""
        kind, name = spec.auth.kind, title(session.key)
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
        if session.own_block is None:
            session.own_block = Block(trouble, ConnectionReason(reason), _FOREVER)
            self._on_change(session)
        return False

    def _bears(self, session: Session) -> bool:
        """Go on for a moment with the credential that was read before: its Secret may be away while it is renewed."""
        now = self._clock()
        if session.identity is None or not session.identity.accepted:
            return False
        session.broken_since = session.broken_since or now
        return now - session.broken_since < _PATIENCE

    def _break(self, session: Session, trouble: Trouble, reason: ConnectionReason) -> None:
        if session.own_block is not None and session.own_block.trouble == trouble:
            return
        self._retire(session)
        session.own_block = Block(trouble, reason, _FOREVER)
        self._on_change(session)

    def forget_unused(self, sessions: Iterable[Session]) -> None:
        """Forget credentials that no session has used for a while."""
        self._identities.forget_unused({s.identity for s in sessions if s.identity is not None})
        self._secrets.forget()

    def leave(self, session: Session) -> None:
        """Take a connection that is gone out of what it shared."""
        self._budgets.leave(session.key, self._clock())

    def keep_secrets(self) -> None:
        """Forget the secrets that nobody holds any more."""
        self._identities.keep_secrets()

    def _sign_in(self, credentials: Credentials, hold: Callable[[str], None]) -> SignIn:
        return SignIn(credentials, clock=self._clock.wall, hold=hold)


def limit_of(spec: ConnectionSpec) -> tuple[float, int]:
    """Return the calls per second and at once that a connection names."""
    rate = spec.requests_per_second or DEFAULT_RATE
    return rate, spec.burst or (rate if spec.requests_per_second else DEFAULT_BURST)
