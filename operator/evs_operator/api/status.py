"""Wire form of `EvsJob.status`, field by field as in `crds/` (design: one writer, no heartbeat)."""

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


class EvsJobStatus(TypedDict, total=False):
    """`EvsJob.status`."""

    observedGeneration: int
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


def same_status(one: EvsJobStatus, other: EvsJobStatus) -> bool:
    """Tell whether two statuses say the same: foreign fields, foreign conditions and order of conditions aside."""
    return _own(one) == _own(other)


def _own(status: EvsJobStatus) -> dict[str, object]:
    fields: dict[str, object] = {k: v for k, v in status.items() if k in EvsJobStatus.__annotations__}
    conditions = status.get("conditions", [])
    fields["conditions"] = {c["type"]: c for c in conditions if c["type"] in CONDITION_TYPES}
    return fields
