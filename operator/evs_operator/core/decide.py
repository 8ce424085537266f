"""decide(): an EvsJob, its previous status, one observation and the clock become the complete new status.

Called by the reconciler for every observation, and without one when time or the spec changed. Pure:
the same input gives the same output, and a status that says nothing new is returned as it was, so that the
caller can compare and not write. How the EvsJob stands is judged in `core.judge`, conditions are written in
`core.render`. What is deliberately not done here: deciding when to ask next (`core.schedule`), and any I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from evs_operator.api.conditions import condition_of, parse_timestamp, timestamp
from evs_operator.api.reading import JobState
from evs_operator.api.reasons import Reason
from evs_operator.api.spec import EvsJobSpec
from evs_operator.api.status import EvsJobStatus, UsedConnection, same_status
from evs_operator.evs.job import Job

from .judge import judge, last_observed, last_outcome, sight_of_answer, sight_without_answer
from .observation import JobSeen, Observation
from .phase import phase_of
from .render import for_generation, render
from .result import api_time, result_fields
from .verdict import ANSWERED, Finding, Verdict, failure_in, outcome_of, recorded_outcome

_ALMOST_A_SECOND: Final = timedelta(microseconds=999_999)

_RESULT_FIELDS: Final = (
    "jobStatus",
    "jobType",
    "beginTime",
    "endTime",
    "duration",
    "estimatedCompletionTime",
    "entities",
    "volumeIds",
    "subJobs",
    "subJobCounts",
    "progress",
    "errorCode",
    "failReason",
    "failure",
)


@dataclass(frozen=True, slots=True)
class Subject:
    """The EvsJob that is decided on.

    `observation_start` is when the operator first saw this job id; `anew` tells that the spec now points at
    another job than `previous` speaks of, also where the status alone cannot show it. `connection` is the one that was
    used or looked for, None if neither happened yet.
    """

    generation: int
    spec: EvsJobSpec
    observation_start: datetime
    project_id: str | None = None
    requested_at: str | None = None
    anew: bool = False
    connection: UsedConnection | None = None


def decide(
    subject: Subject,
    previous: EvsJobStatus,
    observation: Observation | None,
    now: datetime,
    *,
    redact: Callable[[str], str] = str,
    estimate: datetime | None = None,
) -> EvsJobStatus:
    """Return the complete status; equal to `previous` (see `same_status`) if nothing was learned.

    `redact` is for the words of a job alone: a trouble's are redacted already, and our own are not searched.
    """
    known = previous if is_same_observation(subject, previous) else _start_anew(previous)
    if is_finished(known) and not isinstance(observation, JobSeen):
        return _keep_result(subject, known, observation, now)
    frame = _frame(subject, known, observation, now)
    since = parse_timestamp(frame["observationStartTime"]) or subject.observation_start
    if isinstance(observation, JobSeen):
        result, outcome = _answer(observation.job, known, now, redact)
        sight = sight_of_answer(outcome, since)
    else:
        result = _result_of(known)
        sight = sight_without_answer(subject.spec, known, observation, since, now)
    verdict = judge(subject.spec, sight, now)
    if verdict is None:
        return previous  # nothing is known yet: the first answer or failure makes the first write
    return _with_estimate(render(frame, result, verdict, known, now), known, estimate, now)


def refuse(generation: int, previous: EvsJobStatus, message: str, now: datetime) -> EvsJobStatus:
    """Return the status of an EvsJob whose spec cannot be read; what is known of the job stays.

    The verdict of a finished job is taken back until the spec can be read, for it may name another job by now.
    """
    found = Finding(JobState.ACTION_REQUIRED, Reason.INVALID_SPEC, message)
    outcome = None if is_finished(previous) else last_outcome(previous)
    verdict = Verdict(found, outcome or found, last_observed(previous))
    frame: EvsJobStatus = {**previous, "observedGeneration": generation}
    return render(frame, {}, verdict, previous, now)


def is_finished(status: EvsJobStatus) -> bool:
    """Return whether a status holds a terminal result."""
    return "completionTime" in status


def is_same_observation(subject: Subject, previous: EvsJobStatus) -> bool:
    """Return whether the previous status speaks of the job that the spec points at."""
    return not subject.anew and speaks_of(previous, subject.spec)


def speaks_of(status: EvsJobStatus, spec: EvsJobSpec) -> bool:
    """Return whether a status is about the job, project and connection that a spec names, as far as it names them."""
    if status.get("jobId") != spec.job_id:
        return False
    wanted, had = spec.project_id, status.get("projectId")
    if wanted is not None and had is not None and wanted != had:
        return False
    ref, used = spec.connection_ref, status.get("connection")
    return ref is None or used is None or (used.get("kind"), used.get("name")) == (ref.kind, ref.name)


def deadline_of(subject: Subject, previous: EvsJobStatus) -> datetime | None:
    """Return when the deadline expires; None if there is none."""
    if subject.spec.deadline_seconds is None:
        return None
    start = subject.observation_start
    if is_same_observation(subject, previous):
        start = parse_timestamp(previous.get("observationStartTime")) or start
    try:
        return start + timedelta(seconds=subject.spec.deadline_seconds)
    except OverflowError:
        return None


def _start_anew(previous: EvsJobStatus) -> EvsJobStatus:
    """Forget the other job; what other jobs' conditions said only dates the transitions."""
    kept: EvsJobStatus = {"conditions": previous.get("conditions", [])}
    if "lastHandledReconcileAt" in previous:
        kept["lastHandledReconcileAt"] = previous["lastHandledReconcileAt"]
    return kept


