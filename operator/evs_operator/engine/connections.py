"""Looks after the connections: reads changed Secrets, verifies credentials, writes the connections' status.

Secrets are read with GET: again every few seconds while a connection is broken or has unfinished jobs, never
otherwise. So the operator needs neither `list` nor `watch` on Secrets, and a repaired Secret is noticed at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final, cast

from evs_operator.api.conditions import Condition
from evs_operator.api.names import EVS_CONNECTION
from evs_operator.api.reasons import ConnectionReason
from evs_operator.cloud import errors
from evs_operator.core.connection_status import ConnectionStatus, connection_status
from evs_operator.core.observation import trouble_of
from evs_operator.core.transitions import transition_of_connection
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.events import EventRecorder
from evs_operator.kube.objects import ObjectKey

from .clock import Clock
from .poller import Poller
from .redaction import Redaction
from .sessions import Session, Sessions
from .store import Store

_TICK: Final = 2.0
_READS_PER_TICK: Final = 20
"""Secrets read at most per tick: with more connections than that each waits its turn."""
_PROBE_JOB: Final = "0" * 32
"""No job has this id: the answer 'no such job' shows that the credential was accepted."""

_log = logging.getLogger(__name__)


class Connections:
    """Background care for all sessions; one instance per process."""

    def __init__(
        self,
        *,
        api: KubeApi,
        sessions: Sessions,
        store: Store,
        poller: Poller,
        clock: Clock,
        redaction: Redaction,
        events: EventRecorder,
        wake: Callable[[], None],
    ) -> None:
        self._api = api
        self._sessions = sessions
        self._store = store
        self._poller = poller
        self._clock = clock
        self._redaction = redaction
        self._events = events
        self._wake = wake
        self._dirty: dict[ObjectKey, None] = {}
        self._turn = 0
        sessions.on_change = self._mark

    def on_event(self, kind: str, event_type: str | None, body: Mapping[str, object]) -> None:
        """Take a watch event of a connection; its jobs are polled at once where it changed."""
        metadata = cast(Mapping[str, object], body.get("metadata") or {})
        namespace = str(metadata.get("namespace")) if kind == EVS_CONNECTION else ""
        key = ObjectKey(kind, namespace, str(metadata.get("name")))
        if event_type == "DELETED":
            self._sessions.remove(key)
            self._poller.wake_jobs_of(None)
        elif (session := self._sessions.apply(key, body)) is not None:
            self._mark(session)
            self._poller.wake_jobs_of(session)
        self._wake()

    async def run(self) -> None:
        """Look after the connections until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            used = self._used()
            for session in self._next_ones(used):
                await self._look_after(session, session.key in used)
            await self._write_dirty()
            await self._sessions.close_retired(self._clock())

    def _mark(self, session: Session) -> None:
        self._dirty[session.key] = None
        self._redaction.hold(session.literals(), session.key.namespace)

    def _used(self) -> set[ObjectKey]:
        return {
            self._sessions.key_of(entry.namespace, entry.spec)
            for entry in self._store
            if not entry.finished and entry.spec is not None and not entry.spec.suspend
        }

    def _next_ones(self, used: set[ObjectKey]) -> list[Session]:
        """Return the sessions whose Secret is read in this tick, in turns where there are many."""
        candidates = [s for s in self._sessions if s.spec and (s.key in used or s.block or not s.verified)]
        if not candidates:
            return []
        start = self._turn % len(candidates)
        self._turn += _READS_PER_TICK
        return (candidates[start:] + candidates[:start])[:_READS_PER_TICK]

    async def _look_after(self, session: Session, in_use: bool) -> None:
        try:
            if session.secrets is None and session.block is None:
                await self._sessions.prepare(session)
            elif await self._sessions.refresh(session):
                _log.info("%s %s: Secret changed", session.key.kind, session.key.name)
                self._poller.wake_jobs_of(session)
                self._wake()
            if not in_use and not session.verified and not session.block and not session.verification_tried:
                await self._verify(session)
        except KubeError as error:
            _log.warning("%s %s: %s", session.key.kind, session.key.name, error.message)

    async def _verify(self, session: Session) -> None:
        """Find out with one call whether the cloud accepts the credential of a connection without jobs."""
        project_id = session.spec.project_id if session.spec else None
        if project_id is None or session.credentials is None:
            return
        budget, sent = session.budget, self._clock()
        if budget.take(sent) > 0:
            return  # the next tick tries again
        session.verification_tried = True
        client = self._sessions.client(session, project_id)
        try:
            await client.get_job(project_id, _PROBE_JOB)
        except errors.RateLimited as error:
            budget.throttled(self._clock(), error.retry_after, sent)
            session.verification_tried = False
            return
        except errors.Unauthorized as error:
            budget.answered(self._clock(), sent)
            self._sessions.refused(session, trouble_of(error), 60.0)
            self._mark(session)
            return
        except (errors.JobMissing, errors.WrongProject, errors.Forbidden, errors.Rejected):
            pass  # an answer that is not about the credential: it was accepted
        except errors.CloudError as error:
            budget.unanswered(sent)
            session.unreachable = trouble_of(error).message()
            session.verification_tried = False
            self._mark(session)
            return
        budget.answered(self._clock(), sent)
        self._sessions.accepted(session)
        self._mark(session)

    async def _write_dirty(self) -> None:
        for key in list(self._dirty):
            session = self._sessions.get(key)
            if session is None:
                del self._dirty[key]
                continue
            try:
                await self._write(session)
            except KubeError as error:
                if error.status == 409:
                    continue  # the watch brings the newer object; then it is tried again
                if error.status != 404:
                    _log.warning("%s %s: %s", key.kind, key.name, error.message)
                    continue
            self._dirty.pop(key, None)

    async def _write(self, session: Session) -> None:
        previous = cast(list[Condition], session.status.get("conditions") or [])
        reason, message = _verdict(session)
        status = connection_status(
            reason,
            self._redaction.within(session.key.namespace)(message),
            generation=session.generation,
            previous=previous,
            now=self._clock.wall(),
        )
        if _same(status, session.status):
            return
        version = await objects.apply_status(self._api, session.key, status, session.resource_version)
        session.status, session.resource_version = status, version
        transition = transition_of_connection(previous, status["conditions"])
        self._events.tell(session.key, session.uid, transition)


def _verdict(session: Session) -> tuple[ConnectionReason, str]:
    if session.block is not None:
        return session.block.reason, session.block.trouble.message()
    if session.verified:
        return ConnectionReason.CREDENTIALS_VALID, "the cloud accepted the credential"
    if session.unreachable:
        return ConnectionReason.UNREACHABLE, session.unreachable
    return ConnectionReason.NOT_YET_VERIFIED, "no call was answered with this credential yet"


def _same(one: ConnectionStatus, other: Mapping[str, object]) -> bool:
    own = {condition["type"]: condition for condition in one["conditions"]}
    conditions = cast(list[Condition], other.get("conditions") or [])
    theirs = {c["type"]: c for c in conditions if c["type"] in ("Ready", "Reconciling", "Stalled")}
    return own == theirs and other.get("observedGeneration") == one["observedGeneration"]
