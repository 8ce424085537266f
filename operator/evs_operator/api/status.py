"""Wire form of `EvsJob.status`, field by field as in `crds/` (docs/reference/evsjob.md#status)."""

from __future__ import annotations

from typing import Final, TypedDict

from .conditions import Condition


class SubJobStatus(TypedDict, total=False):
    """One entry of `status.subJobs`; the list's map key is `jobId`."""

    jobId: str
    jobType: str
    status: str
    beginTime: str
    endTime: str
    volumeId: str
    entities: dict[str, str]
    errorCode: str
    failReason: str


class SubJobCounts(TypedDict):
    """Counts over all sub-jobs, also those that `status.subJobs` omits."""

    total: int
    succeeded: int
    failed: int
    inProgress: int
    omitted: int


class Failure(TypedDict, total=False):
    """The failure that explains a failed job."""

    code: str
    message: str
    category: str
    hint: str
    jobId: str


class UsedConnection(TypedDict):
    """`status.connection`: the connection that was used or looked for."""

    kind: str
    name: str


class EvsJobStatus(TypedDict, total=False):
    """`EvsJob.status`."""

    observedGeneration: int
    state: str
    connection: UsedConnection
    jobId: str
    projectId: str
    jobStatus: str
    jobType: str
    beginTime: str
    endTime: str
    duration: str
    estimatedCompletionTime: str
    observationStartTime: str
    completionTime: str
    entities: dict[str, str]
    volumeIds: list[str]
    subJobs: list[SubJobStatus]
    subJobCounts: SubJobCounts
    progress: str
    errorCode: str
    failReason: str
    failure: Failure
    lastHandledReconcileAt: str
    conditions: list[Condition]


CONDITION_TYPES: Final = ("Ready", "Complete", "Failed", "Observed", "Reconciling", "Stalled", "Suspended")
"""Condition types that this operator owns; all others are somebody else's and survive."""
_PLAIN_FIELDS: Final = tuple(field for field in EvsJobStatus.__annotations__ if field != "conditions")
_OWN: Final = frozenset(CONDITION_TYPES)
_ABSENT: Final = object()


def same_status(one: EvsJobStatus, other: EvsJobStatus) -> bool:
    """Return whether two statuses say the same: foreign fields, foreign conditions and order of conditions aside."""
    if one is other:
        return True
    if any(one.get(field, _ABSENT) != other.get(field, _ABSENT) for field in _PLAIN_FIELDS):
        return False
    return _own_conditions(one) == _own_conditions(other)


def _own_conditions(status: EvsJobStatus) -> dict[str, Condition]:
    return {c["type"]: c for c in status.get("conditions", []) if c["type"] in _OWN}
