"""Finds out with one call whether the cloud accepts the credential of a connection that no EvsJob uses.

Called in each round of `connections`. Jobs prove a credential by being polled; where none did within a few seconds, one
call is made. A call that did not tell is made again, with growing waits; a refused credential keeps to its own times.
Each namespace has one call under way at a time, and they take turns at what may run together: who has sixty connections
to an endpoint that hangs waits for them alone.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from evs_operator.cloud import errors

from .clock import Clock
from .faults import Faults
from .session import Session, title
from .session_tasks import SessionTasks
from .sessions import Sessions

_LEFT_TO_JOBS: Final = 3.0
"""Seconds in which EvsJobs that are applied together with the connection may prove it."""
_USED: Final = 60.0
_FIRST_WAIT: Final = 5.0
_LONGEST_WAIT: Final = 300.0
_AT_ONCE: Final = 64
_OF_CLUSTER: Final = 4
"""Calls under way together: in all, and for ClusterEvsConnections; for any namespace it is one."""

_log = logging.getLogger(__name__)


class Verification:
    """Runs the calls beside the rounds; a hung endpoint holds up nobody else."""

    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock
        self._running = SessionTasks(self._ended)
        self._again: dict[Session, tuple[float, float]] = {}
        self._served: dict[str, int] = {}
        self._turn = itertools.count(1)
        self._faults = Faults(clock, _log)

    def start_due(self, sessions: Iterable[Session]) -> None:
        """Start the calls that are due."""
        present = set(sessions)
        self._again = {session: again for session, again in self._again.items() if session in present}
        for session in self._running:
            if session not in present:  # it was changed or deleted: nobody waits for this answer
                self._running.cancel(session)
        for session in self._in_turns(present):
            if len(self._running) >= _AT_ONCE:
                return
            self._served[session.key.namespace] = next(self._turn)
            self._running.add(session, asyncio.create_task(self._verify(session), name="verify"))

    def _in_turns(self, present: Collection[Session]) -> Iterator[Session]:
        """Yield whom to call for: by the namespace that waited longest, within it what was never tried first."""
        waiting: defaultdict[str, list[Session]] = defaultdict(list)
        for session in present:
            with self._faults.guard(title(session.key), "not verified"):
                if (
                    session not in self._running
                    and not self._faults.waits(title(session.key))
                    and self._is_due(session)
                ):
                    waiting[session.key.namespace].append(session)
        self._served = {name: turn for name, turn in self._served.items() if name in waiting}
        running = self._running.by_namespace()
        for namespace in sorted(waiting, key=lambda name: self._served.get(name, 0)):
            room = (1 if namespace else _OF_CLUSTER) - running[namespace]
            yield from sorted(waiting[namespace], key=self._since)[: max(room, 0)]

    def _since(self, session: Session) -> tuple[float, float]:
        return self._again.get(session, (0.0, 0.0))[0], session.born

    async def aclose(self) -> None:
        """End the calls that run."""
        await self._running.aclose()

    def _ended(self, session: Session, fault: Exception | None) -> None:
        if fault is not None:
            wait = self._faults.met(title(session.key), "not verified", fault)
            self._again[session] = self._clock() + wait, wait

    def _is_due(self, session: Session) -> bool:
        now, identity = self._clock(), session.identity
        if identity is None or identity.accepted or session.own_block or now - session.born < _LEFT_TO_JOBS:
            return False
        if identity.tried and now - session.asked_at < _USED:
            return False  # its EvsJobs will tell
        if identity.refusal is not None and identity.refusal.lasts(now):
            return False
        return now >= max(self._again.get(session, (0.0, 0.0))[0], session.budget.paused_until)

    async def _verify(self, session: Session) -> None:
        project_id = session.spec.project_id if session.spec else None
        wait = min(self._again.get(session, (0.0, _FIRST_WAIT / 2))[1] * 2, _LONGEST_WAIT)
        budget, sent = session.budget, self._clock()
        if budget.take(sent) > 0:
            return  # a later round tries again
        try:
            await self._sessions.client(session, project_id).prove(project_id)
        except errors.CloudError as error:  # what it means for the credential was noted where it was met
            self._again[session] = (self._clock() + wait, wait)
            budget.failed(error, self._clock(), sent)
        else:
            self._again.pop(session, None)
            budget.answered(self._clock(), sent)
