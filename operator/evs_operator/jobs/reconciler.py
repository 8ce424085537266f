"""One pass over one EvsJob: poll if a call is due, decide, write, and say when to look again.

Called by the dispatcher's workers with an entry that is due. An observation that could not be written is kept until it
is written or replaced by a newer one (`unwritten`): the record of a finished job may be gone by then. What makes an
EvsJob due is decided elsewhere (`rescheduling`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from evs_operator.api.reasons import Reason
from evs_operator.clock import Clock
from evs_operator.connections.registry import ConnectionRegistry
from evs_operator.core.observation import Observation, Trouble
from evs_operator.jobs.queue.dispatcher import Route
from evs_operator.jobs.queue.lane import CallBudget
from evs_operator.jobs.queue.scheduler import Scheduler
from evs_operator.kube.api import KubeError
from evs_operator.observe.faults import Faults, in_words
from evs_operator.observe.metrics import Metrics
from evs_operator.observe.seldom import Seldom
from evs_operator.observe.tracing import NO_TRACING, Tracing
from evs_operator.observe.wording import Ours

from . import poll_history, unwritten
from .due_times import AFTER, Agenda, DueTimes
from .entry import Entry, Seen
from .first_call import what_it_waits_for
from .query import Asked, JobQuery, note_connection
from .recovery import Recovery
from .rescheduling import Rescheduling
from .status_writer import StatusWriter

_log = logging.getLogger(__name__)

_SETTLING: Final = 3.0
"""Seconds in which what is applied together with a new EvsJob, such as its Secret, may still arrive."""
_SETTLING_STEP: Final = 0.5
_LONGEST_CALL: Final = 40.0
"""More seconds than a call may last, with signing in."""


class JobReconciler:
    """Processes entries; one instance per process."""

    def __init__(
        self,
        scheduler: Scheduler,
        registry: ConnectionRegistry,
        query: JobQuery,
        due: DueTimes,
        rescheduling: Rescheduling,
        writer: StatusWriter,
        metrics: Metrics,
        clock: Clock,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._scheduler = scheduler
        self._registry = registry
        self._query = query
        self._due = due
        self._rescheduling = rescheduling
        self._writer = writer
        self._metrics = metrics
        self._clock = clock
        self._tracing = tracing
        self._seldom = Seldom(_log)
        self._faults = Faults(clock, _log)
        self._writes = Recovery(clock, rescheduling.write_again)

    def route_of(self, entry: Entry) -> Route | None:
        """Return lane and budget of the call that an entry needs; None if it needs none."""
        spec = entry.seen.spec
        if spec is None or not self._needs_call(entry, self._due.agenda(entry)):
            return None
        connection = self._registry.find(entry.namespace, spec)
        if connection is None or connection.spec is None:
            return None
        refusal = connection.refusal_for(entry.namespace, spec.project_id)
        if refusal is not None and refusal.lasts(self._clock(), urgent=entry.seen.request_open):
            return None
        if entry.polling.history is None:
            entry.polling.history = poll_history.history_from_status(entry, connection.uid, self._clock)
        if connection.credentials is None and connection.own_refusal is None:
            return connection.key, None  # whose budget it is the Secret tells
        return connection.budget, connection.budget

    async def work(self, entry: Entry, call: CallBudget | None) -> None:
        """Process an entry that is due; what goes wrong at the API server is tried again later.

        `call` is the budget that one call was taken from, None if none was.
        """
        before, calls = entry.seen, entry.polling.calls
        try:
            with self._tracing.span("evsjob", _named(entry)):
                await self._process(entry, call)
            if entry.seen.resource_version != before.resource_version:
                self._writes.succeeded(self._writer, entry)
            if entry.polling.pending is None:
                entry.polling.write_failures = 0
        except KubeError as error:
            if error.passing:
                self._writes.failed(self._writer, entry)
            unwritten.failed(entry, error, self._clock())
            self._warn(entry, error)
            self._scheduler.schedule(entry, unwritten.next_try(entry))
        except Exception as fault:  # noqa: BLE001  # of whatever kind: it concerns this EvsJob alone
            self.stumbled(entry, "not processed", fault)
        finally:
            if call is not None and entry.polling.calls == calls:
                call.unused()
        self._catch_up(entry, before)

    def _catch_up(self, entry: Entry, before: Seen) -> None:
        """Schedule what became due while an EvsJob was being looked at."""
        if entry.polling.woken:
            entry.polling.woken = False
            entry.polling.poll_at = self._clock()
            self._scheduler.schedule(entry, entry.polling.poll_at)
        if entry.seen.ours is not None and not entry.seen.deleted:
            self._rescheduling.mend(entry)
        if entry.seen.version != before.version and not entry.seen.deleted:
            self._scheduler.schedule(entry, self._clock())

    def stumbled(self, entry: Entry, what: str, fault: Exception) -> None:
        """Take a fault of ours with one EvsJob: its status says so, and it is tried again with growing waits."""
        self.tell_fault(entry, fault, self._faults.met(f"EvsJob {entry.namespace}/{entry.name}", what, fault))

    def tell_fault(self, entry: Entry, fault: Exception, wait: float) -> None:
        """Have the status say what we stumbled over, and look at the EvsJob again after `wait` seconds.

        A result that is known is not written over by that; and if saying it is what fails, nothing is said.
        """
        now, polling = self._clock(), entry.polling
        polling.fault = "" if polling.fault or entry.seen.finished else in_words(fault)
        polling.pending = None
        polling.poll_at = now + wait
        self._scheduler.schedule(entry, now if polling.fault else polling.poll_at)

    def _needs_call(self, entry: Entry, agenda: Agenda) -> bool:
        seen, now = entry.seen, self._clock()
        if seen.spec is None or seen.spec.suspend or entry.polling.fault or unwritten.is_end(entry.polling.pending):
            return False
        if not (seen.request_open if seen.finished else agenda.poll_at <= now):
            return False
        look = agenda.look_without_call
        return look is None or look > now

    async def _process(self, entry: Entry, call: CallBudget | None) -> None:
        if entry.seen.deleted:
            return
        if entry.polling.fault:
            await self._write_fault(entry)
            return
        agenda, now = self._due.agenda(entry), self._clock()
        if agenda.gone_at is not None and agenda.gone_at <= now:
            await self._writer.delete(entry)
            return
        if entry.seen.spec is None:
            await self._writer.refuse(entry, entry.seen.spec_error)
            return
        first = agenda.first_status_at
        if entry.polling.pending is None and first is not None and first <= now:
            if call is None:
                await self._say_what_it_waits_for(entry)
                return
            entry.polling.waiting_version = entry.seen.version
            agenda = self._due.agenda(entry)
        await self._poll_and_write(entry, agenda, call)

    async def _poll_and_write(self, entry: Entry, agenda: Agenda, call: CallBudget | None) -> None:
        before, asked = entry.seen, None
        if self._needs_call(entry, agenda):
            asked = await self._ask(entry, agenda, call)
            if asked is None:
                return
            self._log_poll(entry, asked.observation)
        if entry.seen.asks_for(before):
            await self._write_newest(entry, agenda, asked, before.version)

    async def _ask(self, entry: Entry, agenda: Agenda, call: CallBudget | None) -> Asked | None:
        """Ask the cloud; None if there was no answer, or one that is too early to tell, and the EvsJob waits again."""
        job = entry.seen.spec.job_id if entry.seen.spec is not None else ""
        with self._tracing.span("poll", {"job": job}) as span:
            asked = await self._within_deadline(entry, agenda, self._query.ask(entry, call))
            if asked is not None:
                span.tell({"connection": entry.polling.connection, "reason": _reason(asked.observation)})
        now = self._clock()
        if asked is None:
            self._scheduler.schedule(entry, now)
            return None
        is_new = not entry.seen.status.get("jobId") and now < entry.seen.first_seen + _SETTLING
        if asked.connection is None and is_new:
            self._scheduler.schedule(entry, now + _SETTLING_STEP)
            return None
        return asked

    async def _write_newest(self, entry: Entry, agenda: Agenda, asked: Asked | None, version: int) -> None:
        """Write what was polled, or what is still to be written; if that must wait, ask again meanwhile."""
        polling, before = entry.polling, entry.polling.pending
        polling.pending = unwritten.newest(before, asked.observation) if asked is not None else before
        if not unwritten.may_be_tried(entry, before, self._clock()):
            self._rescheduling.note_next_poll(entry, asked)
            self._scheduler.schedule(entry, unwritten.next_try(entry))
            return
        try:
            await self._write(entry, agenda, polling.pending, asked.project_id if asked else None, version)
        except KubeError:
            self._rescheduling.note_next_poll(entry, asked)
            raise
        polling.pending = None
        self._rescheduling.after_write(entry, asked)

    async def _say_what_it_waits_for(self, entry: Entry) -> None:
        """Give an EvsJob whose first call could not go yet a status, once, and let it wait on."""
        spec = entry.seen.spec
        connection = None if spec is None else self._registry.find(entry.namespace, spec)
        short = connection is not None and connection.budget.is_short(self._clock())
        if not short and self._due.postpone_first_status(entry):
            self._scheduler.remind(entry, self._clock())
            return
        entry.polling.waiting_version = entry.seen.version
        try:
            if connection is not None:
                note_connection(entry, connection.key)
                waits = Trouble(Reason.PENDING, what_it_waits_for(connection, self._clock))
                await self._writer.write(entry, waits, None, None)
        except KubeError as error:  # the answer of the call is written in any case
            self._warn(entry, error)
        self._scheduler.remind(entry, self._clock())

    async def _write_fault(self, entry: Entry) -> None:
        """Say in the status what we stumbled over; then the EvsJob is left alone until its turn."""
        fault = entry.polling.fault
        if entry.seen.spec is None:
            await self._writer.refuse(entry, f"spec cannot be read: {fault}")
        else:
            await self._writer.write(entry, Trouble(Reason.INVALID_RESPONSE, fault), None, None)
        entry.polling.fault = ""
        self._scheduler.schedule(entry, max(entry.polling.poll_at, self._clock()))

    async def _write(
        self, entry: Entry, agenda: Agenda, observation: Observation | None, project_id: str | None, version: int
    ) -> None:
        now = self._clock()
        await self._writer.write(entry, observation, project_id, self._due.estimate_for(entry, observation))
        entry.polling.reported_version = version
        if agenda.deadline is not None and agenda.deadline <= now:
            entry.polling.deadline_reported_version = version

    async def _within_deadline(
        self, entry: Entry, agenda: Agenda, asking: Coroutine[Any, Any, Asked | None]
    ) -> Asked | None:
        """Wait for the cloud; if a deadline expires while it has not answered yet, say so meanwhile."""
        deadline, now = agenda.deadline, self._clock()
        if deadline is None or not now <= deadline < now + _LONGEST_CALL:
            return await asking
        in_flight = asyncio.ensure_future(asking)
        try:
            await asyncio.wait([in_flight], timeout=deadline + AFTER - now)
            if not in_flight.done() and entry.seen.spec is not None:
                try:
                    await self._write(entry, self._due.agenda(entry), None, None, entry.seen.version)
                except KubeError as error:  # the answer is written in any case
                    self._warn(entry, error)
            return await in_flight
        finally:
            in_flight.cancel()

    def _log_poll(self, entry: Entry, observation: Observation) -> None:
        """Count a poll by its result; a line of it is for debugging."""
        reason = _reason(observation)
        self._metrics.polls.labels(reason).inc()
        if _log.isEnabledFor(logging.DEBUG) and entry.seen.spec is not None:
            said = Ours(observation.message()) if isinstance(observation, Trouble) else observation.job.status
            fields = {"job": entry.seen.spec.job_id, "reason": reason} | _named(entry)
            _log.debug("EvsJob %s: polled: %s", _name(entry), said, extra=fields)

    def _warn(self, entry: Entry, error: KubeError) -> None:
        """Say what goes wrong at the API server: once a minute, however many EvsJobs it concerns."""
        message = Ours(f"EvsJob {entry.namespace}/{entry.name}:", error.message)
        self._seldom.warning(str(error.status), message, _named(entry))


def _reason(observation: Observation) -> str:
    return str(observation.reason if isinstance(observation, Trouble) else Reason.POLL_SUCCEEDED)


def _name(entry: Entry) -> Ours:
    return Ours(f"{entry.namespace}/{entry.name}")


def _named(entry: Entry) -> dict[str, str]:
    return {"evsjob": f"{entry.namespace}/{entry.name}", "connection": entry.polling.connection}
