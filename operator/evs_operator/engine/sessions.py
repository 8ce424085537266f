"""Connections as the engine uses them: which one an EvsJob means, whether it may, and a client that is signed in.

Called by the workers before each call and by the supervisor when a connection object changes. A Secret is
read once for all jobs; it is read again while its connection is broken or in use (no `watch` or `list` on
Secrets is needed). Deliberately not done here: writing the connection's status (`engine.connections`).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from evs_operator.api.connection import ConnectionSpec, parse_connection
from evs_operator.api.names import CLUSTER_EVS_CONNECTION, DEFAULT_CONNECTION, EVS_CONNECTION
from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.api.spec import EvsJobSpec, SpecError
from evs_operator.cloud.auth import auth_for
from evs_operator.cloud.budget import Budget, Budgets
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.credentials import AccessKey, Credentials, Password, Token
from evs_operator.cloud.endpoints import AllowList, EndpointNotAllowed, origin
from evs_operator.cloud.transport import OnCall
from evs_operator.core.observation import Trouble
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.objects import ObjectKey

DEFAULT_RATE: Final = 100
"""Requests per second where `rateLimit` names none: half of the gateway's documented default of 200 for an API."""
DEFAULT_BURST: Final = 200
_LABELS_FRESH = 10.0
_RETIRED_FOR = 60.0
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "accessKey": ("accessKey", "secretKey"),
    "password": ("username", "password", "domainName"),
    "token": ("token",),
}
_SECRET_KEYS: Final = frozenset({"accessKey", "secretKey", "securityToken", "password", "token"})

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Block:
    """Why a connection cannot be used now, and when one call may try again (seconds of the epoch)."""

    trouble: Trouble
    reason: ConnectionReason
    retry_at: float
    tries: int = 1


@dataclass(slots=True, eq=False)
class Session:
    """One connection object with what is needed to call through it."""

    key: ObjectKey
    uid: str = ""
    generation: int = 0
    resource_version: str = "0"
    status: Mapping[str, object] = field(default_factory=dict)
    spec: ConnectionSpec | None = None
    block: Block | None = None
    verified: bool = False
    unreachable: str = ""
    verification_tried: bool = False
    budget: Budget = field(default_factory=lambda: Budget(DEFAULT_RATE, DEFAULT_BURST))
    secrets: tuple[Mapping[str, str], ...] | None = None
    credentials: Credentials | None = None
    clients: dict[str, EvsClient] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def literals(self) -> Iterator[str]:
        """Yield the secret values that this session holds, for redaction."""
        for data in self.secrets or ():
            yield from (value.strip() for key, value in data.items() if key in _SECRET_KEYS)
        yield from self.tokens.values()


