"""What somebody issues for a time, a token or a key: asked for once however many wait, kept in memory, renewed in time.

The authentications (`auth`) send the requests, `iam`, `oidc` and `machine` know what is asked and answered. A refusal
is remembered and told to all who come meanwhile: users and keys are locked after a few failures. While something that
was issued is still good, a renewal that fails for a passing reason keeps nobody from working.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from evs_operator.evs import errors

T = TypeVar("T")

_REFUSED_FOR: Final = timedelta(seconds=300)
_THROTTLED_FOR: Final = timedelta(seconds=60)
_BREATH: Final = timedelta(seconds=5)
"""Until an issuer that is in passing trouble is asked again."""
_RENEWAL_AGAIN: Final = timedelta(seconds=60)
_SHORTEST_USE: Final = timedelta(minutes=1)
_VOUCHES_FOR: Final = timedelta(seconds=10)
"""How long something that was issued speaks for the credential where one project is refused."""
_STRIKES: Final = 2
"""Refusals in a row after which it speaks no more, until something is issued again."""
_TRIES: Final = 3
_LATER_TRIES: Final = 2
"""Scopes that a refused credential may be tried for in five minutes: at first, and as long as it stays refused."""


class Failure:
    """The last failure, and until when it is told without asking again."""

    def __init__(self) -> None:
        self._error: errors.CloudError | None = None
        self._until: datetime | None = None

    def remember(self, error: errors.CloudError, until: datetime) -> None:
        """Tell this error to all who come until then."""
        self._error, self._until = error, until

    def forget(self) -> None:
        """Ask again."""
        self._error = self._until = None

    def counts(self, now: datetime) -> bool:
        """Return whether a failure is told now."""
        return self._until is not None and now < self._until

    def raise_again(self, now: datetime) -> None:
        """Raise a failure that still counts."""
        if self._error is None or self._until is None or now >= self._until:
            return
        error = copy.copy(self._error)  # each caller adds its own traceback
        if error.throttles or error.about_credential:
            error.retry_after = max((self._until - now).total_seconds(), 1.0)
        raise error


class Issuer:
    """What all that is issued to one identity shares: how it stands with the credential as a whole.

    While that is in doubt one request at a time is made. `refusals` counts those in a row. A refusal that nothing
    speaks against is told to all who come, but for a few: it may have been that of one project, so that others may try
    theirs, and not many, since each wrong try brings a user nearer to being locked.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.granted = False
        self.granted_at: datetime | None = None
        self.refused = False
        self.refusals = 0
        self.throttle = Failure()
        self.refusal = Failure()
        self._tried: set[str | None] = set()
        self._tries = _TRIES

    def grant(self, now: datetime) -> None:
        """Take it that something was issued."""
        self.granted, self.granted_at, self.refused, self.refusals = True, now, False, 0
        self.throttle.forget()
        self.refusal.forget()
        self._tried, self._tries = set(), _TRIES

    def refuse_one(self) -> None:
        """Take it that one project was refused, by what is known."""
        self.granted = False
        self.refusals += 1

    def refuse_all(self, error: errors.CloudError, scope: str | None, now: datetime) -> None:
        """Tell the refusal of a scope (a project, None without one) to all who come but those who may still try."""
        self.refuse_one()
        self.refused = True
        self._tried.add(scope)
        self.refusal.remember(error, now + _REFUSED_FOR)

    def vouched(self, now: datetime) -> bool:
        """Return whether something was issued a moment ago, and not too many refusals have come since."""
        return self.granted_at is not None and now - self.granted_at < _VOUCHES_FOR and self.refusals < _STRIKES

    def was_tried(self, scope: str | None) -> None:
        """Note a scope that was tried to learn more of the refusal of another; it takes nobody's try."""
        self._tried.add(scope)
        self._tries += 1

    def raise_again(self, scope: str | None, now: datetime) -> None:
        """Raise what keeps all from asking for a scope, where something does."""
        self.throttle.raise_again(now)
        if self.refusal.counts(now):
            if scope in self._tried or len(self._tried) >= self._tries:
                self.refusal.raise_again(now)
        elif self._tried:
            self._tried, self._tries = set(), _LATER_TRIES


