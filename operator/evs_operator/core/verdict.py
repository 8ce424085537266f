"""What a job's own answer means, and which conditions each state of an EvsJob has.

The second is the table of docs/reference/evsjob.md#conditions.
Two verdicts are never mixed: what happened to the job (here), and how well we can see it
(`core.observation`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

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
    *,
    reconciling: bool = False,
    stalled: bool = False,
    suspended: bool = False,
) -> Mapping[str, ConditionStatus | None]:
    return {
        "Ready": ready,
        "Complete": complete,
        "Failed": failed,
        "Reconciling": "True" if reconciling else None,
        "Stalled": "True" if stalled else None,
        "Suspended": "True" if suspended else None,
    }


_UNDER_WAY: Final = _row("Unknown", "False", "False", reconciling=True)

STATES: Final[Mapping[JobState, Mapping[str, ConditionStatus | None]]] = {
    JobState.PENDING: _UNDER_WAY,
    JobState.IN_PROGRESS: _UNDER_WAY,
    JobState.ACTION_REQUIRED: _row("False", "False", "False", stalled=True),
    JobState.COMPLETE: _row("True", "True", "False"),
    JobState.FAILED: _row("False", "False", "True", stalled=True),
    JobState.SUSPENDED: _row("False", "False", "False", suspended=True),
}
"""Condition type to status per state; None: the condition is absent. `Observed` comes from the observation."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the API's answer says of the job, in the words of a condition."""

    state: JobState
    reason: Reason
    message: str
    failure: Failure | None = None


def outcome_of(job: Job, redact: Callable[[str], str]) -> Outcome:
    """Read the verdict from a job: SUCCESS with a failed sub-job at any depth is a failure.

    The words of the job are redacted before they become a part of our sentences, which are not searched.
    """
    if job.outcome is JobOutcome.FAILED:
        return _failed(job, Reason.JOB_FAILED, redact)
    if job.outcome is JobOutcome.SUCCEEDED:
        if any(sub.outcome is JobOutcome.FAILED for sub in job.descendants()):
            return _failed(job, Reason.SUB_JOB_FAILED, redact)
        message = f"{kind_of(job, redact, 256)} succeeded{_took(job)}{_progress(job)}"
        return Outcome(JobState.COMPLETE, Reason.JOB_SUCCEEDED, one_line(message, 1024))
    what, word = kind_of(job, redact, 256), job.status.upper()
    if word == "INIT":
        reason, message = Reason.JOB_INITIALIZING, f"{what} is being initialized"
    elif word == "RUNNING":
        reason, message = Reason.JOB_RUNNING, f"{what} is running{_progress(job)}"
    else:
        reason = Reason.UNKNOWN_JOB_STATUS
        message = f"{what} reports the status {masked(job.status, redact, 256)!r}, taken as in progress{_progress(job)}"
    return Outcome(JobState.IN_PROGRESS, reason, one_line(message, 1024))


def verdict_of(status: EvsJobStatus) -> Outcome:
    """Read the verdict of a finished job back from what is stored of its result, without asking again."""
    what = status.get("jobType", "the job")
    failure = status.get("failure")
    if failure is None:
        took = f" in {status['duration']}" if "duration" in status else ""
        return Outcome(JobState.COMPLETE, Reason.JOB_SUCCEEDED, f"{what} succeeded{took}")
    own = status.get("jobStatus", "").strip().upper() in FAILURE_WORDS
    said = " ".join(part for part in (failure.get("code", ""), failure.get("message", "")) if part)
    message = one_line(f"{what} failed: {said}", 1024)
    return Outcome(JobState.FAILED, Reason.JOB_FAILED if own else Reason.SUB_JOB_FAILED, message, failure)


def _failed(job: Job, reason: Reason, redact: Callable[[str], str]) -> Outcome:
    failure = failure_of(job, redact)
    return Outcome(JobState.FAILED, reason, summary(job, failure, redact), failure)


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
