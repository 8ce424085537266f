"""One look at one EvsJob: poll where a call is due, decide, write, and say when to look again.

Called by the dispatcher's workers with an entry that is due. An observation that could not be written is kept until it
is written or replaced by a newer one (`unwritten`): the record of a finished job may be gone by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from evs_operator.api.reasons import Reason
from evs_operator.clock import Clock
from evs_operator.connections.connection import Connection
from evs_operator.connections.registry import ConnectionRegistry
from evs_operator.core.observation import Observation, Trouble
from evs_operator.core.schedule.durations import Durations
from evs_operator.jobs.queue.dispatcher import Route
from evs_operator.jobs.queue.lane import CallBudget
from evs_operator.jobs.queue.scheduler import Scheduler
from evs_operator.kube.api import KubeError
from evs_operator.kube.foreign_writes import EVERY
from evs_operator.kube.objects import ObjectKey
from evs_operator.observe.faults import Faults, in_words
from evs_operator.observe.metrics import Metrics
from evs_operator.observe.seldom import Seldom
from evs_operator.observe.tracing import NO_TRACING, Tracing
from evs_operator.observe.wording import Ours

from . import poll_history, unwritten
from .due_times import AFTER, DueTimes
from .first_call import what_it_waits_for
from .query import JobQuery, Observed, note_connection
from .recovery import Recovery, in_turns
from .status_writer import StatusWriter
from .store import Entry, Store, shrink

_log = logging.getLogger(__name__)

_SETTLING: Final = 3.0
"""Seconds in which what is applied together with a new EvsJob, such as its Secret, may still arrive."""
_SETTLING_STEP: Final = 0.5
_WRITES_A_SECOND: Final = 100.0
"""Statuses that wait for an API server that is well again and are written in a second: a third of what it can take."""
_LONGEST_CALL: Final = 40.0
"""More seconds than a call may last, with signing in."""


class JobReconciler:
    """Processes entries; one instance per process. `due` says when."""

    def __init__(
        self,
        *,
        store: Store,
        scheduler: Scheduler,
        registry: ConnectionRegistry,
        writer: StatusWriter,
        durations: Durations,
        metrics: Metrics,
        clock: Clock,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._tracing = tracing
        self._seldom = Seldom(_log)
        self._store = store
        self._scheduler = scheduler
        self._registry = registry
        self._writer = writer
        self._metrics = metrics
        self._clock = clock
        self._woken: set[str] = set()
        self._faults = Faults(clock, _log)
        self._query = JobQuery(registry, durations, metrics, clock, self._try_again)
        self._writes = Recovery(clock, self._write_again)
        self.due = DueTimes(clock, durations, lambda entry: writer.subject_of(entry, None))

    def route_of(self, entry: Entry) -> Route | None:
        """Return lane and budget of the call that an entry needs; None where it needs none."""
        if entry.spec is None or not self._needs_call(entry):
            return None
        connection = self._registry.find(entry.namespace, entry.spec)
        if connection is None or connection.spec is None:
            return None
        refusal = connection.refusal_for(entry.namespace, entry.spec.project_id)
        if refusal is not None and refusal.lasts(self._clock(), urgent=entry.request_open):
            return None
        if entry.history is None:
            entry.history = poll_history.history_from_status(entry, connection.uid, self._clock)
        if connection.credentials is None and connection.own_refusal is None:
            return connection.key, None  # whose budget it is the Secret tells
        return connection.budget, connection.budget

    async def work(self, entry: Entry, call: CallBudget | None) -> None:
        """Process an entry that is due; what goes wrong at the API server is tried again later.

        `call` is the budget that one call was taken from, None where none was.
        """
        version, calls, stored = entry.version, entry.calls, entry.resource_version
        try:
            with self._tracing.span("evsjob", _named(entry)):
                await self._process(entry, call)
            if entry.resource_version != stored:
                self._writes.succeeded(self._writer, entry)
            if entry.pending is None:
                entry.write_failures = 0
        except KubeError as error:
            if error.passing:
                self._writes.failed(self._writer, entry)
            unwritten.failed(entry, error, self._clock())
            self._warn(entry, error)
            self._scheduler.schedule(entry, unwritten.next_try(entry))
        except Exception as fault:  # noqa: BLE001  # of whatever kind: it concerns this EvsJob alone
            self.stumbled(entry, "not processed", fault)
        finally:
            if call is not None and entry.calls == calls:
                call.unused()
        if entry.uid in self._woken:
            self._woken.discard(entry.uid)
            entry.poll_at = self._clock()
            self._scheduler.schedule(entry, entry.poll_at)
        if entry.ours is not None and not entry.deleted:  # it was overwritten while it was looked at
            self.mend(entry)
        if entry.version != version and not entry.deleted:
            self._scheduler.schedule(entry, self._clock())

    def stumbled(self, entry: Entry, what: str, fault: Exception) -> None:
        """Take a fault of ours with one EvsJob: its status says so, and it is tried again with growing waits."""
        self.tell_fault(entry, fault, self._faults.met(f"EvsJob {entry.namespace}/{entry.name}", what, fault))

    def tell_fault(self, entry: Entry, fault: Exception, wait: float) -> None:
        """Have the status say what we stumbled over, and look at the EvsJob again after `wait` seconds.

        A result that is known is not written over by that; and where saying it is what fails, nothing is said.
        """
        now = self._clock()
        entry.fault = "" if entry.fault or entry.finished else in_words(fault)
        entry.pending = None
        entry.poll_at = now + wait
        self._scheduler.schedule(entry, now if entry.fault else entry.poll_at)

    def changed(self, entry: Entry) -> None:
        """Look at an entry whose spec or request changed; what is under way for it ends where nobody wants it now."""
        if not entry.busy:
            self.consider(entry)
        elif entry.spec is None or entry.spec.suspend:
            self._query.calls.give_up(entry.uid)
        else:
            self._query.calls.give_up(entry.uid, unless_about=entry.spec.target())

    def consider(self, entry: Entry) -> None:
        """Schedule an entry that is new or changed; nothing is polled that has ended and is not asked for."""
        now = self._clock()
        if entry.finished and not entry.request_open and self._is_settled(entry):
            shrink(entry)
            self._rest(entry, now)
            return
        entry.poll_at = now
        entry.failures = 0
        self._scheduler.schedule(entry, now)

    def mend(self, entry: Entry) -> None:
        """Put a status right that somebody else wrote: at once, and after that every half minute at the most."""
        now = self._clock()
        if entry.mended <= now:
            entry.mended = max(now, entry.mended + EVERY)
        at = entry.mended
        if entry.spoiled or entry.ours is None:  # then the cloud tells what is right
            entry.poll_at = at if entry.spoiled else min(max(entry.poll_at, now), at)
        self._scheduler.schedule(entry, min(at, max(entry.poll_at, now)))

    def _rest(self, entry: Entry, now: float) -> None:
        """Let an EvsJob be until its time to live is over, where it has one."""
        gone = poll_history.delete_at(entry, self._clock)
        if gone is None:
            self._scheduler.cancel(entry)
        else:
            self._scheduler.schedule(entry, max(gone, now))

    def _is_settled(self, entry: Entry) -> bool:
        return entry.spec is not None and entry.observed_generation == entry.generation

    def _needs_call(self, entry: Entry) -> bool:
        if entry.spec is None or entry.spec.suspend or entry.fault or unwritten.is_end(entry.pending):
            return False
        if not (entry.request_open if entry.finished else entry.poll_at <= self._clock()):
            return False
        look = self.due.look_at(entry)
        return look is None or look > self._clock()

    async def _process(self, entry: Entry, call: CallBudget | None) -> None:
        if entry.deleted:
            return
        if entry.fault:
            await self._tell_fault(entry)
            return
        due = poll_history.delete_at(entry, self._clock)
        if due is not None and due <= self._clock():
            await self._writer.delete(entry)
            return
        if entry.spec is None:
            await self._writer.refuse(entry)
            return
        if entry.pending is None and self.due.waits_for_first_call(entry):
            if call is None:
                await self._say_what_it_waits_for(entry)
                return
            entry.waiting_version = entry.version
        polled = None
        version, target, project_id, connection = entry.version, entry.spec.target(), None, None
        if self._needs_call(entry):
            with self._tracing.span("poll", {"job": entry.spec.job_id}) as span:
                connection, project_id, polled = await self._within_deadline(entry, self._query.observe(entry, call))
                if polled is not None:
                    span.tell({"connection": entry.connection, "reason": _reason(polled)})
            if polled is None:
                self._scheduler.schedule(entry, self._clock())
                return
            if connection is None and not entry.status.get("jobId") and self._clock() < entry.first_seen + _SETTLING:
                self._scheduler.schedule(entry, self._clock() + _SETTLING_STEP)
                return
            self._tell(entry, polled)
        if entry.deleted or entry.spec is None or entry.spec.target() != target:
            return  # the answer speaks of a job that nobody asks for any more
        await self._write_newest(entry, polled, connection, project_id, version)

    async def _write_newest(
        self,
        entry: Entry,
        polled: Observation | None,
        connection: Connection | None,
        project_id: str | None,
        version: int,
    ) -> None:
        """Write what was polled, or what is still to be written; where that must wait, ask again meanwhile."""
        before = entry.pending
        entry.pending = unwritten.newest(before, polled) if polled is not None else before
        if not unwritten.may_be_tried(entry, before, self._clock()):
            self._note_next_poll(entry, polled, connection)
            self._scheduler.schedule(entry, unwritten.next_try(entry))
            return
        try:
            await self._write(entry, entry.pending, project_id, version)
        except KubeError:
            self._note_next_poll(entry, polled, connection)
            raise
        entry.pending = None
        self._schedule_next(entry, polled, connection)

    async def _say_what_it_waits_for(self, entry: Entry) -> None:
        """Give an EvsJob whose first call could not go yet a status, once, and let it wait on."""
        connection = None if entry.spec is None else self._registry.find(entry.namespace, entry.spec)
        short = connection is not None and connection.budget.is_short(self._clock())
        if not short and self.due.postpone_first_status(entry):
            self._scheduler.remind(entry, self._clock())
            return
        entry.waiting_version = entry.version
        try:
            if connection is not None:
                note_connection(entry, connection.key)
                waits = Trouble(Reason.PENDING, what_it_waits_for(connection, self._clock))
                await self._writer.write(entry, waits, None, None)
        except KubeError as error:  # the answer of the call is written in any case
            self._warn(entry, error)
        self._scheduler.remind(entry, self._clock())

    async def _tell_fault(self, entry: Entry) -> None:
        """Say in the status what we stumbled over; then the EvsJob is left alone until its turn."""
        if entry.spec is None:
            entry.spec_error = f"spec cannot be read: {entry.fault}"
            await self._writer.refuse(entry)
        else:
            await self._writer.write(entry, Trouble(Reason.INVALID_RESPONSE, entry.fault), None, None)
        entry.fault = ""
        self._scheduler.schedule(entry, max(entry.poll_at, self._clock()))

    async def _write(self, entry: Entry, observation: Observation | None, project_id: str | None, version: int) -> None:
        deadline, now = self.due.deadline_of(entry), self._clock()
        await self._writer.write(entry, observation, project_id, self.due.estimate_for(entry, observation))
        entry.reported_version = version
        if deadline is not None and deadline <= now:
            entry.deadline_reported_version = version

    async def _within_deadline(self, entry: Entry, observing: Coroutine[Any, Any, Observed]) -> Observed:
        """Wait for the cloud; where a deadline is over while it has not answered yet, say so meanwhile."""
        deadline, now = self.due.deadline_of(entry), self._clock()
        if deadline is None or not now <= deadline < now + _LONGEST_CALL:
            return await observing
        under_way = asyncio.ensure_future(observing)
        try:
            await asyncio.wait([under_way], timeout=deadline + AFTER - now)
            if not under_way.done() and entry.spec is not None:
                try:
                    await self._write(entry, None, None, entry.version)
                except KubeError as error:  # the answer is written in any case
                    self._warn(entry, error)
            return await under_way
        finally:
            under_way.cancel()

    def _tell(self, entry: Entry, observation: Observation) -> None:
        """Count a look at a job by what came of it; a line of it is for debugging."""
        reason = _reason(observation)
        self._metrics.polls.labels(reason).inc()
        if _log.isEnabledFor(logging.DEBUG) and entry.spec is not None:
            said = Ours(observation.message()) if isinstance(observation, Trouble) else observation.job.status
            fields = {"job": entry.spec.job_id, "reason": reason} | _named(entry)
            _log.debug("EvsJob %s: polled: %s", _name(entry), said, extra=fields)

    def jobs_of(self, key: ObjectKey) -> list[Entry]:
        """Return the unfinished EvsJobs that use this connection."""
        return list(self._store.meant.of(key, self._registry.key_of))

    def _try_again(self, entries: Iterable[Entry]) -> None:
        """Poll EvsJobs now whose cloud is well again; who fails once more goes on waiting as long as before."""
        now = self._clock()
        for entry in entries:
            entry.poll_at = now
            self._scheduler.schedule(entry, now)

    def _write_again(self, entries: Iterable[Entry]) -> None:
        """Let EvsJobs be written whose API server is well again, namespace by namespace and not all in one moment."""
        now = self._clock()
        for place, entry in enumerate(in_turns(entries)):
            entry.write_at = now + place / _WRITES_A_SECOND
            self._scheduler.schedule(entry, unwritten.next_try(entry))

    def wake(self, entries: Iterable[Entry]) -> None:
        """Poll EvsJobs now, within their budget; one that is being looked at is looked at once more."""
        now = self._clock()
        for entry in entries:
            entry.poll_at = now
            entry.failures = 0
            self._scheduler.schedule(entry, now)
            if entry.busy:
                self._woken.add(entry.uid)
                self._query.calls.give_up(entry.uid)  # it goes another way than the next one

    def _schedule_next(self, entry: Entry, polled: Observation | None, connection: Connection | None) -> None:
        now = self._clock()
        if entry.deleted or entry.spec is None:
            return
        if entry.finished and not entry.request_open:
            self.consider(entry)
            return
        if entry.spec.suspend:
            self._rest(entry, now)
            return
        self._note_next_poll(entry, polled, connection)
        self._scheduler.schedule(entry, max(self.due.next_look(entry), now))

    def _note_next_poll(self, entry: Entry, polled: Observation | None, connection: Connection | None) -> None:
        """Say when to ask again, after a poll."""
        if polled is None:
            return
        now = self._clock()
        entry.poll_at = now + self.due.wait(entry, polled, connection, now)
        if entry.held_until is not None:
            entry.poll_at = min(entry.poll_at, entry.held_until)

    def _warn(self, entry: Entry, error: KubeError) -> None:
        """Say what goes wrong at the API server: once a minute, however many EvsJobs it concerns."""
        message = Ours(f"EvsJob {entry.namespace}/{entry.name}:", error.message)
        self._seldom.warning(str(error.status), message, _named(entry))


def _reason(observation: Observation) -> str:
    return str(observation.reason if isinstance(observation, Trouble) else Reason.POLL_SUCCEEDED)


def _name(entry: Entry) -> Ours:
    return Ours(f"{entry.namespace}/{entry.name}")


def _named(entry: Entry) -> dict[str, str]:
    return {"evsjob": f"{entry.namespace}/{entry.name}", "connection": entry.connection}
