"""decide(): an EvsJob, its previous status, one observation and the clock become the complete new status.

Called by the reconciler for every observation, and without one when time or the spec changed. Pure:
the same input gives the same output, and a status that says nothing new is returned as it was, so that the
caller can compare and not write. What is deliberately not done here: deciding when to ask next
(`core.schedule`), and any I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from evs_operator.api.conditions import Condition, condition_of, make_condition, parse_timestamp, timestamp
from evs_operator.api.reading import JobState
from evs_operator.api.reading import state as state_of
from evs_operator.api.reasons import Reason, heals_itself
from evs_operator.api.spec import EvsJobSpec
from evs_operator.api.status import CONDITION_TYPES, EvsJobStatus, UsedConnection, same_status
from evs_operator.evs.job import Job

from .observation import MESSAGE_LIMIT, JobSeen, Observation, Trouble
from .result import api_time, result_fields
from .text import one_line
from .verdict import STATES, Outcome, outcome_of, verdict_of

NOT_FOUND_GRACE: Final = timedelta(seconds=60)
"""A job id never seen may be newer than the record (docs/reference/jobs-api.md#how-long-a-job-can-be-asked-for)."""
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


@dataclass(frozen=True, slots=True)
class _Said:
    """One condition's words."""

    reason: str
    message: str


_SUSPENDED: Final = _Said(Reason.SUSPENDED, "spec.suspend is true: the job is not polled")
_ANSWERED: Final = _Said(Reason.POLL_SUCCEEDED, "the jobs API answered")


def decide(
    subject: Subject,
    previous: EvsJobStatus,
    observation: Observation | None,
    now: datetime,
    *,
    redact: Callable[[str], str] = str,
    estimate: datetime | None = None,
) -> EvsJobStatus:
    """Return the complete status; equal to `previous` (see `same_status`) where nothing was learned.

    `redact` is for the words of a job alone: a trouble's are redacted already, and our own are not searched.
    """
    known = previous if is_same_observation(subject, previous) else _start_anew(previous)
    if is_finished(known) and not isinstance(observation, JobSeen):
        return _touch(subject, known, observation, now)
    if isinstance(observation, JobSeen):
        status = _decide_seen(subject, known, observation.job, now, redact)
    else:
        trouble = None if observation is None else _refine(observation, known)
        status = _decide_unseen(subject, known, trouble, now)
        if status is known:
            return previous  # nothing is known yet: the first answer or failure makes the first write
    return _with_estimate(status, known, estimate, now)


def refuse(generation: int, previous: EvsJobStatus, message: str, now: datetime) -> EvsJobStatus:
    """Return the status of an EvsJob whose spec cannot be read; what is known of the job stays.

    The verdict of a finished job is taken back until the spec can be read, for it may name another job by now.
    """
    status = cast(EvsJobStatus, {**previous, "observedGeneration": generation})
    said = _Said(Reason.INVALID_SPEC, message)
    observed = condition_of(previous.get("conditions", []), "Observed")
    shown = (observed["status"], _said(observed)) if observed else None
    outcome = said if is_finished(previous) else _last_outcome(previous, None) or said
    _set_conditions(status, previous, JobState.ACTION_REQUIRED, said, outcome, shown, now)
    return status


def is_finished(status: EvsJobStatus) -> bool:
    """Tell whether a status holds a terminal result."""
    return "completionTime" in status


def is_same_observation(subject: Subject, previous: EvsJobStatus) -> bool:
    """Tell whether the previous status speaks of the job that the spec points at."""
    return not subject.anew and speaks_of(previous, subject.spec)


def speaks_of(status: EvsJobStatus, spec: EvsJobSpec) -> bool:
    """Tell whether a status is about the job, project and connection that a spec names, as far as it names them."""
    if status.get("jobId") != spec.job_id:
        return False
    wanted, had = spec.project_id, status.get("projectId")
    if wanted is not None and had is not None and wanted != had:
        return False
    ref, used = spec.connection_ref, status.get("connection")
    return ref is None or used is None or (used.get("kind"), used.get("name")) == (ref.kind, ref.name)


def deadline_of(subject: Subject, previous: EvsJobStatus) -> datetime | None:
    """Return when `spec.deadlineSeconds` is over, None without one."""
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


def _touch(subject: Subject, known: EvsJobStatus, observation: Observation | None, now: datetime) -> EvsJobStatus:
    """Keep a terminal result: only the generation moves, and the echo of a request that was acted upon."""
    status = cast(EvsJobStatus, dict(known))
    status["observedGeneration"] = subject.generation
    status["state"] = str(state_of({"status": status}))
    if observation is not None and subject.requested_at:
        status["lastHandledReconcileAt"] = subject.requested_at
    ready = condition_of(known.get("conditions", []), "Ready")
    if ready is None or ready["reason"] == Reason.INVALID_SPEC:  # the verdict was taken back, see refuse()
        verdict = verdict_of(known)
        _set_conditions(status, known, verdict.state, verdict, verdict, ("True", _ANSWERED), now)
        return status
    status["conditions"] = [
        cast(Condition, {**condition, "observedGeneration": subject.generation})
        for condition in known.get("conditions", [])
        if condition["type"] in CONDITION_TYPES
    ]
    return status


def _decide_seen(
    subject: Subject,
    known: EvsJobStatus,
    job: Job,
    now: datetime,
    redact: Callable[[str], str],
) -> EvsJobStatus:
    outcome = outcome_of(job, redact)
    status = _frame(subject, known, now)
    status.update(result_fields(job, redact))
    if outcome.failure:
        status["failure"] = outcome.failure
    if subject.requested_at:
        status["lastHandledReconcileAt"] = subject.requested_at
    if outcome.state is not JobState.IN_PROGRESS:
        status["completionTime"] = known.get("completionTime") or timestamp(now)
        _set_conditions(status, known, outcome.state, outcome, outcome, ("True", _ANSWERED), now)
        return status
    state, ready = _in_progress(subject, status, outcome, now)
    _set_conditions(status, known, state, ready, outcome, ("True", _ANSWERED), now)
    if "estimatedCompletionTime" in known:
        status["estimatedCompletionTime"] = known["estimatedCompletionTime"]
    return status


def _decide_unseen(
    subject: Subject,
    known: EvsJobStatus,
    trouble: Trouble | None,
    now: datetime,
) -> EvsJobStatus:
    """Decide with trouble, or with nothing new: what is known of the job stays; `known` itself if that is nothing."""
    status = _frame(subject, known, now)
    if trouble is not None and trouble.reason is Reason.PENDING:
        if not (_is_known(known) or subject.spec.suspend or _is_late(subject, status, now)):
            said = _Said(Reason.PENDING, trouble.message())
            _set_conditions(status, known, JobState.PENDING, said, said, None, now)
            return status
        trouble = None
    status.update(_carried(known))
    if trouble and subject.requested_at:
        status["lastHandledReconcileAt"] = subject.requested_at
    observed = _observed(known, trouble)
    outcome = _last_outcome(known, observed)
    if subject.spec.suspend:
        last = condition_of(known.get("conditions", []), "Observed") if _is_known(known) else None
        shown = (last["status"], _said(last)) if last else None
        _set_conditions(status, known, JobState.SUSPENDED, _SUSPENDED, outcome or _SUSPENDED, shown, now)
        return status
    if observed is None:
        if outcome is not None:
            state, ready = _in_progress(subject, status, outcome, now)
            _set_conditions(status, known, state, ready, outcome, ("True", _ANSWERED), now)
        elif _is_late(subject, status, now):
            said = _late(subject, status, None)
            _set_conditions(status, known, JobState.ACTION_REQUIRED, said, said, None, now)
        else:
            return known
        return status
    in_grace = observed.reason == Reason.JOB_NOT_FOUND and now - _start(status, subject) < NOT_FOUND_GRACE
    row: tuple[JobState, Outcome | _Said] = (JobState.ACTION_REQUIRED, observed)
    lasting = trouble.lasting if trouble else _is_stalled_for(known, observed.reason)
    if in_grace or (heals_itself(observed.reason) and not lasting):
        row = _in_progress(subject, status, observed, now, unseen=observed)
    _set_conditions(status, known, *row, outcome or observed, ("False", observed), now)
    return status


def _refine(trouble: Trouble, known: EvsJobStatus) -> Trouble:
    """Tell a job that was seen before and is gone, so has expired, from one that was never found."""
    if trouble.reason is Reason.JOB_NOT_FOUND and "jobStatus" in known:
        return Trouble(Reason.JOB_RECORD_EXPIRED, trouble.head, trouble.detail)
    return trouble


def _frame(subject: Subject, known: EvsJobStatus, now: datetime) -> EvsJobStatus:
    status: EvsJobStatus = {"observedGeneration": subject.generation, "jobId": subject.spec.job_id}
    if connection := subject.connection or known.get("connection"):
        status["connection"] = connection
    if project_id := subject.project_id or subject.spec.project_id or known.get("projectId"):
        status["projectId"] = project_id
    start = known.get("observationStartTime") or timestamp(min(subject.observation_start, now))
    status["observationStartTime"] = start
    if "lastHandledReconcileAt" in known:
        status["lastHandledReconcileAt"] = known["lastHandledReconcileAt"]
    return status


def _carried(known: EvsJobStatus) -> EvsJobStatus:
    fields: Mapping[str, object] = {key: known[key] for key in _RESULT_FIELDS if key in known}
    return cast(EvsJobStatus, fields)


def _start(status: EvsJobStatus, subject: Subject) -> datetime:
    return parse_timestamp(status.get("observationStartTime")) or subject.observation_start


def _is_known(known: EvsJobStatus) -> bool:
    return "jobId" in known


def _said(condition: Condition) -> _Said:
    return _Said(condition["reason"], condition["message"])


def _observed(known: EvsJobStatus, trouble: Trouble | None) -> _Said | None:
    """Return what keeps us from seeing the job, now or since the last observation; None where nothing does.

    A server may name a request id or a time in every answer, so the previous words stay while the kind of
    trouble is the same: nothing was learned.
    """
    last = condition_of(known.get("conditions", []), "Observed") if _is_known(known) else None
    failing = last is not None and last["status"] == "False"
    if trouble is None:
        return _said(last) if failing and last else None
    message = trouble.message()
    if failing and last and last["reason"] == trouble.reason:
        head = trouble.head
        if trouble.lasting:
            return _Said(trouble.reason, message)
        if trouble.passing or last["message"].startswith((head + ":", head + ".")) or last["message"] == head:
            message = last["message"]
    return _Said(trouble.reason, message)


def _is_stalled_for(known: EvsJobStatus, reason: str) -> bool:
    """Tell whether a person had to act for that reason when the job was last looked at."""
    stalled = condition_of(known.get("conditions", []), "Stalled")
    return stalled is not None and stalled["status"] == "True" and stalled["reason"] == reason


def _last_outcome(known: EvsJobStatus, observed: _Said | None) -> _Said | None:
    """Return what was last known of the job's own progress, None where it was never seen."""
    if "jobStatus" not in known:
        return None
    complete = condition_of(known.get("conditions", []), "Complete")
    return _said(complete) if complete else observed


def _in_progress(
    subject: Subject, status: EvsJobStatus, said: Outcome | _Said, now: datetime, *, unseen: _Said | None = None
) -> tuple[JobState, Outcome | _Said]:
    """Take an unfinished job as in progress until its deadline; after that a person must look.

    `unseen` says why the last poll did not show the job.
    """
    if subject.spec.suspend:
        return JobState.SUSPENDED, _SUSPENDED
    if not _is_late(subject, status, now):
        return JobState.IN_PROGRESS, said
    return JobState.ACTION_REQUIRED, _late(subject, status, unseen)


def _is_late(subject: Subject, status: EvsJobStatus, now: datetime) -> bool:
    seconds = subject.spec.deadline_seconds
    return seconds is not None and (now - _start(status, subject)).total_seconds() >= seconds


def _late(subject: Subject, status: EvsJobStatus, unseen: _Said | None) -> _Said:
    seconds = f"{subject.spec.deadline_seconds} s"
    what = f"not finished {seconds} after it was first observed"
    if "jobStatus" not in status:
        what = f"no answer showed the job within {seconds}"
    last = f"; the last poll failed: {unseen.message}" if unseen else ""
    return _Said(
        Reason.DEADLINE_EXCEEDED, one_line(f"{what} (spec.deadlineSeconds); polling goes on{last}", MESSAGE_LIMIT)
    )


def _set_conditions(
    status: EvsJobStatus,
    known: EvsJobStatus,
    state: JobState,
    ready: Outcome | _Said,
    outcome: Outcome | _Said,
    observed: tuple[str, _Said] | None,
    now: datetime,
) -> None:
    status["state"] = str(state)
    previous = known.get("conditions", [])
    words = {"Complete": outcome, "Failed": outcome}
    conditions: list[Condition] = []
    for kind, value in (*STATES[state].items(), ("Observed", observed[0] if observed else None)):
        if value is None:
            continue
        said = observed[1] if kind == "Observed" and observed else words.get(kind, ready)
        conditions.append(
            make_condition(
                kind,
                value,  # type: ignore[arg-type]  # the table and the callers hold condition statuses
                str(said.reason),
                said.message,
                generation=status["observedGeneration"],
                previous=condition_of(previous, kind),
                now=now,
            )
        )
    status["conditions"] = conditions


def _with_estimate(status: EvsJobStatus, known: EvsJobStatus, estimate: datetime | None, now: datetime) -> EvsJobStatus:
    """Put the estimate right where something else changed; by itself it is no reason to write.

    What is written lies ahead: an estimate that the job has outlived is left out where there is no newer one.
    """
    if is_finished(status) or same_status(status, known):
        return status
    if estimate is not None:
        status["estimatedCompletionTime"] = api_time((estimate + _ALMOST_A_SECOND).replace(microsecond=0))
        return status
    kept = parse_timestamp(status.get("estimatedCompletionTime"))
    if kept is not None and kept <= now:
        del status["estimatedCompletionTime"]
    return status
