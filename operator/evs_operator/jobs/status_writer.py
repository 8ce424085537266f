"""Writes what was decided: one server-side apply per change, on the very object that was decided on.

A refused write (409) means that the object changed or is another one by now: it is read and decided again, at once and
for some seconds. An object is gone when the watch, a list or a read of its namesake says so; after a 404 `list_soon`
has it listed, and the write is tried again. What the API server refuses for its text is written without the cloud's.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Final

from evs_operator.api.conditions import condition_of, parse_timestamp
from evs_operator.api.names import EVS_JOB
from evs_operator.api.reading import JobState
from evs_operator.api.status import EvsJobStatus, same_status
from evs_operator.clock import Clock
from evs_operator.core.decide import Subject, decide, is_finished, refuse
from evs_operator.core.observation import JobSeen, Observation, Trouble
from evs_operator.core.phase import Phase, phase_of
from evs_operator.core.result import texts_of
from evs_operator.core.transitions import transition_of_job
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.events import EventRecorder
from evs_operator.kube.objects import ObjectKey
from evs_operator.kube.refused_texts import REFUSED, RefusedTexts
from evs_operator.observe.metrics import Metrics, write_result
from evs_operator.observe.tracing import NO_TRACING, Tracing
from evs_operator.observe.wording import Ours

from .entry import Entry
from .store import Store

_log = logging.getLogger(__name__)
_CHASE: Final = 5.0
"""Seconds for which an object that changes under each write is read and written again."""
_MOST_UNDER_WAY: Final = 16
_HANGING: Final = 1.0
"""Seconds without an answer to any of so many statuses after which no more are sent."""
_BREATH: Final = 0.01
"""Seconds at most between a write that met a change and the read after it."""
_DELETION_LAG: Final = 0.3
"""Seconds in which the watch tells of a deletion that a write met."""
_LARGE: Final = 20
"""Sub-jobs of a batch from which on the API server is busy with one status for long (0.08 s of CPU for a hundred)."""
_LARGE_AT_ONCE: Final = 4
"""Statuses of such batches under way together: with more of them the API server is too busy to tell its watchers."""


class StatusWriter:
    """Decides and writes the status of EvsJobs."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        metrics: Metrics,
        clock: Clock,
        events: EventRecorder,
        tracing: Tracing = NO_TRACING,
        list_soon: Callable[[], None] = lambda: None,
    ) -> None:
        self._tracing = tracing
        self._list_soon = list_soon
        self._refused = RefusedTexts()
        self._under_way = 0
        self._answered_at = 0.0
        self._api = api
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._events = events
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def write(
        self,
        entry: Entry,
        observation: Observation | None,
        project_id: str | None,
        estimate: float | None,
    ) -> None:
        """Decide on an observation and write the status where its meaning changed; raises KubeError."""
        moment = None if estimate is None else datetime.fromtimestamp(estimate, UTC)
        target = entry.seen.spec.target() if entry.seen.spec else None

        def decided() -> EvsJobStatus | None:
            if entry.seen.spec is None or entry.seen.spec.target() != target:
                return None
            subject = self.subject_of(entry, project_id)
            redact = observation.redaction(texts_of(observation.job)) if isinstance(observation, JobSeen) else str
            previous = known_of(entry, observation)
            return decide(subject, previous, observation, self._clock.wall(), redact=redact, estimate=moment)

        large = isinstance(observation, JobSeen) and len(observation.job.sub_jobs) > _LARGE
        async with self._large if large else nullcontext():
            await self._apply(entry, decided)
        if entry.seen.spoiled and isinstance(observation, Trouble) and not observation.passing:
            self._store.confirmed(entry)  # the cloud knows nothing of it any more

    async def refuse(self, entry: Entry, why: str) -> None:
        """Write that the spec cannot be read."""

        def decided() -> EvsJobStatus | None:
            if entry.seen.spec is not None:
                return None
            return refuse(entry.seen.generation, known_of(entry, None), why, self._clock.wall())

        await self._apply(entry, decided)

    async def delete(self, entry: Entry) -> None:
        """Delete an EvsJob whose time to live is over; a namesake created since is left alone."""
        try:
            await objects.delete(self._api, _key(entry), entry.uid)
        except KubeError as error:
            if error.status == 404:
                await self._ask_whether_gone(entry, error)
                return
            if error.status != 409:
                raise
        name = Ours(f"{entry.namespace}/{entry.name}")
        _log.info("EvsJob %s: deleted, ttlSecondsAfterFinished has expired", name, extra={"evsjob": name})
        self._store.remove(entry.uid)

    def subject_of(self, entry: Entry, project_id: str | None = None) -> Subject:
        """Return the entry in the words of `decide()`; the entry must have a readable spec."""
        if entry.seen.spec is None:
            raise ValueError("an EvsJob without a readable spec has no subject")
        return Subject(
            generation=entry.seen.generation,
            spec=entry.seen.spec,
            observation_start=self._clock.moment(entry.seen.first_seen),
            project_id=project_id,
            requested_at=entry.seen.requested_at if entry.polling.held_until is None else None,
            anew=entry.seen.retargeted,
            connection=entry.polling.used,
        )

    async def _apply(self, entry: Entry, decided: Callable[[], EvsJobStatus | None]) -> None:
        """Write what is decided on the object as it is, until it is written or changes too fast for too long."""
        end = self._clock() + _CHASE
        while True:
            with self._tracing.span("decide"):
                whole = None if entry.seen.deleted else decided()
            if whole is None:
                return
            status = self._refused.acceptable(entry.uid, whole)
            if same_status(status, entry.seen.whole_status):
                if not entry.seen.spoiled or is_finished(status):
                    self._store.confirmed(entry)
                return
            # The watch may bring the echo of the write before its answer is here.
            before, was_finished = entry.seen.ours or entry.seen.status, entry.seen.finished
            self._store.tries(entry, status)
            try:
                with self._tracing.span("write"):
                    version = await self._send(entry, status)
            except KubeError as error:
                self._metrics.status_writes.labels(result=write_result(error.status)).inc()
                if not await self._may_try_again(entry, whole, error, end):
                    return
                continue
            self._metrics.status_writes.labels("written").inc()
            self._events.tell(_key(entry), entry.uid, transition_of_job(before, status, anew=entry.seen.retargeted))
            self._tell(entry, status, before, was_finished)
            self._store.wrote(entry, status, version)
            return

    async def _send(self, entry: Entry, status: EvsJobStatus) -> str:
        """Apply a status; where many hang already it is not sent, so that workers are left to poll meanwhile."""
        if self._under_way >= _MOST_UNDER_WAY and self._clock() - self._answered_at >= _HANGING:
            raise KubeError(0, Ours(f"the API server does not answer: {self._under_way} statuses are under way"))
        if not self._under_way:
            self._answered_at = self._clock()
        self._under_way += 1
        try:
            version = await objects.apply_status(self._api, _key(entry), status, entry.seen.resource_version)
        except KubeError as error:
            if error.status:
                self._answered_at = self._clock()
            raise
        else:
            self._answered_at = self._clock()
            return version
        finally:
            self._under_way -= 1

    async def _may_try_again(self, entry: Entry, status: EvsJobStatus, error: KubeError, end: float) -> bool:
        """Prepare the next try after a refused write; False where the object is gone, the error where it must wait."""
        name = f"{entry.namespace}/{entry.name}"
        if error.status in REFUSED and self._refused.refuse(entry.uid, name, status, error):
            return True
        if error.status == 404:
            await self._ask_whether_gone(entry, error)
            return False
        if error.status != 409:
            raise error
        if self._clock() >= end:
            raise KubeError(409, Ours(f"{name}: changed again and again while it was written"))
        await asyncio.sleep(random.uniform(0.0, _BREATH))
        await self._read_again(entry)
        return True

    async def _read_again(self, entry: Entry) -> None:
        """Take the object as it is now; another uid under the name means that ours is gone."""
        try:
            body = await objects.read(self._api, _key(entry))
        except KubeError as error:
            if error.status != 404:
                raise
            await self._ask_whether_gone(entry, error)
            return
        metadata = body.get("metadata")
        if not isinstance(metadata, dict) or metadata.get("uid") != entry.uid:
            self._store.remove(entry.uid)
            return
        self._store.apply("MODIFIED", body, fresh=True)

    async def _ask_whether_gone(self, entry: Entry, error: KubeError) -> None:
        """Wait for the watch to say that an object is gone, or have it listed; raises the error until either does.

        A 404 alone says nothing: an API server that starts, and one whose CRDs are applied anew, answers so for all.
        """
        await asyncio.sleep(_DELETION_LAG)
        if not entry.seen.deleted:
            self._list_soon()
            raise error

    def _tell(self, entry: Entry, status: EvsJobStatus, previous: EvsJobStatus, was_finished: bool) -> None:
        """Log a transition on one line, and measure how late the end of a job came into its status."""
        before = condition_of(previous.get("conditions", []), "Ready")
        ready = condition_of(status.get("conditions", []), "Ready")
        if ready is None or (before and not entry.seen.retargeted and before["reason"] == ready["reason"]):
            return
        phase = phase_of(status)
        fields = {
            "evsjob": f"{entry.namespace}/{entry.name}",
            "job": status.get("jobId", ""),
            "connection": entry.polling.connection,
            "state": phase.state,
            "reason": phase.reason,
        }
        if "duration" in status:
            fields["duration"] = status["duration"]
        fields |= self._tracing.ids()
        _log.info("%s", Ours(f"EvsJob {fields['evsjob']}: {phase.reason}: {ready['message']}"), extra=fields)
        if "completionTime" in status and not was_finished:
            self._measure_end(entry, status, phase)

    def _measure_end(self, entry: Entry, status: EvsJobStatus, phase: Phase) -> None:
        """Count a job that ended, and how late its status is: a job that had ended before could not be seen earlier."""
        category = status.get("failure", {}).get("category", "Unknown") if phase.job_state is JobState.FAILED else ""
        self._metrics.jobs_ended.labels(outcome=phase.state, category=category).inc()
        ended = parse_timestamp(status.get("endTime"))
        if ended is not None:
            begun = parse_timestamp(status.get("observationStartTime"))
            late = self._clock.wall() - (max(ended, begun) if begun else ended)
            self._metrics.end_to_status.observe(max(late.total_seconds(), 0.0))


def known_of(entry: Entry, observation: Observation | None) -> EvsJobStatus:
    """Return the status that is decided on: what is stored, or ours where somebody else overwrote it."""
    if entry.seen.ours is not None:
        return entry.seen.ours
    if not entry.seen.spoiled or not isinstance(observation, JobSeen) or entry.seen.spec is None:
        return entry.seen.whole_status
    kept: EvsJobStatus = {"jobId": entry.seen.spec.job_id, "conditions": []}
    if entry.seen.completion is not None:
        kept["completionTime"] = entry.seen.completion
    if entry.seen.handled is not None:
        kept["lastHandledReconcileAt"] = entry.seen.handled
    return kept


def _key(entry: Entry) -> ObjectKey:
    return ObjectKey(EVS_JOB, entry.namespace, entry.name)
