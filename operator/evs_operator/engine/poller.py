"""One look at one EvsJob: poll where a call is due, decide, write, and say when to look again.

Called by the dispatcher's workers with an entry that is due. An observation that could not be written is
kept and written later without asking the cloud again: the record of a finished job may be gone by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from evs_operator.api.conditions import parse_timestamp
from evs_operator.api.reasons import Reason
from evs_operator.cloud import errors
from evs_operator.cloud.budget import Budget
from evs_operator.cloud.job import Outcome as Word
from evs_operator.core.decide import Subject, deadline_of
from evs_operator.core.durations import Durations
from evs_operator.core.observation import JobSeen, Observation, Trouble, trouble_of
from evs_operator.core.schedule import next_poll, patience, teach, work_began
from evs_operator.kube.api import KubeError
from evs_operator.kube.objects import ObjectKey
from evs_operator.observe.metrics import Metrics
from evs_operator.observe.tracing import NO_TRACING, Tracing

from . import intervals
from .clock import Clock
from .dispatcher import CallBudget, Route
from .scheduler import Scheduler
from .session import Caller, Session
from .sessions import ConnectionTroubleError, Sessions, short_name
from .store import Entry, Store, shrink
from .under_way import CallsUnderWay
from .writer import StatusWriter

_log = logging.getLogger(__name__)

_Observed = tuple[Session | None, str | None, Observation | None]
"""Session and project that were asked with, and what came of it."""

_UNKNOWN_PATIENCE: Final = 10.0
"""Of an EvsJob that was asked for and never answered about."""
_SETTLING: Final = 3.0
"""Seconds in which what is applied together with a new EvsJob, such as its Secret, may still arrive."""
_SETTLING_STEP: Final = 0.5
_AFTER: Final = 0.05
"""Seconds after a deadline at which it is over by every rounding."""
_LOOK_AFTER: Final = 1.0
"""Seconds that an EvsJob waits for its call before it is looked at without one."""
_LONGEST_CALL: Final = 40.0
"""More seconds than a call may last, with signing in."""


class Poller:
    """Processes entries; one instance per process."""

    def __init__(
        self,
        *,
        store: Store,
        scheduler: Scheduler,
        sessions: Sessions,
        writer: StatusWriter,
        durations: Durations,
        metrics: Metrics,
        clock: Clock,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._tracing = tracing
        self._store = store
        self._scheduler = scheduler
        self._sessions = sessions
        self._writer = writer
        self._durations = durations
        self._metrics = metrics
        self._clock = clock
        self._woken: set[str] = set()
        self._calls = CallsUnderWay()

    def route_of(self, entry: Entry) -> Route | None:
        """Return lane and budget of the call that an entry needs; None where it needs none."""
        if entry.spec is None or not self._needs_call(entry):
            return None
        session = self._sessions.find(entry.namespace, entry.spec)
        if session is None or session.spec is None:
            return None
        if session.block and session.block.lasts(self._clock(), urgent=entry.request_open):
            return None
        if entry.history is None:
            entry.history = intervals.recalled(entry, session.uid, self._clock)
        if session.credentials is None and session.block is None:
            return session.key, None  # whose budget it is the Secret tells
        return session.budget, session.budget

    def patience_of(self, entry: Entry, price: float) -> float:
        """Return the seconds that an EvsJob can wait for its next call at that price."""
        if entry.history is None:
            return _UNKNOWN_PATIENCE
        return patience(entry.history, self._durations, price=price)

    def look_at(self, entry: Entry) -> float | None:
        """Return when an EvsJob that waits for a call is looked at without one; None where that would tell nothing.

        Its deadline, the end of its time to live and a changed spec wait for no budget and no endpoint.
        """
        if entry.spec is None:
            return None
        gone, soon = intervals.delete_at(entry, self._clock), entry.poll_at + _LOOK_AFTER
        observed = entry.observed_generation
        if entry.told_version != entry.version and observed is not None and 0 <= observed != entry.generation:
            return soon if gone is None else min(gone, soon)
        if gone is not None:
            return gone
        deadline = self._deadline_of(entry)
        return None if deadline is None else max(deadline + _AFTER, soon)

    async def work(self, entry: Entry, call: CallBudget | None) -> None:
        """Process an entry that is due; what goes wrong at the API server is tried again later.

        `call` is the budget that one call was taken from, None where none was.
        """
        version, last_poll = entry.version, entry.last_poll
        try:
            with self._tracing.span("evsjob", _named(entry)):
                await self._process(entry, call)
            entry.write_failures = 0
        except KubeError as error:
            entry.write_failures += 1
            wait = min(2.0**entry.write_failures, 60.0)
            _log.warning("EvsJob %s/%s: %s", entry.namespace, entry.name, error.message, extra=_named(entry))
            self._scheduler.schedule(entry, self._clock() + wait)
        except Exception:  # noqa: BLE001  # a fault of ours in one EvsJob must not end the worker of all
            _log.exception("EvsJob %s/%s: not processed", entry.namespace, entry.name, extra=_named(entry))
            self._scheduler.schedule(entry, self._clock() + 60.0)
        finally:
            if call is not None and entry.last_poll == last_poll:
                call.unused()
        if entry.uid in self._woken:
            self._woken.discard(entry.uid)
            entry.poll_at = self._clock()
            self._scheduler.schedule(entry, entry.poll_at)
        if entry.version != version and not entry.deleted:
            self._scheduler.schedule(entry, self._clock())

    def changed(self, entry: Entry) -> None:
        """Look at an entry whose spec or request changed; what is under way for it ends where nobody wants it now."""
        if not entry.busy:
            self.consider(entry)
        elif entry.spec is None or entry.spec.suspend:
            self._calls.give_up(entry.uid)
        else:
            self._calls.give_up(entry.uid, unless_about=entry.spec.target())

    def consider(self, entry: Entry) -> None:
        """Schedule an entry that is new or changed; nothing is polled that has ended and is not asked for."""
        now = self._clock()
        if entry.finished and not entry.request_open and self._is_settled(entry):
            due = intervals.delete_at(entry, self._clock)
            shrink(entry)
            if due is None:
                self._scheduler.cancel(entry)
            else:
                self._scheduler.schedule(entry, max(due, now))
            return
        entry.poll_at = now
        entry.failures = 0
        self._scheduler.schedule(entry, now)

    def _is_settled(self, entry: Entry) -> bool:
        return entry.spec is not None and entry.observed_generation == entry.generation

    def _needs_call(self, entry: Entry) -> bool:
        if entry.spec is None or entry.pending is not None or entry.spec.suspend:
            return False
        if not (entry.request_open if entry.finished else entry.poll_at <= self._clock()):
            return False
        look = self.look_at(entry)
        return look is None or look > self._clock()

    async def _process(self, entry: Entry, call: CallBudget | None) -> None:
        if entry.deleted:
            return
        due = intervals.delete_at(entry, self._clock)
        if due is not None and due <= self._clock():
            await self._writer.delete(entry)
            return
        if entry.spec is None:
            await self._writer.refuse(entry)
            return
        observation = entry.pending
        version, target, project_id, session = entry.version, entry.spec.target(), None, None
        if self._needs_call(entry):
            with self._tracing.span("poll", {"job": entry.spec.job_id}) as span:
                session, project_id, observation = await self._within_deadline(entry, self._observe(entry, call))
                if observation is not None:
                    span.tell({"connection": entry.connection, "reason": _reason(observation)})
            if observation is None:
                self._scheduler.schedule(entry, self._clock())
                return
            if session is None and not entry.status.get("jobId") and self._clock() < entry.first_seen + _SETTLING:
                self._scheduler.schedule(entry, self._clock() + _SETTLING_STEP)
                return
            self._tell(entry, observation)
        if entry.deleted or entry.spec is None or entry.spec.target() != target:
            return  # the answer speaks of a job that nobody asks for any more
        entry.pending = observation
        await self._write(entry, observation, project_id, version)
        entry.pending = None
        self._schedule_next(entry, observation, session)

    async def _write(self, entry: Entry, observation: Observation | None, project_id: str | None, version: int) -> None:
        deadline, now = self._deadline_of(entry), self._clock()
        await self._writer.write(entry, observation, project_id, self._estimate_for(entry, observation))
        entry.told_version = version
        if deadline is not None and deadline <= now:
            entry.late_version = version

    async def _within_deadline(self, entry: Entry, observing: Coroutine[Any, Any, _Observed]) -> _Observed:
        """Wait for the cloud; where a deadline is over while it has not answered yet, say so meanwhile."""
        deadline, now = self._deadline_of(entry), self._clock()
        if deadline is None or not now <= deadline < now + _LONGEST_CALL:
            return await observing
        under_way = asyncio.ensure_future(observing)
        try:
            await asyncio.wait([under_way], timeout=deadline + _AFTER - now)
            if not under_way.done() and entry.spec is not None:
                try:
                    await self._write(entry, None, None, entry.version)
                except KubeError as error:  # the answer is written in any case
                    _log.warning("EvsJob %s/%s: %s", entry.namespace, entry.name, error.message, extra=_named(entry))
            return await under_way
        finally:
            under_way.cancel()

    def _tell(self, entry: Entry, observation: Observation) -> None:
        """Count a look at a job by what came of it; a line of it is for debugging."""
        reason = _reason(observation)
        self._metrics.polls.labels(reason).inc()
        if _log.isEnabledFor(logging.DEBUG) and entry.spec is not None:
            said = observation.message() if isinstance(observation, Trouble) else observation.job.status
            fields = {"job": entry.spec.job_id, "reason": reason} | _named(entry)
            _log.debug("EvsJob %s/%s: polled: %s", entry.namespace, entry.name, said, extra=fields)

    async def _observe(self, entry: Entry, call: CallBudget | None) -> _Observed:
        """Ask the cloud; a connection that cannot be used is an observation too.

        Without an observation no call could go: it has to be taken from another budget, or was taken before a 429; or
        the call was given up, because the spec changed.
        """
        if entry.spec is None:
            raise ValueError("an EvsJob without a readable spec cannot be polled")
        entry.connection = short_name(self._sessions.key_of(entry.namespace, entry.spec))
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
            if call is not session.budget or self._clock() < session.budget.paused_until:
                return session, project_id, None
            observation = await self._poll(entry, session, project_id, client)
            if not isinstance(observation, Trouble):
                break
            if observation.reason is not Reason.UNAUTHORIZED or session.block is not None:
                entry.failures += 1
                break
            # refused, but the Secret holds another credential by now: that one is tried at once
        return session, project_id, observation

    async def _poll(self, entry: Entry, session: Session, project_id: str, client: Caller) -> Observation | None:
        if entry.spec is None:
            raise ValueError("an EvsJob without a readable spec cannot be polled")
        started, budget = self._clock(), session.budget
        entry.last_poll = started
        self._metrics.schedule_lag.observe(max(started - entry.due, 0.0))
        try:
            async with self._calls.begin(entry.uid, entry.spec.target()):
                job = await client.get_job(project_id, entry.spec.job_id)
        except TimeoutError:
            budget.unanswered(started)
            return None
        except errors.CloudError as error:
            return await self._failed(session, budget, error, started)
        finally:
            self._calls.end(entry.uid)
        entry.failures = 0
        budget.answered(self._clock(), started)
        previous = entry.history
        entry.history = intervals.told(entry, session.uid, job, self._clock)
        if not entry.finished:
            end = None if job.outcome is Word.IN_PROGRESS else job.end_time or self._clock.wall()
            last = previous.last_poll if previous else None
            teach(self._durations, entry.history, last, self._clock.at(end) if end else None)
        return JobSeen(job)

    async def _failed(self, session: Session, budget: Budget, error: errors.CloudError, started: float) -> Observation:
        """Take the consequences of a failed call for its connection, and say what it means for the job."""
        now = self._clock()
        if error.shared or error.signing_in:
            budget.unused()  # EVS was not asked
        elif isinstance(error, errors.RateLimited):
            self._metrics.throttled.inc()
            budget.throttled(now, error.retry_after, started)
        elif isinstance(error, errors.Unreachable | errors.PollTimeout):
            budget.unanswered(started)
        else:
            budget.answered(now, started)
        if isinstance(error, errors.Unauthorized) and not error.shared:
            await self._sessions.refresh(session)
        return trouble_of(error)

    def jobs_of(self, key: ObjectKey) -> list[Entry]:
        """Return the EvsJobs that mean a connection and have calls to come."""
        return [
            entry
            for entry in self._store
            if not entry.finished
            and entry.spec is not None
            and not entry.spec.suspend
            and self._sessions.key_of(entry.namespace, entry.spec) == key
        ]

    def wake(self, entries: Iterable[Entry]) -> None:
        """Poll EvsJobs now, within their budget; one that is being looked at is looked at once more."""
        now = self._clock()
        for entry in entries:
            entry.poll_at = now
            entry.failures = 0
            self._scheduler.schedule(entry, now)
            if entry.busy:
                self._woken.add(entry.uid)
                self._calls.give_up(entry.uid)  # it goes another way than the next one

    def _estimate_for(self, entry: Entry, observation: Observation | None) -> float | None:
        """Return the estimated end of a job that works, in seconds of the wall clock."""
        if not isinstance(observation, JobSeen) or entry.history is None or observation.job.status.upper() == "INIT":
            return None
        age = self._clock() - work_began(entry.history)
        left = self._durations.estimate(entry.history.connection, entry.history.job_type, age)
        return None if left is None else self._clock.wall().timestamp() + left

    def _schedule_next(self, entry: Entry, observation: Observation | None, session: Session | None) -> None:
        now = self._clock()
        if entry.deleted or entry.spec is None:
            return
        if entry.finished and not entry.request_open:
            self.consider(entry)
            return
        gone = intervals.delete_at(entry, self._clock)
        if entry.spec.suspend:
            if gone is None:
                self._scheduler.cancel(entry)
            else:
                self._scheduler.schedule(entry, max(gone, now))
            return
        if observation is not None:
            entry.poll_at = now + self._wait(entry, observation, session, now)
            if entry.held_until is not None:
                entry.poll_at = min(entry.poll_at, entry.held_until)
        due = entry.poll_at if gone is None else min(entry.poll_at, gone)
        deadline = self._deadline_of(entry)
        if deadline is not None:
            due = min(due, deadline + _AFTER)
        self._scheduler.schedule(entry, max(due, now))

    def _wait(self, entry: Entry, observation: Observation, session: Session | None, now: float) -> float:
        if isinstance(observation, JobSeen):
            if entry.history is None or entry.spec is None:
                return intervals.after_failure(entry, passing=True)
            if entry.late_version == entry.version:
                return float(entry.spec.polling.max_interval)
            return next_poll(entry.history, self._durations, now)
        if observation.reason is Reason.RATE_LIMITED and session is not None and now < session.budget.paused_until:
            return session.budget.paused_until - now
        start = parse_timestamp(entry.status.get("observationStartTime"))
        if observation.reason is Reason.JOB_NOT_FOUND and "jobStatus" not in entry.status and start:
            wait = intervals.within_grace(self._clock.at(start), now, intervals.after_failure(entry, passing=True))
            if wait is not None:
                return wait
        if session is not None and session.block is not None:
            return max(session.block.retry_at - now, 0.0)
        return intervals.after_failure(entry, passing=observation.reason.passing)

    def _deadline_of(self, entry: Entry) -> float | None:
        """Return when the deadline of an EvsJob is over, None without one and once that is told."""
        if entry.spec is None or entry.spec.deadline_seconds is None or entry.finished:
            return None
        if entry.late_version == entry.version:
            return None
        moment = deadline_of(self.subject_of(entry), entry.status)
        return None if moment is None else self._clock.at(moment)

    def subject_of(self, entry: Entry) -> Subject:
        """Return the entry in the words of `decide()`."""
        return self._writer.subject_of(entry, None)


def _reason(observation: Observation) -> str:
    return str(observation.reason if isinstance(observation, Trouble) else Reason.POLL_SUCCEEDED)


def _named(entry: Entry) -> dict[str, str]:
    return {"evsjob": f"{entry.namespace}/{entry.name}", "connection": entry.connection}
