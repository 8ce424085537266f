"""One credential at one endpoint: whether the cloud accepts it, and who may find out.

Every call with it goes through `ask`. While it is not known that the credential is good, one call is made at a time and
its verdict is that of all who wait: an access key is locked after a few wrong signatures, a user after a few wrong
passwords. A refusal stops the calls of every connection that uses the credential, but for one try now and then.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from evs_operator.api.reasons import ConnectionReason
from evs_operator.cloud import errors
from evs_operator.cloud.credentials import AccessKey, Credentials
from evs_operator.cloud.sign_in import SignIn
from evs_operator.core.observation import Trouble, trouble_of
from evs_operator.kube.objects import ObjectKey

from .redaction import CallRedaction, Redaction

T = TypeVar("T")

_TRY: Final = 60.0
_LONGEST_TRY: Final = 300.0
_ASKED_TRY: Final = 5.0
"""Seconds after a refused call in which requests of persons share its verdict."""
_ASKED_TRIES: Final = 3
"""Refusals in a row after which such requests wait a minute too: a key is locked after five."""
_PROVEN_FOR: Final = 60.0
"""Seconds after an accepted call in which calls need not wait for each other."""
_KEPT_UNUSED: Final = 300.0

_ACCEPTED: Final = (errors.JobMissing, errors.WrongProject, errors.Forbidden, errors.Rejected)
"""Answers of EVS that are not about the credential."""
_SHARED: Final = (errors.Unreachable, errors.PollTimeout, errors.RateLimited, errors.EndpointInvalid)
"""Troubles that the next call would meet as well."""


@dataclass(slots=True, eq=False)
class Block:
    """Why nothing is asked now, and when one call may try again (seconds of the epoch)."""

    trouble: Trouble
    reason: ConnectionReason
    retry_at: float
    tries: int = 1
    since: float = 0.0
    locked: bool = False

    def ends_at(self, *, urgent: bool = False) -> float:
        """Return when the next call may go; one that a person asks for need not wait for its turn."""
        if not urgent or self.locked:
            return self.retry_at
        return min(self.retry_at, self.since + (_ASKED_TRY if self.tries <= _ASKED_TRIES else _TRY))

    def lasts(self, now: float, *, urgent: bool = False) -> bool:
        """Tell whether no call may go."""
        return now < self.ends_at(urgent=urgent)


class Identity:
    """A credential with what the cloud said of it. `on_change` is told of each change of its verdict.

    What the cloud says in answer to its calls is redacted with `redact`, for the connections that use it (`joined`).
    """

    def __init__(
        self,
        credentials: Credentials,
        sign_in: SignIn,
        now: Callable[[], float],
        on_change: Callable[[Identity, bool], None],
        redact: CallRedaction,
    ) -> None:
        self.credentials = credentials
        self.sign_in = sign_in
        self.redact = redact
        self.accepted = False
        self.refusal: Block | None = None
        self.unused_since: float | None = None
        self._now = now
        self._on_change = on_change
        self._accepted_at = float("-inf")
        self._alone = asyncio.Lock()
        self._verdicts = 0
        self._last: errors.CloudError | None = None
        self._users: set[ObjectKey] = set()

    def joined(self, connection: ObjectKey) -> None:
        """Take a connection that uses the credential from now on."""
        self._users.add(connection)
        self.redact.owned_by(key.namespace for key in self._users)

    def left(self, connection: ObjectKey) -> None:
        """Take note that a connection does not use the credential any more."""
        self._users.discard(connection)
        self.redact.owned_by(key.namespace for key in self._users)

    @property
    def tried(self) -> bool:
        """True once a call told something of the credential or of the way to the cloud."""
        return self.accepted or self._verdicts > 0

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call; raises its CloudError, or that of the call that was waited for (`shared`)."""
        if self._is_proven():
            return await self._judged(call)
        seen = self._verdicts
        async with self._alone:
            if self._verdicts != seen and self._last is not None and not self._is_proven():
                error = copy.copy(self._last)  # each caller adds its own traceback
                error.shared = True
                raise error
            if not self._is_proven():
                return await self._judged(call)
        return await self._judged(call)

    def lock_out(self, trouble: Trouble, wait: float) -> None:
        """Stop all calls for `wait` seconds: the access key was locked, perhaps by somebody else."""
        now = self._now()
        if self.refusal is None or self.refusal.retry_at < now + wait:
            tries = self.refusal.tries if self.refusal else 1
            self.refusal = Block(trouble, ConnectionReason.UNAUTHORIZED, now + wait, tries, now, locked=True)
            self.accepted = False
            self._on_change(self, False)

    def _is_proven(self) -> bool:
        return self.accepted and self._now() < self._accepted_at + _PROVEN_FOR

    async def _judged(self, call: Callable[[], Awaitable[T]]) -> T:
        started = self._now()
        try:
            result = await call()
        except errors.CloudError as error:
            self._judge(error, started)
            raise
        self._accept(started)
        return result

    def _judge(self, error: errors.CloudError, started: float) -> None:
        if isinstance(error, errors.Unauthorized):
            self._refuse(error, ConnectionReason.UNAUTHORIZED, started)
        elif isinstance(error, errors.EndpointRefused):
            self._refuse(error, ConnectionReason.ENDPOINT_NOT_ALLOWED, started)
        elif isinstance(error, _ACCEPTED) and not error.signing_in:
            self._accept(started)
        elif isinstance(error, _SHARED):
            self._verdicts, self._last = self._verdicts + 1, error

    def _accept(self, started: float) -> None:
        if self.refusal is not None and started <= self.refusal.since:
            return  # it was under way when the refusal came
        news, healed = not self.accepted, self.refusal is not None
        self.accepted, self.refusal, self._last = True, None, None
        self._accepted_at = self._now()
        if news:
            self._on_change(self, healed)

    def _refuse(self, error: errors.CloudError, reason: ConnectionReason, started: float) -> None:
        self._verdicts, self._last = self._verdicts + 1, error
        if self.refusal is not None and started <= self.refusal.since:
            return  # it was under way when that was known
        now = self._now()
        tries = self.refusal.tries + 1 if self.refusal else 1
        named = error.retry_after if isinstance(error, errors.Unauthorized) else None
        wait = max(named or 0.0, min(_TRY * tries, _LONGEST_TRY))
        locked = isinstance(error, errors.AccessKeyLocked)
        self.refusal = Block(trouble_of(error, self.redact), reason, now + wait, tries, now, locked)
        self.accepted = False
        self._on_change(self, False)


