"""One question to the cloud about one EvsJob, and its consequences for connection, budget and what is learned.

Called by the poller, which decides and writes. An answer and a failure are observations alike; what they mean for the
status is not looked at here (`core.decide`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from evs_operator.api.reasons import Reason
from evs_operator.cloud import errors
from evs_operator.cloud.budget import Budget
from evs_operator.cloud.job import Job
from evs_operator.cloud.job import Outcome as Word
from evs_operator.core.durations import Durations
from evs_operator.core.observation import JobSeen, Observation, Trouble, trouble_of
from evs_operator.core.schedule import teach
from evs_operator.kube.objects import ObjectKey
from evs_operator.observe.metrics import Metrics

from . import intervals
from .clock import Clock
from .lane import CallBudget
from .recovery import Recovery
from .session import Caller, Session
from .sessions import ConnectionTroubleError, Sessions, short_name
from .store import Entry
from .under_way import CallsUnderWay

_OF_THE_SIDE: Final = (errors.ServerError, errors.Unreachable, errors.PollTimeout, errors.InvalidResponse)
"""Troubles that the next EvsJob would meet too."""

Observed = tuple[Session | None, str | None, Observation | None]
"""Session and project that were asked with, and what came of it."""


class Inquiry:
    """Asks about EvsJobs; `calls` are those under way. `wake` is called with those whose cloud is well again."""

    def __init__(
        self,
        sessions: Sessions,
        durations: Durations,
        metrics: Metrics,
        clock: Clock,
        wake: Callable[[Iterable[Entry]], None],
    ) -> None:
        self.calls = CallsUnderWay()
        self._recovery = Recovery(clock, wake)
        self._sessions = sessions
        self._durations = durations
        self._metrics = metrics
        self._clock = clock

    async def observe(self, entry: Entry, call: CallBudget | None) -> Observed:
        """Ask the cloud; a connection that cannot be used is an observation too.

        Without an observation no call could go: it has to be taken from another budget, or was taken before a 429; or
        the call was given up, because the spec changed.
        """
        if entry.spec is None:
            raise ValueError("an EvsJob without a readable spec cannot be polled")
        note_connection(entry, self._sessions.key_of(entry.namespace, entry.spec))
        entry.held_until = None
        for _ in range(2):
            try:
                session, project_id, client = await self._sessions.client_for(
                    entry.namespace, entry.spec, urgent=entry.request_open
                )
            except ConnectionTroubleError as trouble:
                entry.failures += 1
                entry.held_until = trouble.again_at if entry.request_open else None
                return None, None, trouble.trouble
            asked_with = session.identity
            if call is not session.budget or self._clock() < session.budget.paused_until:
                return session, project_id, None
            observation = await self._poll(entry, session, project_id, client)
            if not isinstance(observation, Trouble):
                break
            if observation.reason is not Reason.UNAUTHORIZED or session.identity in (None, asked_with):
                entry.failures += 1
                break
            session.budget.spend(self._clock())
            # refused, but the Secret holds another credential by now: that one is tried at once
        return session, project_id, observation

    async def _poll(self, entry: Entry, session: Session, project_id: str, client: Caller) -> Observation | None:
        if entry.spec is None:
            raise ValueError("an EvsJob without a readable spec cannot be polled")
        started, budget = self._clock(), session.budget
        entry.last_poll = started
        entry.calls += 1
        self._metrics.schedule_lag.observe(max(started - entry.due, 0.0))
        try:
            async with self.calls.begin(entry.uid, entry.spec.target()):
                job = await client.get_job(project_id, entry.spec.job_id)
                _check_end(job, entry)
        except TimeoutError:
            budget.unanswered(started)
            return None
        except errors.CloudError as error:
            self._note_trouble(budget, entry, error)
            return await self._failed(session, client, budget, error, started)
        finally:
            self.calls.end(entry.uid)
        entry.failures = 0
        budget.answered(self._clock(), started)
        self._recovery.succeeded(budget, entry)
        previous = entry.history
        entry.history = intervals.told(entry, session.uid, job, self._clock)
        if not entry.finished:
            end = None if job.outcome is Word.IN_PROGRESS else job.end_time or self._clock.wall()
            last = previous.last_poll if previous else None
            teach(self._durations, entry.history, last, self._clock.at(end) if end else None)
        return JobSeen(job, client.redact.of_answer)

    def _note_trouble(self, budget: Budget, entry: Entry, error: errors.CloudError) -> None:
        """Tell those who wait for this cloud whether it is well again."""
        if isinstance(error, _OF_THE_SIDE):
            self._recovery.failed(budget, entry)
        elif not error.shared and not error.signing_in and not isinstance(error, errors.RateLimited):
            self._recovery.succeeded(budget, entry)

    async def _failed(
        self, session: Session, client: Caller, budget: Budget, error: errors.CloudError, started: float
    ) -> Observation:
        """Take the consequences of a failed call for its connection, and say what it means for the job."""
        now = self._clock()
        if isinstance(error, errors.RateLimited) and not (error.shared or error.signing_in):
            self._metrics.throttled.inc()
        budget.failed(error, now, started)
        if isinstance(error, errors.Unauthorized) and not error.shared:
            await self._sessions.refresh(session)
        trouble = session.named(trouble_of(error, client.redact))
        return replace(trouble, lasting=True) if trouble.passing and session.reach.is_mistaken(now) else trouble


def _check_end(job: Job, entry: Entry) -> None:
    """Raise InvalidResponse for an end that says not whose it is: it would stand over what is known of the job."""
    written = not entry.anew and (entry.finished or "jobStatus" in entry.status)
    seen = written or isinstance(entry.pending, JobSeen)
    if seen and job.outcome is not Word.IN_PROGRESS and not job.is_named:
        what = "the answer says that a job has ended and not which: it has no job_id, and no job_type with times"
        raise errors.InvalidResponse(what, http_status=200)


def note_connection(entry: Entry, key: ObjectKey) -> None:
    """Note the connection that an EvsJob is asked for with, or would be."""
    entry.connection = short_name(key)
    if entry.used is None or (entry.used["kind"], entry.used["name"]) != (key.kind, key.name):
        entry.used = {"kind": key.kind, "name": key.name}
