"""One credential at one endpoint: whether the cloud accepts it, and who may find out.

Every call with it goes through `ask`. While it is not known that the credential is good, one call is made at a time and
what it meets is met for all who would meet it too: an access key is locked after a few wrong signatures, a user after a
few wrong passwords. Whose a refusal is, the project's or the credential's, `verdicts` knows; where that has to be found
out, one call about another project, or about none, does.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from evs_operator.api.reasons import ConnectionReason
from evs_operator.cloud.auth.credentials import Credentials, kind_of
from evs_operator.cloud.auth.sign_in import SignIn
from evs_operator.cloud.budget import Budget
from evs_operator.core.observation import Trouble, trouble_of
from evs_operator.core.refusals import probable_cause
from evs_operator.evs import errors
from evs_operator.evs.errors import MetBy
from evs_operator.kube.objects import ObjectKey
from evs_operator.redact.redaction import CallRedaction

from .verdicts import Refusal, Verdicts

__all__ = ["Asker", "Identity", "Refusal"]

T = TypeVar("T")

_PROVEN_FOR: Final = 60.0
"""Seconds after an accepted call in which calls need not wait for each other."""
_LET_BY: Final = 5.0
"""Seconds after which a call that waits for the verdict of another goes all the same."""

_OTHER_PROJECT: Final = (
    "the credential is accepted for other projects: set spec.projectId to one that it may ask about, "
    "or grant its user a role in this project"
)


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """On whose behalf a call is made: about which project, for which namespace, by which `way` (a connection object).

    `doubtful` where the namespace may name a project that is not the credential's; `fallback` is then the project that
    the connection names itself. `prove` makes one call about another project, or about none, past this identity.
    """

    project: str | None = None
    namespace: str = ""
    way: object = None
    doubtful: bool = False
    fallback: str | None = None
    prove: Callable[[str | None], Awaitable[None]] | None = None


NOBODY: Final = Asker()


class Identity:
    """A credential with what the cloud said of it. `on_change` is told of each change of its verdict.

    What the cloud says in answer to its calls is redacted with `redact`, for the connections that use it (`joined`).
    `make_sign_in` gets what is to be called before each request that signing in makes.
    """

    def __init__(
        self,
        credentials: Credentials,
        make_sign_in: Callable[[Callable[[], None]], SignIn],
        now: Callable[[], float],
        on_change: Callable[[Identity, bool], None],
        redact: CallRedaction,
        on_project: Callable[[Identity, str], None] = lambda identity, project: None,
    ) -> None:
        self.credentials = credentials
        self.sign_in = make_sign_in(self.spend)
        self.redact = redact
        self._kind = kind_of(credentials)
        self.accepted = False
        self.budget: Budget | None = None
        self.unused_since: float | None = None
        self._now = now
        self._on_change = on_change
        self._on_project = on_project
        self._verdicts = Verdicts()
        self._accepted_at = self._confirmed_at = float("-inf")
        self._alone, self._doubt = asyncio.Lock(), asyncio.Lock()
        self._met = 0
        self._last: tuple[errors.CloudError, Asker] | None = None
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
    def refusal(self) -> Refusal | None:
        """Why nobody may ask with this credential now."""
        return self._verdicts.refusal

    @property
    def tried(self) -> bool:
        """True once a call told something of the credential or of the way to the cloud."""
        return self.accepted or self._met > 0

    def refusal_of(self, project: str | None, namespace: str) -> Refusal | None:
        """Return why a namespace may not ask about a project now."""
        return self._verdicts.of(project or "", namespace)

    def goes_elsewhere(self, project: str | None, within: float) -> bool:
        """Return whether the cloud answered about another project in the last seconds."""
        return self._verdicts.accepted_elsewhere(project or "", self._now(), within) is not None

    def spend(self) -> None:
        """Count a request that was not taken from the budget before: one for a token, or to find out."""
        if self.budget is not None:
            self.budget.spend(self._now())

    async def ask(self, call: Callable[[], Awaitable[T]], asker: Asker = NOBODY) -> T:
        """Make a call; raises its CloudError, or that of the call that was waited for (`shared`)."""
        if self._is_proven():
            return await self._judged(call, asker)
        seen = self._met
        if not await self._turn():
            return await self._judged(call, asker)
        try:
            if self._met != seen and not self._is_proven() and (error := self._met_again(asker)) is not None:
                raise error
            if not self._is_proven():
                return await self._judged(call, asker)
        finally:
            self._alone.release()
        return await self._judged(call, asker)

    def lock_out(self, trouble: Trouble, wait: float) -> None:
        """Stop all calls for `wait` seconds: the same access key was locked at another endpoint."""
        now = self._now()
        if self.refusal is None or self.refusal.retry_at < now + wait:
            tries = self.refusal.tries if self.refusal else 1
            refusal = Refusal(trouble, ConnectionReason.UNAUTHORIZED, now + wait, tries, now, locked=True)
            self._verdicts.refuse_all(refusal, "", "")
            self.accepted = False
            self._on_change(self, False)

    async def _turn(self) -> bool:
        """Wait until no other call is out to tell the verdict; return False where that takes too long."""
        try:
            async with asyncio.timeout(_LET_BY):
                await self._alone.acquire()
        except TimeoutError:
            return False
        return True

    def _is_proven(self) -> bool:
        return self.accepted and self._now() < self._accepted_at + _PROVEN_FOR

    def _met_again(self, asker: Asker) -> errors.CloudError | None:
        """Return what the last call met, where this one would meet it as well."""
        if self._last is None:
            return None
        met, whose = self._last
        if not self._meets(met.met_by, whose, asker):
            return None
        error = copy.copy(met)  # each caller adds its own traceback
        error.shared = True
        return error

    def _meets(self, met_by: MetBy, whose: Asker, asker: Asker) -> bool:
        """Return whether the call of `asker` would meet what that of `whose` met."""
        match met_by:
            case MetBy.NOBODY:
                return False
            case MetBy.SAME_PROJECT:
                return whose.way == asker.way and whose.project == asker.project
            case MetBy.SAME_CONNECTION:
                return whose.way == asker.way
            case MetBy.SAME_CREDENTIAL:
                return True
            case MetBy.REFUSED:
                refusal = self.refusal_of(asker.project, asker.namespace)
                return refusal is not None and refusal.lasts(self._now())

    async def _judged(self, call: Callable[[], Awaitable[T]], asker: Asker) -> T:
        started = self._now()
        try:
            result = await call()
        except errors.CloudError as error:
            await self._judge(error, started, asker)
            raise
        self._accept(started, asker.project)
        return result

    async def _judge(self, error: errors.CloudError, started: float, asker: Asker) -> None:
        if error.about_credential:
            await self._refused(error, started, asker)
        elif error.met_by is MetBy.REFUSED:
            self._refuse(error, ConnectionReason.ENDPOINT_NOT_ALLOWED, started, asker)
        elif error.proven:
            self._accept(started, None)
        elif error.accepts and not error.signing_in:
            self._accept(started, asker.project)
        elif error.met_by is not MetBy.NOBODY:
            self._met, self._last = self._met + 1, (error, asker)

    def _accept(self, started: float, project: str | None) -> None:
        if self.refusal is not None and started <= self.refusal.since:
            return  # it was under way when the refusal came
        news, healed, now = not self.accepted, self.refusal is not None, self._now()
        self.accepted, self._last, self._accepted_at = True, None, now
        project_healed = self._verdicts.accept(project or "", started, now)
        if news:
            self._on_change(self, healed)
        if project_healed:
            self._on_project(self, project or "")

    async def _refused(self, error: errors.CloudError, started: float, asker: Asker) -> None:
        """Find out whose a refusal is, and keep it."""
        if not error.locks:
            error.advice = probable_cause(error, self._kind)
        if self.refusal is not None and started <= self.refusal.since:
            return  # it was under way when that was known
        if await self._is_everyones(error, asker):
            self._refuse(error, ConnectionReason.UNAUTHORIZED, started, asker)
            return
        self._met, self._last = self._met + 1, (error, asker)
        if self.accepted:
            error.advice = _OTHER_PROJECT
        project = asker.project or ""
        before = self._verdicts.of_project(project)
        if before is None or started > before.since:
            refusal = Refusal.after(
                before,
                trouble_of(error, self.redact),
                ConnectionReason.UNAUTHORIZED,
                self._now(),
                named=error.retry_after,
            )
            self._verdicts.refuse(project, refusal)

    async def _is_everyones(self, error: errors.CloudError, asker: Asker) -> bool:
        """Return whether a refusal is that of the credential, and not of the project alone."""
        if error.of_project:
            return False
        elsewhere = self._verdicts.accepted_elsewhere(asker.project or "", self._now())
        doubt = self._verdicts.struck or error.locks
        if elsewhere is not None and (error.signing_in or not doubt):
            return False  # those who have a token go on; others will tell
        if asker.prove is None or error.signing_in or (elsewhere is None and not asker.doubtful):
            return True
        return await self._is_refused_for(elsewhere or asker.fallback, asker.prove)

    async def _is_refused_for(self, project: str | None, prove: Callable[[str | None], Awaitable[None]]) -> bool:
        """Make one call about another project, None for none; once a minute, however many want to know."""
        async with self._doubt:
            started = self._now()
            if self.refusal is not None and self.refusal.lasts(started):
                return True
            if started < self._confirmed_at + _PROVEN_FOR:
                return False
            try:
                await prove(project)
            except errors.CloudError as error:
                if not error.about_credential:
                    return False  # it is not known
                self._verdicts.was_tried(project or "")
                return True
            self._confirmed_at = started
            self._accept(started, project)
            return False

    def _refuse(self, error: errors.CloudError, reason: ConnectionReason, started: float, asker: Asker) -> None:
        self._met, self._last = self._met + 1, (error, asker)
        if self.refusal is not None and started <= self.refusal.since:
            return  # it was under way when that was known
        named = error.retry_after if error.about_credential else None
        trouble = trouble_of(error, self.redact)
        refusal = Refusal.after(self.refusal, trouble, reason, self._now(), named=named, locked=error.locks)
        self._verdicts.refuse_all(refusal, asker.project or "", asker.namespace)
        self.accepted = False
        self._on_change(self, False)
