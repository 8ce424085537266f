"""When an EvsJob is looked at again: the times that follow from its spec, its history and what came of its last poll.

The reconciler asks after each look, the dispatcher while an EvsJob waits for a call. Pure but for the clock: nothing is
scheduled here (`rescheduling`), and the single waits are those of `poll_history` and `core.schedule`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from .entry import Entry

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


@dataclass(frozen=True, slots=True)
class Agenda:
    """What comes for one EvsJob, in seconds of the operator's clock; worked out once for a pass.

    `deadline` is when its deadline expires, None if it has none or that has been reported; `gone_at` when it is
    deleted. `first_status_at` is when its status says that it waits for its first call, None if it says something
    already. `changed` means that the status does not speak of the newest spec.
    """

    poll_at: float
    deadline: float | None
    gone_at: float | None
    first_status_at: float | None
    changed: bool

    @property
    def look_without_call(self) -> float | None:
        """When it is looked at while it waits for a call.

        A deadline, the end of a time to live, a changed spec and a first status wait for no budget and no endpoint.
        """
        soon = self.poll_at + _LOOK_AFTER
        late = None if self.deadline is None else max(self.deadline + AFTER, soon)
        if self.first_status_at is not None:
            return self.first_status_at if late is None else min(self.first_status_at, late)
        if self.changed:
            return soon if self.gone_at is None else min(self.gone_at, soon)
        return late if self.gone_at is None else self.gone_at

    @property
    def next_look(self) -> float:
        """When it is looked at again: for its poll, its deadline or the end of its time to live."""
        due = self.poll_at if self.gone_at is None else min(self.poll_at, self.gone_at)
        return due if self.deadline is None else min(due, self.deadline + AFTER)


class DueTimes:
    """Times in seconds of the operator's clock; `subject_of` puts an EvsJob into the words of `decide()`."""

    def __init__(self, clock: Clock, durations: Durations, subject_of: Callable[[Entry], Subject]) -> None:
        self._clock = clock
        self._durations = durations
        self._subject_of = subject_of

    def patience_of(self, entry: Entry, price: float) -> float:
        """Return the seconds that an EvsJob can wait for its next call at that price."""
        if entry.polling.history is None:
            return _UNKNOWN_PATIENCE
        return patience(entry.polling.history, self._durations, price=price)

    def agenda(self, entry: Entry) -> Agenda:
        """Return what comes for an EvsJob, as it is now."""
        seen, polling = entry.seen, entry.polling
        observed = seen.observed_generation
        written = observed is not None and observed >= 0
        return Agenda(
            poll_at=polling.poll_at,
            deadline=self._deadline_of(entry),
            gone_at=poll_history.delete_at(entry, self._clock),
            first_status_at=self._first_status_at(entry) if self._is_silent(entry) else None,
            changed=polling.reported_version != seen.version and written and observed != seen.generation,
        )

    def look_at(self, entry: Entry) -> float | None:
        """Return when an EvsJob that waits for a call is looked at without one; None if that would change nothing."""
        return None if entry.seen.spec is None else self.agenda(entry).look_without_call

    def postpone_first_status(self, entry: Entry) -> bool:
        """Let an EvsJob that no budget keeps waiting go on without a status, for ten seconds; tell whether it may."""
        now = self._clock()
        if now >= entry.polling.poll_at + _UNEXPLAINED:
            return False
        entry.polling.say_at = now + _FIRST_CALL
        return True

    @staticmethod
    def _first_status_at(entry: Entry) -> float:
        return max(entry.polling.poll_at + _FIRST_CALL, entry.polling.say_at)

    def _deadline_of(self, entry: Entry) -> float | None:
        """Return when the deadline expires; None if there is none or it has been reported."""
        seen = entry.seen
        if seen.spec is None or seen.spec.deadline_seconds is None or seen.finished:
            return None
        if entry.polling.deadline_reported_version == seen.version:
            return None
        moment = deadline_of(self._subject_of(entry), seen.status)
        return None if moment is None else self._clock.at(moment)

    def wait(self, entry: Entry, observation: Observation, connection: Connection | None, now: float) -> float:
        """Return the seconds from now until the next poll, after what the last one gave."""
        if isinstance(observation, JobSeen):
            if entry.polling.history is None or entry.seen.spec is None:
                return poll_history.after_failure(entry, passing=True)
            if entry.polling.deadline_reported_version == entry.seen.version:
                return float(entry.seen.spec.polling.max_interval)
            return next_poll(entry.polling.history, self._durations, now)
        if (
            observation.reason is Reason.RATE_LIMITED
            and connection is not None
            and now < connection.budget.paused_until
        ):
            return connection.budget.paused_until - now
        start = parse_timestamp(entry.seen.status.get("observationStartTime"))
        if observation.reason is Reason.JOB_NOT_FOUND and "jobStatus" not in entry.seen.status and start:
            wait = poll_history.within_grace(
                self._clock.at(start), now, poll_history.after_failure(entry, passing=True)
            )
            if wait is not None:
                return wait
        project_id = entry.seen.spec.project_id if entry.seen.spec is not None else None
        refusal = connection.refusal_for(entry.namespace, project_id) if connection is not None else None
        if refusal is not None:
            return max(refusal.retry_at - now, 0.0)
        return poll_history.after_failure(entry, passing=observation.passing)

    def estimate_for(self, entry: Entry, observation: Observation | None) -> float | None:
        """Return the estimated end of a job that works, in seconds of the wall clock."""
        if (
            not isinstance(observation, JobSeen)
            or entry.polling.history is None
            or observation.job.status.upper() == "INIT"
        ):
            return None
        age = self._clock() - work_began(entry.polling.history)
        left = self._durations.estimate(entry.polling.history.connection, entry.polling.history.job_type, age)
        return None if left is None else self._clock.wall().timestamp() + left

    @staticmethod
    def _is_silent(entry: Entry) -> bool:
        """Return whether the status does not speak of the job that the spec names, and nobody has tried to say why."""
        if (
            entry.polling.waiting_version == entry.seen.version
            or entry.seen.finished
            or entry.seen.spec is None
            or entry.seen.spec.suspend
        ):
            return False
        return entry.seen.retargeted or entry.seen.status.get("jobId") != entry.seen.spec.job_id