class Identities:
    """All credentials in use, by endpoint and credential: connections that have both in common share one."""

    def __init__(
        self,
        now: Callable[[], float],
        sign_in: Callable[[Credentials, Callable[[str], None]], SignIn],
        on_change: Callable[[Identity, bool], None],
        redaction: Redaction,
    ) -> None:
        self._now = now
        self._redaction = redaction
        self._sign_in = sign_in
        self._on_change = on_change
        self._by_key: dict[tuple[str, Credentials], Identity] = {}

    def __iter__(self) -> Iterator[Identity]:
        return iter(list(self._by_key.values()))

    def of(self, endpoint: str, credentials: Credentials) -> Identity:
        """Return the identity of a credential at an endpoint, an origin."""
        key = (endpoint, credentials)
        if key not in self._by_key:
            redact = self._redaction.for_call()
            sign_in = self._sign_in(credentials, lambda secret: redact.hold((secret,)))
            redact.hold(sign_in.literals())
            self._by_key[key] = Identity(credentials, sign_in, self._now, self._changed, redact)
        return self._by_key[key]

    def keep_secrets(self) -> None:
        """Forget the secrets that no credential holds any more."""
        for identity in self:
            identity.redact.hold(identity.sign_in.literals())
        self._redaction.keep([identity.redact for identity in self])

    def forget_unused(self, used: Collection[Identity]) -> None:
        """Forget credentials that no connection has used for five minutes; before, a lock still counts."""
        now = self._now()
        for key, identity in list(self._by_key.items()):
            if identity in used:
                identity.unused_since = None
            elif identity.unused_since is None:
                identity.unused_since = now
            elif now - identity.unused_since >= _KEPT_UNUSED:
                del self._by_key[key]

    def _changed(self, identity: Identity, healed: bool) -> None:
        self._on_change(identity, healed)
        refusal = identity.refusal
        if refusal is None or not refusal.locked or not isinstance(identity.credentials, AccessKey):
            return
        for other in self:
            credentials = other.credentials
            same = isinstance(credentials, AccessKey) and credentials.access_key == identity.credentials.access_key
            if same and other is not identity and (other.refusal is None or not other.refusal.locked):
                other.lock_out(refusal.trouble, refusal.retry_at - self._now())
