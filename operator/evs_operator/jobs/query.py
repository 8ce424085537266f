"""One question to the cloud about one EvsJob, and what is learned from the answer.

Called by the reconciler, which decides and writes. The call itself, with its consequences for budget, credential and
connection, is `connections.caller`. An answer and a failure are both observations; what they mean for the status is
decided elsewhere (`core.decide`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from evs_operator.clock import Clock
from evs_operator.cloud.budget import Budget
from evs_operator.connections.access import ConnectionTroubleError
from evs_operator.connections.caller import Caller
from evs_operator.connections.connection import Connection, short_name
from evs_operator.connections.registry import ConnectionRegistry
from evs_operator.core.observation import JobSeen, Observation
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
        try:
            connection, project_id, caller = await self._registry.client_for(
                entry.namespace, entry.seen.spec, urgent=entry.seen.request_open
            )
        except ConnectionTroubleError as trouble:
            entry.polling.failures += 1
            entry.polling.held_until = trouble.again_at if entry.seen.request_open else None
            return Asked(trouble.trouble)
        if not caller.may_spend(call):
            return None
        observation = await self._poll(entry, connection, project_id, caller)
        return None if observation is None else Asked(observation, connection, project_id)

    async def _poll(self, entry: Entry, connection: Connection, project_id: str, caller: Caller) -> Observation | None:
        if entry.seen.spec is None:
            raise ValueError("an EvsJob without a readable spec cannot be polled")
        started = self._clock()
        entry.polling.last_poll = started
        entry.polling.calls += 1
        self._metrics.schedule_lag.observe(max(started - entry.place.due, 0.0))
        try:
            within = self._calls.begin(entry.uid, entry.seen.spec.target())
            job = await caller.get_job(project_id, entry.seen.spec.job_id, within=within)
            _check_end(job, entry)
        except TimeoutError:
            return None
        except errors.CloudError as error:
            return await self._failed(entry, connection, caller, error)
        finally:
            self._calls.end(entry.uid)
        entry.polling.failures = 0
        self._recovery.succeeded(caller.budget, entry)
        self._learn(entry, connection, job)
        return JobSeen(job, caller.redact.of_answer)

    def _learn(self, entry: Entry, connection: Connection, job: Job) -> None:
        """Learn from an answer how long jobs take."""
        previous = entry.polling.history
        entry.polling.history = poll_history.history_after_poll(entry, connection.uid, job, self._clock)
        if not entry.seen.finished:
            end = None if job.outcome is JobOutcome.IN_PROGRESS else job.end_time or self._clock.wall()
            last = previous.last_poll if previous else None
            teach(self._durations, entry.polling.history, last, self._clock.at(end) if end else None)

    async def _failed(
        self, entry: Entry, connection: Connection, caller: Caller, error: errors.CloudError
    ) -> Observation | None:
        """Return what a failed call means for the EvsJob; None if the Secret holds another credential by now.

        That one is tried at once, with a call from its own budget.
        """
        self._note_trouble(caller.budget, entry, error)
        if error.throttles and error.by_evs:
            self._metrics.throttled.inc()
        if error.about_credential:
            if not error.shared:
                await self._registry.refresh(connection)
            if caller.replaced:
                return None
        entry.polling.failures += 1
        return caller.trouble(error)

    def _note_trouble(self, budget: Budget, entry: Entry, error: errors.CloudError) -> None:
        """Wake those that wait for this cloud if it is well again."""
        if error.throttles:
            return  # the budget paces them
        if error.heals:
            self._recovery.failed(budget, entry)
        elif error.by_evs:
            self._recovery.succeeded(budget, entry)


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
