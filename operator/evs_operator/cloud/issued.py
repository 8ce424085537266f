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

from . import errors

T = TypeVar("T")

_REFUSED_FOR: Final = timedelta(seconds=300)
_THROTTLED_FOR: Final = timedelta(seconds=60)
_BREATH: Final = timedelta(seconds=5)
"""Until an issuer that is in passing trouble is asked again."""
_RENEWAL_AGAIN: Final = timedelta(seconds=60)
_SHORTEST_USE: Final = timedelta(minutes=1)


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

    def raise_again(self, now: datetime, *, shared: bool) -> None:
        """Raise a failure that still counts; a `shared` one counts whenever it was."""
        if self._error is None or self._until is None or not (shared or now < self._until):
            return
        error = copy.copy(self._error)  # each caller adds its own traceback
        if isinstance(error, errors.RateLimited | errors.Unauthorized):
            error.retry_after = max((self._until - now).total_seconds(), 1.0)
        raise error


class Issuer:
    """What all that is issued to one identity shares: until a first grant, one request at a time is made for it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.answers = 0
        """How often it was asked: who waited meanwhile shares the answer."""
        self.granted = False
        self.failure = Failure()


class Issued(Generic[T]):
    """One thing that is issued, for example the token for one project; `clock` returns aware times."""

    def __init__(self, issuer: Issuer, *, renew_before: timedelta, clock: Callable[[], datetime]) -> None:
        self._issuer = issuer
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
    def answers(self) -> int:
        """How often the issuer was asked by now; take it before `turn()` and hand it to `current()`."""
        return self._issuer.answers

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until nobody else asks for this; before the first grant, until nobody asks for this identity."""
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

    def current(self, seen: int) -> T | None:
        """Return what is held, None where it has to be asked for; raise a failure that still counts.

        `seen` is `answers` before the caller began to wait: a failure since then is the caller's too.
        """
        now = self._clock()
        if self._value is not None and self._renew_at is not None and now < self._renew_at:
            return self._value
        self._own_failure.raise_again(now, shared=False)
        self._issuer.failure.raise_again(now, shared=self._issuer.answers != seen)
        return None

    def grant(self, value: T, life: timedelta) -> T:
        """Keep and return what was issued; it is renewed in time, or after half of a life shorter than that."""
        now = self._clock()
        self._issuer.answers += 1
        self._issuer.granted = True
        self._issuer.failure.forget()
        self._own_failure.forget()
        self._renew_at = now + max(life - self._renew_before, life / 2, _SHORTEST_USE)
        self._ends_at = now + life
        self._value = value
        return value

    def refuse(self, error: errors.CloudError) -> T:
        """Take a failure: return what is held where it is still good and the trouble passes, else raise the error."""
        now = self._clock()
        self._issuer.answers += 1
        if self._value is not None and isinstance(error, errors.PassingError) and self._still_good(now):
            self._renew_at = now + _RENEWAL_AGAIN
            return self._value
        raise self._remembered(error, now)

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

    def _remembered(self, error: errors.CloudError, now: datetime) -> errors.CloudError:
        error.signing_in = True
        if isinstance(error, errors.WrongProject):
            self._own_failure.remember(error, now + _REFUSED_FOR)
        else:
            self._issuer.failure.remember(error, now + _wait(error))
        if isinstance(error, errors.Unauthorized):
            error.retry_after = _REFUSED_FOR.total_seconds()
        return error


def _wait(error: errors.CloudError) -> timedelta:
    if isinstance(error, errors.RateLimited):
        return _THROTTLED_FOR if error.retry_after is None else timedelta(seconds=max(error.retry_after, 1.0))
    return _REFUSED_FOR if isinstance(error, errors.ActionRequired) else _BREATH