def _keep_result(subject: Subject, known: EvsJobStatus, observation: Observation | None, now: datetime) -> EvsJobStatus:
    """Keep a terminal result: only the generation moves, and the echo of a request that was acted upon."""
    status = cast(EvsJobStatus, dict(known))
    status["observedGeneration"] = subject.generation
    if observation is not None and subject.requested_at:
        status["lastHandledReconcileAt"] = subject.requested_at
    ready = condition_of(known.get("conditions", []), "Ready")
    if ready is None or ready["reason"] == Reason.INVALID_SPEC:  # the verdict was taken back, see refuse()
        outcome = recorded_outcome(known)
        return render(status, {}, Verdict(outcome, outcome, ANSWERED), known, now)
    status["state"] = str(phase_of(known).job_state)
    status["conditions"] = for_generation(known.get("conditions", []), subject.generation)
    return status


def _answer(job: Job, known: EvsJobStatus, now: datetime, redact: Callable[[str], str]) -> tuple[EvsJobStatus, Finding]:
    """Return what the answer says of the job: the fields of its result, and how the job stands by it."""
    failure = failure_in(job, redact)
    outcome = outcome_of(job, failure, redact)
    result = result_fields(job, redact)
    if failure:
        result["failure"] = failure
    if outcome.state is not JobState.IN_PROGRESS:
        result["completionTime"] = known.get("completionTime") or timestamp(now)
    elif "estimatedCompletionTime" in known:
        result["estimatedCompletionTime"] = known["estimatedCompletionTime"]
    return result, outcome


def _result_of(known: EvsJobStatus) -> EvsJobStatus:
    return cast(EvsJobStatus, {key: known[key] for key in _RESULT_FIELDS if key in known})


def _frame(subject: Subject, known: EvsJobStatus, observation: Observation | None, now: datetime) -> EvsJobStatus:
    """Return what the status is about: the spec's generation, the job, and where and since when it is observed."""
    status: EvsJobStatus = {"observedGeneration": subject.generation, "jobId": subject.spec.job_id}
    if connection := subject.connection or known.get("connection"):
        status["connection"] = connection
    if project_id := subject.project_id or subject.spec.project_id or known.get("projectId"):
        status["projectId"] = project_id
    start = known.get("observationStartTime") or timestamp(min(subject.observation_start, now))
    status["observationStartTime"] = start
    if subject.requested_at and _was_polled(observation):
        status["lastHandledReconcileAt"] = subject.requested_at
    elif "lastHandledReconcileAt" in known:
        status["lastHandledReconcileAt"] = known["lastHandledReconcileAt"]
    return status


def _was_polled(observation: Observation | None) -> bool:
    """Return whether a poll was made or tried; one that still waits for its first call was not."""
    return isinstance(observation, JobSeen) or (observation is not None and observation.reason is not Reason.PENDING)


def _with_estimate(status: EvsJobStatus, known: EvsJobStatus, estimate: datetime | None, now: datetime) -> EvsJobStatus:
    """Put the estimate right if something else changed; by itself it is no reason to write.

    What is written lies ahead: an estimate that the job has outlived is left out if there is no newer one.
    """
    kept = status.get("estimatedCompletionTime")
    if (estimate is None and kept is None) or is_finished(status) or same_status(status, known):
        return status
    if estimate is not None:
        status["estimatedCompletionTime"] = api_time((estimate + _ALMOST_A_SECOND).replace(microsecond=0))
        return status
    moment = parse_timestamp(kept)
    if moment is not None and moment <= now:
        del status["estimatedCompletionTime"]
    return status