class ConnectionTroubleError(Exception):
    """An EvsJob's connection cannot be used; `trouble` says why in the words of a condition."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.head)
        self.trouble = trouble


class Sessions:
    """All connections by kind, namespace and name."""

    def __init__(
        self,
        api: KubeApi,
        allow: AllowList,
        operator_namespace: str,
        now: Callable[[], float],
        on_call: OnCall | None = None,
    ) -> None:
        self._api = api
        self._on_call = on_call
        self._allow = allow
        self._operator_namespace = operator_namespace
        self._now = now
        self._sessions: dict[ObjectKey, Session] = {}
        self._budgets = Budgets()
        self._labels: dict[str, tuple[float, Mapping[str, str]]] = {}
        self._retired: list[tuple[float, EvsClient]] = []
        self.on_change: Callable[[Session], None] = lambda session: None

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def apply(self, key: ObjectKey, body: Mapping[str, object]) -> Session | None:
        """Take a connection object as it is now; return its session where the spec is new or changed."""
        metadata = body.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        session = self._sessions.setdefault(key, Session(key))
        generation = metadata.get("generation")
        session.resource_version = str(metadata.get("resourceVersion"))
        status = body.get("status")
        session.status = status if isinstance(status, Mapping) else {}
        if session.uid == str(metadata.get("uid")) and session.generation == generation:
            return None
        session.uid = str(metadata.get("uid"))
        session.generation = generation if isinstance(generation, int) else 0
        self._reset(session)
        try:
            session.spec = parse_connection(body.get("spec"))
        except SpecError as error:
            session.spec = None
            trouble = Trouble(Reason.INVALID_SPEC, f"{_title(key)}: {error}")
            session.block = Block(trouble, ConnectionReason.INVALID_SPEC, float("inf"))
        else:
            session.budget = Budget(*_limit(session.spec))  # until the Secret tells with whom it is shared
        return session

    def remove(self, key: ObjectKey) -> None:
        """Forget a connection and its credential."""
        if session := self._sessions.pop(key, None):
            self._reset(session)
            self._budgets.leave(key, self._now())

    def key_of(self, namespace: str, spec: EvsJobSpec) -> ObjectKey:
        """Return the connection that an EvsJob means, whether it is there or not."""
        ref = spec.connection_ref
        if ref is not None and ref.kind == CLUSTER_EVS_CONNECTION:
            return ObjectKey(CLUSTER_EVS_CONNECTION, "", ref.name)
        own = ObjectKey(EVS_CONNECTION, namespace, ref.name if ref else DEFAULT_CONNECTION)
        if ref is None and own not in self._sessions:
            shared = ObjectKey(CLUSTER_EVS_CONNECTION, "", DEFAULT_CONNECTION)
            return shared if shared in self._sessions else own
        return own

    def get(self, key: ObjectKey) -> Session | None:
        """Return the session of that connection, None where the connection is not there."""
        return self._sessions.get(key)

    def find(self, namespace: str, spec: EvsJobSpec) -> Session | None:
        """Return the session of that connection, None where the connection is not there."""
        return self._sessions.get(self.key_of(namespace, spec))

    async def client_for(self, namespace: str, spec: EvsJobSpec) -> tuple[Session, str, EvsClient]:
        """Return session, project id and a client for an EvsJob.

        Raises ConnectionTroubleError where a person must act, KubeError where the API server did not answer.
        """
        key = self.key_of(namespace, spec)
        session = self._sessions.get(key) or await self._fetch(namespace, spec)
        if session is None:
            raise ConnectionTroubleError(_not_found(key, spec))
        if not await self._is_allowed(session, namespace):
            where = f"{_title(key)} does not allow namespace {namespace!r}: name it in spec.allowedNamespaces"
            raise ConnectionTroubleError(Trouble(Reason.CONNECTION_NOT_ALLOWED, where))
        await self.prepare(session)
        if session.block:
            if self._now() < session.block.retry_at:
                raise ConnectionTroubleError(session.block.trouble)
            session.block.retry_at = self._now() + 60.0  # this call is the one that tries again
        project_id = spec.project_id or (session.spec.project_id if session.spec else None)
        if not project_id:
            what = f"no project: write spec.projectId here or in {_title(key)}"
            raise ConnectionTroubleError(Trouble(Reason.INVALID_SPEC, what))
        return session, project_id, self.client(session, project_id)

    async def _fetch(self, namespace: str, spec: EvsJobSpec) -> Session | None:
        """Ask the API server before a connection is called missing: its watch may be behind the EvsJob's."""
        keys = [self.key_of(namespace, spec)]
        if spec.connection_ref is None:
            keys.append(ObjectKey(CLUSTER_EVS_CONNECTION, "", DEFAULT_CONNECTION))
        for key in keys:
            try:
                body = await objects.read(self._api, key)
            except KubeError as error:
                if error.status not in (403, 404):
                    raise
                continue
            self.apply(key, body)
            return self._sessions.get(key)
        return None

    async def prepare(self, session: Session) -> None:
        """Read the Secret and sign in where that was not done; a failure blocks the session."""
        async with session.lock:
            if session.spec is None or session.credentials is not None or _is_waiting(session, self._now()):
                return
            await self._read_secrets(session, session.spec)

    async def refresh(self, session: Session) -> bool:
        """Read the Secret again; return True where its content changed, so that jobs are polled at once."""
        if session.spec is None or (session.secrets is None and session.block is None):
            return False
        before, credentials = session.secrets, session.credentials
        async with session.lock:
            await self._read_secrets(session, session.spec)
        return session.secrets != before and session.credentials != credentials

    def refused(self, session: Session, trouble: Trouble, wait: float) -> None:
        """Remember that the cloud refused the credential: one call in `wait` seconds, growing to 300 s."""
        tries = session.block.tries + 1 if session.block else 1
        retry_at = self._now() + max(wait, min(60.0 * tries, 300.0))
        session.block = Block(trouble, ConnectionReason.UNAUTHORIZED, retry_at, tries)
        session.verified = False

    def changed(self, session: Session) -> None:
        """Tell that the status of a connection may have to be written."""
        self.on_change(session)

    def accepted(self, session: Session) -> bool:
        """Remember that the cloud accepted the credential; return True where that is news."""
        news = session.block is not None or not session.verified or bool(session.unreachable)
        session.block, session.verified, session.unreachable = None, True, ""
        return news

    async def aclose(self) -> None:
        """Close all clients."""
        for session in self:
            self._reset(session)
        await self.close_retired(float("inf"))

    async def close_retired(self, now: float) -> None:
        """Close clients of credentials that were replaced a while ago."""
        due = [client for at, client in self._retired if at <= now]
        self._retired = [(at, client) for at, client in self._retired if at > now]
        for client in due:
            await client.aclose()

    def _reset(self, session: Session) -> None:
        """Forget what was read and signed in; calls in flight may end before their client is closed."""
        session.secrets, session.credentials, session.block = None, None, None
        session.verified, session.unreachable, session.tls = False, "", None
        session.verification_tried = False
        self._retired += [(self._now() + _RETIRED_FOR, client) for client in session.clients.values()]
        session.clients.clear()
        session.tokens.clear()

    async def _read_secrets(self, session: Session, spec: ConnectionSpec) -> None:
        if not self._is_allowed_endpoint(session, spec):
            return
        namespace = session.key.namespace or self._operator_namespace
        names = [spec.auth.secret_name] + ([spec.ca_secret[0]] if spec.ca_secret else [])
        found: list[Mapping[str, str]] = []
        for name in names:
            try:
                found.append(await objects.read_secret(self._api, namespace, name))
            except KubeError as error:
                if error.status not in (403, 404):
                    raise
                self._break(session, (), _secret_trouble(session.key, namespace, name, error.status))
                return
        if tuple(found) == session.secrets:
            return
        self._use(session, spec, tuple(found), namespace)

    def _is_allowed_endpoint(self, session: Session, spec: ConnectionSpec) -> bool:
        """Block a connection whose endpoints are not on the allow-list: its Secret is not even read."""
        try:
            self._allow.check(spec.endpoint)
            if spec.auth.iam_endpoint:
                self._allow.check(spec.auth.iam_endpoint)
        except EndpointNotAllowed as error:
            if session.block is None:
                trouble = Trouble(Reason.ENDPOINT_NOT_ALLOWED, f"{_title(session.key)}: {error}")
                session.block = Block(trouble, ConnectionReason.ENDPOINT_NOT_ALLOWED, float("inf"))
                self.changed(session)
            return False
        return True

    def _use(
        self, session: Session, spec: ConnectionSpec, found: tuple[Mapping[str, str], ...], namespace: str
    ) -> None:
        name = f"Secret {namespace}/{spec.auth.secret_name}"
        missing = [key for key in _KEYS[spec.auth.kind] if not found[0].get(key, "").strip()]
        if missing:
            what = f"{name} lacks {', '.join(missing)} for auth.{spec.auth.kind}"
            self._break(session, found, _credentials_trouble(session.key, what))
            return
        credentials = _credentials(spec, found[0])
        try:
            tls = _tls(spec, found)
        except (ssl.SSLError, ValueError):
            what = "the CA certificates of spec.tls cannot be read: write PEM certificates"
            self._break(session, found, _credentials_trouble(session.key, what))
            return
        self._reset(session)
        session.secrets, session.credentials, session.tls = found, credentials, tls
        shared = (origin(spec.endpoint), credentials)
        session.budget = self._budgets.join(session.key, shared, _limit(spec), self._now())
        self.changed(session)

    def _break(self, session: Session, found: tuple[Mapping[str, str], ...], trouble: Trouble) -> None:
        self._reset(session)
        session.secrets = found
        reason = ConnectionReason.SECRET_KEY_MISSING if found else ConnectionReason.SECRET_NOT_FOUND
        session.block = Block(trouble, reason, float("inf"))
        self.changed(session)

    def client(self, session: Session, project_id: str) -> EvsClient:
        """Return the client of a prepared session for one project."""
        client = session.clients.get(project_id)
        if client is None:
            if session.spec is None or session.credentials is None:
                raise ConnectionTroubleError(_credentials_trouble(session.key, "the credential is not read yet"))

            def granted(token: str) -> None:
                session.tokens[project_id] = token
                self.changed(session)

            auth = auth_for(session.credentials, project_id, clock=lambda: datetime.now(UTC), on_token=granted)
            client = EvsClient(session.spec.endpoint, auth, tls=session.tls, allow=self._allow, on_call=self._on_call)
            session.clients[project_id] = client
        return client

    async def _is_allowed(self, session: Session, namespace: str) -> bool:
        if session.key.kind == EVS_CONNECTION or session.spec is None:
            return True
        allowed = session.spec.allowed
        if namespace in allowed.names:
            return True
        return allowed.selector is not None and allowed.selector.matches(await self._labels_of(namespace))

    async def _labels_of(self, namespace: str) -> Mapping[str, str]:
        read_at, labels = self._labels.get(namespace, (0.0, {}))
        if self._now() - read_at > _LABELS_FRESH:
            labels = await objects.namespace_labels(self._api, namespace)
            self._labels[namespace] = (self._now(), labels)
        return labels


