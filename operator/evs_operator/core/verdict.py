"""How an EvsJob stands, which conditions that makes, and what a job's own answer means for it.

`STATES` is the table of docs/reference/evsjob.md#conditions: one row of conditions per state. `core.judge` says which
row it is, `core.render` writes it. Two verdicts are never mixed: what happened to the job (`outcome_of`), and how well
we can see it (`core.observation`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from evs_operator.api.conditions import ConditionStatus
from evs_operator.api.reading import JobState
from evs_operator.api.reasons import Reason
from evs_operator.api.status import EvsJobStatus, Failure
from evs_operator.evs.job import FAILURE_WORDS, Job, JobOutcome

from .failure import failure_of, kind_of, summary
from .result import duration_text
from .text import masked, one_line


def _row(
    ready: ConditionStatus,
    complete: ConditionStatus,
    failed: ConditionStatus,
    **true: bool,
) -> Mapping[str, ConditionStatus]:
    row: dict[str, ConditionStatus] = {"Ready": ready, "Complete": complete, "Failed": failed}
    return row | dict.fromkeys(true, "True")


_NOT_ENDED: Final = _row("Unknown", "False", "False", Reconciling=True)

STATES: Final[Mapping[JobState, Mapping[str, ConditionStatus]]] = {
    JobState.PENDING: _NOT_ENDED,
    JobState.IN_PROGRESS: _NOT_ENDED,
    JobState.ACTION_REQUIRED: _row("False", "False", "False", Stalled=True),
    JobState.COMPLETE: _row("True", "True", "False"),
    JobState.FAILED: _row("False", "False", "True", Stalled=True),
    JobState.SUSPENDED: _row("False", "False", "False", Suspended=True),
}
"""Condition type to status per state; any other type is absent. `Observed` comes from the observation."""
_OF_THE_JOB: Final = frozenset({"Complete", "Failed"})


class Finding(NamedTuple):
    """A state, with the reason for it and one line that may be shown."""

    state: JobState
    reason: str
    message: str


class Observed(NamedTuple):
    """What the condition `Observed` says: whether the last poll showed the job, and what hides it if not."""

    status: ConditionStatus
    reason: str
    message: str


ANSWERED: Final = Observed("True", Reason.POLL_SUCCEEDED, "the jobs API answered")

Claim = tuple[str, ConditionStatus, str, str]
"""What a condition says: its type, status, reason and message."""


class Verdict(NamedTuple):
    """How an EvsJob stands: `found` says the state and why, `outcome` what is known of the job's own end.

    `observed` is None if nobody has asked for the job yet.
    """

    found: Finding
    outcome: Finding
    observed: Observed | None

    def claims(self) -> Iterator[Claim]:
        """Yield what each condition says: the row of the state, and how well the job can be seen."""
        for kind, status in STATES[self.found.state].items():
            said = self.outcome if kind in _OF_THE_JOB else self.found
            yield kind, status, said.reason, said.message
        if self.observed:
            yield "Observed", *self.observed


def failure_in(job: Job, redact: Callable[[str], str]) -> Failure | None:
    """Return `status.failure` of a job that ended and failed, also in a sub-job at any depth; None for any other."""
    word = job.outcome
    failed = word is JobOutcome.FAILED
    if word is JobOutcome.SUCCEEDED:
        failed = any(sub.outcome is JobOutcome.FAILED for sub in job.descendants())
    return failure_of(job, redact) if failed else None


def outcome_of(job: Job, failure: Failure | None, redact: Callable[[str], str]) -> Finding:
    """Read from a job how it stands; `failure` is what `failure_in` returned for it.

    The words of the job are redacted before they become a part of our sentences, which are not searched.
    """
    if failure is not None:
        own = job.outcome is JobOutcome.FAILED
        reason = Reason.JOB_FAILED if own else Reason.SUB_JOB_FAILED
        return Finding(JobState.FAILED, reason, summary(job, failure, redact))
    what, word = kind_of(job, redact, 256), job.status.upper()
    state = JobState.IN_PROGRESS
    if job.outcome is JobOutcome.SUCCEEDED:
        state, reason = JobState.COMPLETE, Reason.JOB_SUCCEEDED
        message = f"{what} succeeded{_took(job)}{_progress(job)}"
    elif word == "INIT":
        reason, message = Reason.JOB_INITIALIZING, f"{what} is being initialized"
    elif word == "RUNNING":
        reason, message = Reason.JOB_RUNNING, f"{what} is running{_progress(job)}"
    else:
        reason = Reason.UNKNOWN_JOB_STATUS
        message = f"{what} reports the status {masked(job.status, redact, 256)!r}, taken as in progress{_progress(job)}"
    return Finding(state, reason, one_line(message, 1024))


def recorded_outcome(status: EvsJobStatus) -> Finding:
    """Read how a finished job ended from what is stored of its result, without asking again."""
    what = status.get("jobType", "the job")
    failure = status.get("failure")
    if failure is None:
        took = f" in {status['duration']}" if "duration" in status else ""
        return Finding(JobState.COMPLETE, Reason.JOB_SUCCEEDED, f"{what} succeeded{took}")
    own = status.get("jobStatus", "").strip().upper() in FAILURE_WORDS
    said = " ".join(part for part in (failure.get("code", ""), failure.get("message", "")) if part)
    message = one_line(f"{what} failed: {said}", 1024)
    return Finding(JobState.FAILED, Reason.JOB_FAILED if own else Reason.SUB_JOB_FAILED, message)


def _took(job: Job) -> str:
    if job.begin_time is None or job.end_time is None or job.end_time < job.begin_time:
        return ""
    return f" in {duration_text((job.end_time - job.begin_time).total_seconds())}"


def _progress(job: Job) -> str:
    subs = tuple(job.descendants())
    if not subs:
        return ""
    finished = sum(1 for sub in subs if sub.outcome is not JobOutcome.IN_PROGRESS)
    return f", {finished} of {len(subs)} sub-jobs finished"
