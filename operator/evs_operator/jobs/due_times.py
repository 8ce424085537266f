"""When an EvsJob is looked at again: the times that follow from its spec, its history and what came of its last poll.

The reconciler asks after each look, the dispatcher while an EvsJob waits for a call. Pure but for the clock: nothing is
scheduled here (`scheduler`), and the single waits are those of `intervals` and `core.schedule`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from evs_operator.api.conditions import parse_timestamp
from evs_operator.api.reasons import Reason
from evs_operator.clock import Clock
from evs_operator.connections.connection import Connection
from evs_operator.core.decide import Subject, deadline_of
from evs_operator.core.observation import JobSeen, Observation
from evs_operator.core.schedule.durations import Durations
from evs_operator.core.schedule.next_poll import next_poll, patience, work_began

from . import poll_history
from .store import Entry

AFTER: Final = 0.05
"""Seconds after a deadline at which it is over by every rounding."""
_UNKNOWN_PATIENCE: Final = 10.0
"""Of an EvsJob that was asked for and never answered about."""
_FIRST_CALL: Final = 2.0
"""Seconds that an EvsJob of which nothing is known waits for its call before its status says so."""
_UNEXPLAINED: Final = 10.0
"""Seconds that such an EvsJob waits if no budget is the cause: a machine is busy, or an endpoint does not answer."""
_LOOK_AFTER: Final = 1.0
"""Seconds that an EvsJob waits for its call before it is looked at without one."""


class DueTimes:
    """Times in seconds of the operator's clock; `subject_of` puts an EvsJob into the words of `decide()`."""

    def __init__(self, clock: Clock, durations: Durations, subject_of: Callable[[Entry], Subject]) -> None:
        self._clock = clock
        self._durations = durations
        self._subject_of = subject_of

    def patience_of(self, entry: Entry, price: float) -> float:
        """Return the seconds that an EvsJob can wait for its next call at that price."""
        if entry.history is None:
            return _UNKNOWN_PATIENCE
        return patience(entry.history, self._durations, price=price)

    def look_at(self, entry: Entry) -> float | None:
        """Return when an EvsJob that waits for a call is looked at without one; None where that would tell nothing.

        Its deadline, the end of its time to live, a changed spec and a first status wait for no budget and no endpoint.
        """
        if entry.spec is None:
            return None
        if self._is_silent(entry):
            deadline = self.deadline_of(entry)
            first = self._first_status_at(entry)
            return first if deadline is None else min(first, max(deadline + AFTER, entry.poll_at + _LOOK_AFTER))
        gone, soon = poll_history.delete_at(entry, self._clock), entry.poll_at + _LOOK_AFTER
        observed = entry.observed_generation
        if entry.reported_version != entry.version and observed is not None and 0 <= observed != entry.generation:
            return soon if gone is None else min(gone, soon)
        if gone is not None:
            return gone
        deadline = self.deadline_of(entry)
        return None if deadline is None else max(deadline + AFTER, soon)

    def waits_for_first_call(self, entry: Entry) -> bool:
        """Tell whether an EvsJob of which nothing is known has waited long enough for its status to say so."""
        return self._is_silent(entry) and self._first_status_at(entry) <= self._clock()

    def postpone_first_status(self, entry: Entry) -> bool:
        """Let an EvsJob that no budget keeps waiting go on without a status, for ten seconds; tell whether it may."""
        now = self._clock()
        if now >= entry.poll_at + _UNEXPLAINED:
            return False
        entry.say_at = now + _FIRST_CALL
        return True

    @staticmethod
    def _first_status_at(entry: Entry) -> float:
        return max(entry.poll_at + _FIRST_CALL, entry.say_at)

    def deadline_of(self, entry: Entry) -> float | None:
        """Return when the deadline of an EvsJob is over, None without one and once that is told."""
        if entry.spec is None or entry.spec.deadline_seconds is None or entry.finished:
            return None
        if entry.deadline_reported_version == entry.version:
            return None
        moment = deadline_of(self._subject_of(entry), entry.status)
        return None if moment is None else self._clock.at(moment)

    def next_look(self, entry: Entry) -> float:
        """Return when an EvsJob is looked at again: for its poll, its deadline or the end of its time to live."""
        due, gone, deadline = entry.poll_at, poll_history.delete_at(entry, self._clock), self.deadline_of(entry)
        if gone is not None:
            due = min(due, gone)
        return due if deadline is None else min(due, deadline + AFTER)

    def wait(self, entry: Entry, observation: Observation, connection: Connection | None, now: float) -> float:
        """Return the seconds from now until the next poll, after what the last one gave."""
        if isinstance(observation, JobSeen):
            if entry.history is None or entry.spec is None:
                return poll_history.after_failure(entry, passing=True)
            if entry.deadline_reported_version == entry.version:
                return float(entry.spec.polling.max_interval)
            return next_poll(entry.history, self._durations, now)
        if (
            observation.reason is Reason.RATE_LIMITED
            and connection is not None
            and now < connection.budget.paused_until
        ):
            return connection.budget.paused_until - now
        start = parse_timestamp(entry.status.get("observationStartTime"))
        if observation.reason is Reason.JOB_NOT_FOUND and "jobStatus" not in entry.status and start:
            wait = poll_history.within_grace(
                self._clock.at(start), now, poll_history.after_failure(entry, passing=True)
            )
            if wait is not None:
                return wait
        project_id = entry.spec.project_id if entry.spec is not None else None
        refusal = connection.refusal_for(entry.namespace, project_id) if connection is not None else None
        if refusal is not None:
            return max(refusal.retry_at - now, 0.0)
        return poll_history.after_failure(entry, passing=observation.passing)

    def estimate_for(self, entry: Entry, observation: Observation | None) -> float | None:
        """Return the estimated end of a job that works, in seconds of the wall clock."""
        if not isinstance(observation, JobSeen) or entry.history is None or observation.job.status.upper() == "INIT":
            return None
        age = self._clock() - work_began(entry.history)
        left = self._durations.estimate(entry.history.connection, entry.history.job_type, age)
        return None if left is None else self._clock.wall().timestamp() + left

    @staticmethod
    def _is_silent(entry: Entry) -> bool:
        """Tell whether the status does not speak of the job that the spec names, and nobody has tried to say why."""
        if entry.waiting_version == entry.version or entry.finished or entry.spec is None or entry.spec.suspend:
            return False
        return entry.anew or entry.status.get("jobId") != entry.spec.job_id
