"""Judges how an EvsJob stands: five rules in order, the first that applies. Pure; called by `decide()`.

`Sight` is all that they look at: what the job's last answer said, what keeps us from seeing it now, since when it is
observed. `sight_of_answer` and `sight_without_answer` make it of an observation and of what the status says already.
What is deliberately not done: writing a condition (`core.render`); what a job's answer means (`core.verdict`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from evs_operator.api.conditions import Condition, condition_of
from evs_operator.api.reading import JobState
from evs_operator.api.reasons import Reason, heals_itself
from evs_operator.api.spec import EvsJobSpec
from evs_operator.api.status import EvsJobStatus

from .observation import MESSAGE_LIMIT, Trouble
from .text import one_line
from .verdict import ANSWERED, Finding, Observed, Verdict

NOT_FOUND_GRACE: Final = timedelta(seconds=60)
"""A job id never seen may be newer than the record (docs/reference/jobs-api.md#how-long-a-job-can-be-asked-for)."""

_SUSPENDED: Final = Finding(JobState.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true: the job is not polled")


class Sight(NamedTuple):
    """What is seen of the job of an EvsJob, now or last.

    `job` is what its own last answer said, `trouble` what keeps us from seeing it: in progress if that passes, action
    required if not. `waiting` says why it could not be asked for yet. `since` is when its observation began, `answered`
    whether an answer ever showed it. `observed` is what the condition of that name says.
    """

    since: datetime
    answered: bool
    job: Finding | None = None
    trouble: Finding | None = None
    waiting: Finding | None = None
    observed: Observed | None = None


def judge(spec: EvsJobSpec, sight: Sight, now: datetime) -> Verdict | None:
    """Return how an EvsJob stands, by the first rule that applies; None if nothing is known yet."""
    found = (
        _ended(sight)  # SUCCESS; FAIL, or SUCCESS with a failed sub-job
        or _suspended(spec)  # suspended before the end
        or _person_must_act(sight)  # credential, connection, project, endpoint, job id
        or _late(spec, sight, now)  # the deadline has expired, and polling goes on
        or _in_progress(sight)  # INIT, RUNNING, any unknown word; a poll fails for a passing reason; not asked for yet
    )
    if found is None:
        return None
    return Verdict(found, outcome=sight.job or sight.trouble or found, observed=sight.observed)


def _ended(sight: Sight) -> Finding | None:
    return sight.job if sight.job and sight.job.state is not JobState.IN_PROGRESS else None


def _suspended(spec: EvsJobSpec) -> Finding | None:
    return _SUSPENDED if spec.suspend else None


def _person_must_act(sight: Sight) -> Finding | None:
    trouble = sight.trouble
    return trouble if trouble and trouble.state is JobState.ACTION_REQUIRED else None


def _late(spec: EvsJobSpec, sight: Sight, now: datetime) -> Finding | None:
    seconds = spec.deadline_seconds
    if seconds is None or (now - sight.since).total_seconds() < seconds:
        return None
    what = f"not finished {seconds} s after it was first observed"
    if not sight.answered:
        what = f"no answer showed the job within {seconds} s"
    last = f"; the last poll failed: {sight.trouble.message}" if sight.trouble else ""
    message = one_line(f"{what} (spec.deadlineSeconds); polling goes on{last}", MESSAGE_LIMIT)
    return Finding(JobState.ACTION_REQUIRED, Reason.DEADLINE_EXCEEDED, message)


def _in_progress(sight: Sight) -> Finding | None:
    return sight.trouble or sight.job or sight.waiting


def sight_of_answer(outcome: Finding, since: datetime) -> Sight:
    """Return what is seen if the jobs API answered with the job."""
    return Sight(since, answered=True, job=outcome, observed=ANSWERED)


def sight_without_answer(
    spec: EvsJobSpec, known: EvsJobStatus, trouble: Trouble | None, since: datetime, now: datetime
) -> Sight:
    """Return what is seen if a poll failed, or if there was none: what was known of the job stays.

    `known` is the previous status, without a `jobId` if nothing is known of this job.
    """
    waiting = None
    if trouble and trouble.reason is Reason.PENDING:
        if "jobId" not in known:
            waiting = Finding(JobState.PENDING, Reason.PENDING, trouble.message())
        trouble = None
    answered = "jobStatus" in known
    last = condition_of(known.get("conditions", []), "Observed") if "jobId" in known else None
    hidden = _hidden(last, _refined(trouble, answered) if trouble else None)
    job = last_outcome(known, hidden)
    if spec.suspend:  # it is not polled, so it is seen as it was
        return Sight(since, answered, job, observed=_observed(last))
    if hidden is None:
        return Sight(since, answered, job, waiting=waiting, observed=ANSWERED if job else None)
    lasting = trouble.lasting if trouble else _is_stalled_for(known, hidden.reason)
    passes = _passes(hidden.reason, lasting, now - since)
    state = JobState.IN_PROGRESS if passes else JobState.ACTION_REQUIRED
    return Sight(since, answered, job, Finding(state, hidden.reason, hidden.message), observed=hidden)


def _passes(reason: str, lasting: bool, age: timedelta) -> bool:
    """Return whether what hides the job passes without a person, `age` after its observation began."""
    if reason == Reason.JOB_NOT_FOUND:
        return age < NOT_FOUND_GRACE
    return heals_itself(reason) and not lasting


def last_observed(status: EvsJobStatus) -> Observed | None:
    """Return what the condition `Observed` of a status says, None if it has none."""
    return _observed(condition_of(status.get("conditions", []), "Observed"))


def last_outcome(status: EvsJobStatus, hidden: Observed | None = None) -> Finding | None:
    """Return what was last known of the progress of an unfinished job, None if it was never seen."""
    if "jobStatus" not in status:
        return None
    complete = condition_of(status.get("conditions", []), "Complete")
    if complete:
        return Finding(JobState.IN_PROGRESS, complete["reason"], complete["message"])
    return Finding(JobState.IN_PROGRESS, hidden.reason, hidden.message) if hidden else None


def _observed(condition: Condition | None) -> Observed | None:
    return Observed(condition["status"], condition["reason"], condition["message"]) if condition else None


def _refined(trouble: Trouble, answered: bool) -> Trouble:
    """Tell a job that was seen before and is gone, so has expired, from one that was never found."""
    if trouble.reason is Reason.JOB_NOT_FOUND and answered:
        return Trouble(Reason.JOB_RECORD_EXPIRED, trouble.head, trouble.detail)
    return trouble


def _hidden(last: Condition | None, trouble: Trouble | None) -> Observed | None:
    """Return what keeps us from seeing the job, now or since the last observation; None if nothing does.

    A server may name a request id or a time in every answer, so the previous words stay while the kind of
    trouble is the same: nothing was learned.
    """
    before = last if last and last["status"] == "False" else None
    if trouble is None:
        return _observed(before)
    if before and before["reason"] == trouble.reason and not trouble.lasting:
        head, said = trouble.head, before["message"]
        if trouble.passing or said == head or said.startswith((head + ":", head + ".")):
            return _observed(before)
    return Observed("False", trouble.reason, trouble.message())


def _is_stalled_for(known: EvsJobStatus, reason: str) -> bool:
    """Return whether a person had to act for that reason when the job was last looked at."""
    stalled = condition_of(known.get("conditions", []), "Stalled")
    return stalled is not None and stalled["status"] == "True" and stalled["reason"] == reason
