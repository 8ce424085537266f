"""One call to the cloud in one room: its turn, its answer, and what that means for budget, credential and connection.

Whoever makes a call (`jobs.query` for an EvsJob, `verification` for a connection that no EvsJob uses) has taken it from
`Caller.budget`, and asks a `Caller` of the registry. From there a call goes this way, and comes back it:

1. `Identity.ask` lets it go at once if the credential is known to be good. Otherwise it waits for the call that is out
   to find that out, and meets what that one met (`shared`).
2. `EvsClient` sends it, and before it what signs in, which the identity spends from the same budget.
3. The identity takes what came as a verdict on the credential, or on the project alone.
4. The budget takes it: faster, slower, or a pause.
5. The connection takes it: whether its endpoint is in reach, and what keeps calls from it.
6. `Caller.trouble` says what an error means for an EvsJob.

What an error means is declared in `evs.errors`. Deliberately not here: retries, and reading a Secret again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Final, TypeVar

from evs_operator.api.names import CLUSTER_EVS_CONNECTION
from evs_operator.clock import Clock
from evs_operator.cloud.budget import Budget
from evs_operator.cloud.client import EvsClient
from evs_operator.connections.credential.identity import Asker, Identity
from evs_operator.core.observation import Trouble, trouble_of
from evs_operator.evs import errors
from evs_operator.evs.job import Job
from evs_operator.observe.faults import Faults
from evs_operator.redact.redaction import CallRedaction

from .clients import MakeClient
from .connection import Connection

T = TypeVar("T")

_GOES: Final = 120.0
"""Seconds for which an answer about one project says that trouble with another is that project's alone."""
_RETIRED_FOR: Final = 60.0
"""Seconds in which calls with a replaced credential may end."""

_log = logging.getLogger(__name__)


class Caller:
    """Makes calls by one connection for one namespace and project, with the credential of the time it was made.

    `budget` is what its calls are taken from.
    """

    def __init__(
        self,
        client: EvsClient,
        connection: Connection,
        identity: Identity,
        asker: Asker,
        now: Callable[[], float],
        on_change: Callable[[Connection], None],
    ) -> None:
        self.budget: Final[Budget] = connection.budget
        self._client = client
        self._connection = connection
        self._identity = identity
        self._asker = asker
        self._now = now
        self._on_change = on_change

    async def get_job(
        self, project_id: str, job_id: str, *, within: AbstractAsyncContextManager[object] | None = None
    ) -> Job:
        """Query one job; raises CloudError, or the TimeoutError of `within`, which gives the call up."""
        return await self._call(lambda: self._client.get_job(project_id, job_id), within)

    async def prove(self, project_id: str | None) -> None:
        """Find out with one call whether the credential is accepted; raises CloudError if that is not known."""
        await self._call(lambda: self._client.prove(project_id, self._identity.sign_in.proof()))

    def may_spend(self, taken_from: object) -> bool:
        """Return whether a call that was taken from there may go: from this budget, and no pause has begun since."""
        return taken_from is self.budget and self._now() >= self.budget.paused_until

    def trouble(self, error: errors.CloudError) -> Trouble:
        """Return what an error of a call means for the status of an EvsJob."""
        trouble = self._connection.named(trouble_of(error, self._identity.redact))
        mistaken = trouble.passing and self._connection.reach.is_mistaken(self._now())
        return replace(trouble, lasting=True) if mistaken else trouble

    @property
    def replaced(self) -> bool:
        """True if the connection has another credential by now, with which the answer may be another."""
        return self._connection.identity is not None and self._connection.identity is not self._identity

    @property
    def redact(self) -> CallRedaction:
        """What redacts the answers to its calls."""
        return self._identity.redact

    async def _call(
        self, call: Callable[[], Awaitable[T]], within: AbstractAsyncContextManager[object] | None = None
    ) -> T:
        sent = self._now()
        try:
            async with within or nullcontext():
                result = await self._identity.ask(call, self._asker)
        except TimeoutError:
            self.budget.unanswered(sent)
            raise
        except errors.CloudError as error:
            self.budget.failed(error, self._now(), sent)
            self._did_not_reach(error)
            raise
        self.budget.answered(self._now(), sent)
        self._went_through()
        return result

    def _did_not_reach(self, error: errors.CloudError) -> None:
        """Keep what an error says of the way to the cloud."""
        self._connection.reach.failed(error, self._now())
        if not error.of_connection:
            if not error.heals:
                self._went_through()
            return
        if self._identity.goes_elsewhere(self._asker.project, _GOES):
            return  # one project's trouble is not the connection's
        trouble, known = trouble_of(error, self._identity.redact), self._connection.trouble
        if known is None:
            self._connection.trouble_since = self._now()
        # if every call meets the same, other words are another cause; else they may be those of another server
        new_cause = known != trouble and error.met_by is errors.MetBy.SAME_CONNECTION
        if known is None or known.reason is not trouble.reason or new_cause:
            self._connection.trouble = trouble
            self._on_change(self._connection)

    def _went_through(self) -> None:
        self._connection.reach.got_through()
        if self._connection.trouble is not None:
            self._connection.trouble = None
            self._on_change(self._connection)