class Issued(Generic[T]):
    """One thing that is issued, for example the token for one project; `clock` returns aware times."""

    def __init__(
        self, issuer: Issuer, *, renew_before: timedelta, clock: Callable[[], datetime], scope: str | None = None
    ) -> None:
        self._issuer = issuer
        self._scope = scope
        self._renew_before = renew_before
        self._clock = clock
        self._lock = asyncio.Lock()
        self._own_failure = Failure()
        self._value: T | None = None
        self._renew_at: datetime | None = None
        self._ends_at: datetime | None = None

    @property
    def value(self) -> T | None:
        """What is held now, good or not."""
        return self._value

    @property
    def ends_at(self) -> datetime | None:
        """When what was issued last ends, or ended."""
        return self._ends_at

    @property
    def busy(self) -> bool:
        """True while somebody asks for this."""
        return self._lock.locked()

    def fresh(self) -> T | None:
        """Return what is held where it need not be asked for."""
        fresh = self._renew_at is not None and self._clock() < self._renew_at
        return self._value if fresh else None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until nobody else asks for this; while the credential is in doubt, until nobody asks with it."""
        async with self._lock:
            if self._issuer.granted:
                yield
                return
            await self._issuer.lock.acquire()
            alone = not self._issuer.granted
            if not alone:
                self._issuer.lock.release()
            try:
                yield
            finally:
                if alone:
                    self._issuer.lock.release()

    def current(self) -> T | None:
        """Return what is held, None where it has to be asked for; raise a failure that still counts."""
        if (value := self.fresh()) is not None:
            return value
        now = self._clock()
        self._own_failure.raise_again(now)
        try:
            self._issuer.raise_again(self._scope, now)
        except errors.CloudError:
            if self._value is not None and self._still_good(now):
                return self._value
            raise
        return None

    def grant(self, value: T, life: timedelta) -> T:
        """Keep and return what was issued; it is renewed in time, or after half of a life shorter than that."""
        now = self._clock()
        self._issuer.grant(now)
        self._own_failure.forget()
        self._renew_at = now + max(life - self._renew_before, life / 2, _SHORTEST_USE)
        self._ends_at = now + life
        self._value = value
        return value

    def refuse(self, error: errors.CloudError) -> T:
        """Take a failure: return what is held where it is still good and the trouble passes, else raise the error.

        A refusal of the credential is told to all who ask with it, any other failure to those who ask for this.
        """
        now = self._clock()
        error.signing_in = True
        if error.throttles:
            self._issuer.throttle.remember(error, now + _wait(error))
        elif error.about_credential and not error.of_project:
            self._issuer.refuse_all(error, self._scope, now)
        elif error.needs_person:
            self._issuer.refuse_one()
        if self._value is not None and error.heals and self._still_good(now):
            self._renew_at = now + _RENEWAL_AGAIN
            return self._value
        if error.about_credential:
            error.retry_after = _REFUSED_FOR.total_seconds()
        self._own_failure.remember(error, now + _wait(error))
        raise error

    def unanswered(self) -> None:
        """Take a request that was given up: what is still good serves the others meanwhile."""
        now = self._clock()
        if self._still_good(now):
            self._renew_at = now + _RENEWAL_AGAIN

    def discard(self, value: T) -> None:
        """Forget what was refused, unless another caller has replaced it by now."""
        if value == self._value:
            self._value = None

    def _still_good(self, now: datetime) -> bool:
        return self._value is not None and self._ends_at is not None and now + _RENEWAL_AGAIN < self._ends_at


def _wait(error: errors.CloudError) -> timedelta:
    if error.throttles:
        return _THROTTLED_FOR if error.retry_after is None else timedelta(seconds=max(error.retry_after, 1.0))
    least = _REFUSED_FOR if error.needs_person else _BREATH
    return max(least, timedelta(seconds=error.retry_after or 0.0))