def _is_waiting(session: Session, now: float) -> bool:
    return session.block is not None and now < session.block.retry_at


def _limit(spec: ConnectionSpec) -> tuple[float, int]:
    rate = spec.requests_per_second or DEFAULT_RATE
    return rate, spec.burst or (rate if spec.requests_per_second else DEFAULT_BURST)


def _credentials(spec: ConnectionSpec, data: Mapping[str, str]) -> Credentials:
    value = {key: text.strip() for key, text in data.items()}
    if spec.auth.kind == "accessKey":
        return AccessKey(value["accessKey"], value["secretKey"], value.get("securityToken") or None)
    if spec.auth.kind == "token":
        return Token(value["token"])
    return Password(value["username"], data["password"], value["domainName"], spec.auth.iam_endpoint or "")


def _tls(spec: ConnectionSpec, found: tuple[Mapping[str, str], ...]) -> ssl.SSLContext | None:
    pem = spec.ca_bundle
    if spec.ca_secret:
        pem = found[-1].get(spec.ca_secret[1], "")
    if pem is None:
        return None
    return ssl.create_default_context(cadata=pem)


def short_name(key: ObjectKey) -> str:
    """Return `namespace/name` of a connection, `name` of a cluster connection: one string, however often it is kept."""
    return sys.intern(f"{key.namespace}/{key.name}" if key.namespace else key.name)


def _title(key: ObjectKey) -> str:
    return f"{key.kind} {key.namespace}/{key.name}" if key.namespace else f"{key.kind} {key.name}"


def _not_found(key: ObjectKey, spec: EvsJobSpec) -> Trouble:
    if spec.connection_ref is None:
        own = f"EvsConnection {key.namespace}/{DEFAULT_CONNECTION}"
        what = f"no connection: create {own}, or name one in spec.connectionRef"
    else:
        what = f"{_title(key)} does not exist: create it, or correct spec.connectionRef"
    return Trouble(Reason.CONNECTION_NOT_FOUND, what)


def _credentials_trouble(key: ObjectKey, what: str) -> Trouble:
    return Trouble(Reason.CREDENTIALS_INVALID, f"{_title(key)}: {what}")


def _secret_trouble(key: ObjectKey, namespace: str, name: str, status: int) -> Trouble:
    if status == 403:
        what = f"the operator may not read Secret {namespace}/{name}: grant it `get` on Secrets there"
    else:
        what = f"Secret {namespace}/{name} does not exist: create it"
    return _credentials_trouble(key, what)