class Callers:
    """Makes and keeps the callers of all connections.

    A connection has one set of sockets, shared by all its projects. What a project needs of its own, its
    authentication, is small and kept for those used last: who names project after project fills neither the memory nor
    the process's table of open files.
    """

    def __init__(self, make_client: MakeClient, clock: Clock, on_change: Callable[[Connection], None]) -> None:
        self._make_client = make_client
        self._clock = clock
        self._on_change = on_change
        self._retired: list[tuple[float, EvsClient]] = []
        self._faults = Faults(clock, _log)

    def of(self, connection: Connection, identity: Identity, project_id: str | None, namespace: str) -> Caller:
        """Return a connection's caller for one project and namespace; without a project it proves the credential."""
        key = (namespace, project_id or "")
        caller = connection.clients.get(key)
        if caller is None:
            caller = self._made(connection, identity, project_id, namespace)
            connection.clients.put(key, namespace, caller)
        return caller

    def retire(self, connection: Connection) -> None:
        """Forget the callers of a connection; calls in flight may end before their sockets are closed."""
        if connection.wire is not None:
            self._retired.append((self._clock() + _RETIRED_FOR, connection.wire))
        connection.empty()

    async def close_retired(self, now: float) -> None:
        """Close the sockets of credentials and specs that were replaced a while ago."""
        over = [wire for at, wire in self._retired if at <= now]
        self._retired = [(at, wire) for at, wire in self._retired if at > now]
        for wire in over:
            with self._faults.guard("connections", "sockets not closed"):
                await wire.aclose()

    def _made(self, connection: Connection, identity: Identity, project_id: str | None, namespace: str) -> Caller:
        own = connection.spec.project_id if connection.spec else None
        doubtful = connection.key.kind == CLUSTER_EVS_CONNECTION and project_id is not None and project_id != own
        for_namespace = namespace or connection.key.namespace
        auth = identity.sign_in.auth(project_id or "", namespace=for_namespace, doubtful=doubtful)
        client = self._make_client(connection, auth)
        if connection.wire is None:
            connection.wire = client
        way = (connection.key, connection.uid, connection.generation)
        fallback = own if own != project_id else None
        prove = self._proof_past(connection, identity)
        asker = Asker(project_id, for_namespace, way, doubtful, fallback, prove)
        return Caller(client, connection, identity, asker, self._clock, self._on_change)

    def _proof_past(self, connection: Connection, identity: Identity) -> Callable[[str | None], Awaitable[None]]:
        """Return what makes one call about another project, or none, whose verdict the identity awaits itself."""

        async def prove(project_id: str | None) -> None:
            if connection.identity is not identity:
                raise errors.ServerError("the connection has changed")
            identity.spend()
            proving = self._make_client(connection, identity.sign_in.auth(project_id or ""))
            await proving.prove(project_id, identity.sign_in.proof())

        return prove
