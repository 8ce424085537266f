"""The view of an EvsJob that programs outside the cluster read: one flat object, absent fields left out.

The webhook answers with it, and whoever has the object from another client can make the same of it. Pure. A status that
speaks of an older spec gives no result: it may be that of another job, so such a view is `Pending` and says nothing of
an end. Deliberately not done: sub-jobs, conditions, entities; who needs them reads the EvsJob.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NotRequired, TypedDict, cast

from .reading import JobState, is_current, message, reason, state
from .reasons import Reason
from .status import Failure
from .stored import MOST_TEXT, job_status, mapping

_NOT_SEEN: Final = "the operator has not looked at this spec yet"
_RESULTS: Final = (
    "jobStatus",
    "jobType",
    "progress",
    "volumeIds",
    "failure",
    "beginTime",
    "endTime",
    "duration",
    "estimatedCompletionTime",
)

StateWord = Literal["Pending", "InProgress", "ActionRequired", "Complete", "Failed", "Suspended"]


class JobView(TypedDict):
    """What there is to know of an EvsJob in one object; times are RFC 3339, `duration` is such as `31.1s`.

    `ended` is True for `Complete` and `Failed`. `reason` and `message` are those of the condition `Ready`, `jobId` is
    the one that the spec asks for, and what stands below it is the result for that job alone.
    """

    namespace: str
    name: str
    uid: str
    state: StateWord
    ended: bool
    reason: NotRequired[str]
    message: NotRequired[str]
    jobId: NotRequired[str]
    jobStatus: NotRequired[str]
    jobType: NotRequired[str]
    progress: NotRequired[str]
    volumeIds: NotRequired[list[str]]
    failure: NotRequired[Failure]
    beginTime: NotRequired[str]
    endTime: NotRequired[str]
    duration: NotRequired[str]
    estimatedCompletionTime: NotRequired[str]


def job_view(obj: Mapping[str, Any]) -> JobView:
    """Return the view of an EvsJob as the API server returned it; what is missing or malformed reads as absent."""
    metadata, spec = mapping(obj.get("metadata")), mapping(obj.get("spec"))
    job_id = _text(spec.get("jobId"))
    status = job_status(obj.get("status"))
    if not is_current(obj) or status.get("jobId", job_id) != job_id:
        word, facts = JobState.PENDING, {"reason": str(Reason.PENDING), "message": _NOT_SEEN}
        if reason(obj) == Reason.PENDING:  # the words that the CRD gives to a new object
            facts["message"] = message(obj)
        results: dict[str, object] = {}
    else:
        word, facts = state(obj), {"reason": reason(obj), "message": message(obj)}
        results = {field: status[field] for field in _RESULTS if status.get(field)}
    facts["jobId"] = job_id
    view = {
        "namespace": _text(metadata.get("namespace")),
        "name": _text(metadata.get("name")),
        "uid": _text(metadata.get("uid")),
        "state": word.value,
        "ended": word in (JobState.COMPLETE, JobState.FAILED),
    }
    shown = {field: text[:MOST_TEXT] for field, text in facts.items() if text}
    return cast(JobView, {**view, **shown, **results})


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
