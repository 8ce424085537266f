"""One question to the cloud about one EvsJob, and its consequences for connection, budget and what is learned.

Called by the reconciler, which decides and writes. An answer and a failure are both observations; what they mean for
the status is decided elsewhere (`core.decide`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from evs_operator.api.reasons import Reason
from evs_operator.clock import Clock
from evs_operator.cloud.budget import Budget
from evs_operator.connections.connection import Caller, Connection
from evs_operator.connections.registry import ConnectionRegistry, ConnectionTroubleError, short_name
from evs_operator.core.observation import JobSeen, Observation, Trouble, trouble_of
from evs_operator.core.schedule.durations import Durations
from evs_operator.core.schedule.next_poll import teach
from evs_operator.evs import errors
from evs_operator.evs.job import Job, JobOutcome
from evs_operator.jobs.queue.lane import CallBudget
from evs_operator.kube.objects import ObjectKey
from evs_operator.observe.metrics import Metrics

from . import poll_history
from .entry import Entry
from .in_flight import InFlightCalls
from .recovery import Recovery


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a question, with the connection and the project that were asked about, if it came so far."""

    observation: Observation
    connection: Connection | None = None
    project_id: str | None = None


class JobQuery:
    """Asks about EvsJobs; `wake` is called with those whose cloud is well again."""

    def __init__(
        self,
        registry: ConnectionRegistry,
        durations: Durations,
        metrics: Metrics,
        clock: Clock,
        calls: InFlightCalls,
        wake: Callable[[Iterable[Entry]], None],
    ) -> None:
        self._calls = calls
        self._recovery = Recovery(clock, wake)
        self._registry = registry
        self._durations = durations
        self._metrics = metrics
        self._clock = clock

    async def ask(self, entry: Entry, call: CallBudget | None) -> Asked | None:
        """Ask the cloud; a connection that cannot be used is an observation too.

        None means that no call could go: it has to be taken from another budget, or was taken before a 429; or the call
        was given up, because the spec changed.
        """
        if entry.seen.spec is None:
            raise ValueError("an EvsJob without a readable spec cannot be polled")
        note_connection(entry, self._registry.key_of(entry.namespace, entry.seen.spec))
        entry.polling.held_until = None
        asked: Asked | None = None
        for _ in range(2):
            try:
                connection, project_id, client = await self._registry.client_for(
                    entry.namespace, entry.seen.spec, urgent=entry.seen.request_open
                )
            except ConnectionTroubleError as trouble:
                entry.polling.failures += 1
                entry.polling.held_until = trouble.again_at if entry.seen.request_open else None
                return Asked(trouble.trouble)
            asked_with = connection.identity
            if call is not connection.budget or self._clock() < connection.budget.paused_until:
                return None
            observation = await self._poll(entry, connection, project_id, client)
            if observation is None:
                return None
            asked = Asked(observation, connection, project_id)
            if not isinstance(observation, Trouble):
                break
            if observation.reason is not Reason.UNAUTHORIZED or connection.identity in (None, asked_with):
                entry.polling.failures += 1
                break
            connection.budget.spend(self._clock())
            # refused, but the Secret holds another credential by now: that one is tried at once
        return asked

    async def _poll(self, entry: Entry, connection: Connection, project_id: str, client: Caller) -> Observation | None:
        if entry.seen.spec is None:
            raise ValueError("an EvsJob without a readable spec cannot be polled")
        started, budget = self._clock(), connection.budget
        entry.polling.last_poll = started
        entry.polling.calls += 1
        self._metrics.schedule_lag.observe(max(started - entry.place.due, 0.0))
        try:
            async with self._calls.begin(entry.uid, entry.seen.spec.target()):
                job = await client.get_job(project_id, entry.seen.spec.job_id)
                _check_end(job, entry)
        except TimeoutError:
            budget.unanswered(started)
            return None
        except errors.CloudError as error:
            self._note_trouble(budget, entry, error)
            return await self._failed(connection, client, budget, error, started)
        finally:
            self._calls.end(entry.uid)
        entry.polling.failures = 0
        budget.answered(self._clock(), started)
        self._recovery.succeeded(budget, entry)
        previous = entry.polling.history
        entry.polling.history = poll_history.history_after_poll(entry, connection.uid, job, self._clock)
        if not entry.seen.finished:
            end = None if job.outcome is JobOutcome.IN_PROGRESS else job.end_time or self._clock.wall()
            last = previous.last_poll if previous else None
            teach(self._durations, entry.polling.history, last, self._clock.at(end) if end else None)
        return JobSeen(job, client.redact.of_answer)

    def _note_trouble(self, budget: Budget, entry: Entry, error: errors.CloudError) -> None:
        """Tell those who wait for this cloud whether it is well again."""
        if error.throttles:
            return  # the budget paces them
        if error.heals:
            self._recovery.failed(budget, entry)
        elif error.by_evs:
            self._recovery.succeeded(budget, entry)

    async def _failed(
        self, connection: Connection, client: Caller, budget: Budget, error: errors.CloudError, started: float
    ) -> Observation:
        """Take the consequences of a failed call for its connection, and say what it means for the job."""
        now = self._clock()
        if error.throttles and error.by_evs:
            self._metrics.throttled.inc()
        budget.failed(error, now, started)
        if error.about_credential and not error.shared:
            await self._registry.refresh(connection)
        trouble = connection.named(trouble_of(error, client.redact))
        return replace(trouble, lasting=True) if trouble.passing and connection.reach.is_mistaken(now) else trouble


def _check_end(job: Job, entry: Entry) -> None:
    """Raise InvalidResponse for an end that says not whose it is: it would stand over what is known of the job."""
    written = not entry.seen.retargeted and (entry.seen.finished or "jobStatus" in entry.seen.status)
    seen = written or isinstance(entry.polling.pending, JobSeen)
    if seen and job.outcome is not JobOutcome.IN_PROGRESS and not job.is_named:
        what = "the answer says that a job has ended and not which: it has no job_id, and no job_type with times"
        raise errors.InvalidResponse(what, http_status=200)


def note_connection(entry: Entry, key: ObjectKey) -> None:
    """Note the connection that an EvsJob is asked for with, or would be."""
    entry.polling.connection = short_name(key)
    if entry.polling.used is None or (entry.polling.used["kind"], entry.polling.used["name"]) != (key.kind, key.name):
        entry.polling.used = {"kind": key.kind, "name": key.name}
