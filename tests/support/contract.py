"""The table of states as readers of an EvsJob see it: what each of their tools has to say in each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from evs_operator.api.status import EvsJobStatus, same_status
from evs_operator.core.decide import decide
from evs_operator.core.observation import JobSeen
from evs_operator.evs.job import Job, JobOutcome

from . import states
from .crds import default_status
from .histories import T0, Step, subject
from .jobs import JOB_ID


@dataclass(frozen=True)
class Contract:
    """One row: the words of kstatus and of Argo CD, which `kubectl wait --for=condition=…` return, and batch/v1.

    `job` is how code that was written for a Job of `batch/v1` takes it: Complete, Failed, Suspended or active.
    """

    kstatus: str
    argo: str
    waits: frozenset[str]
    job: str


WAITS: Final = ("Complete", "Failed", "Ready", "Ready=False", "Stalled", "Reconciling", "Suspended")
_PROGRESS: Final = Contract("InProgress", "Progressing", frozenset({"Reconciling"}), "active")

CONTRACT: Final[Mapping[str, Contract]] = {
    states.CREATED: Contract("InProgress", "Progressing", frozenset(), "active"),
    states.NOT_ASKED: _PROGRESS,
    states.IN_PROGRESS: _PROGRESS,
    states.UNSEEN: _PROGRESS,
    states.ACTION_REQUIRED: Contract("Failed", "Degraded", frozenset({"Ready=False", "Stalled"}), "active"),
    states.SUCCEEDED: Contract("Current", "Healthy", frozenset({"Complete", "Ready"}), "Complete"),
    states.FAILED: Contract("Failed", "Degraded", frozenset({"Failed", "Ready=False", "Stalled"}), "Failed"),
    states.SUSPENDED: Contract("InProgress", "Suspended", frozenset({"Ready=False", "Suspended"}), "Suspended"),
    states.OUTDATED: Contract("InProgress", "Progressing", frozenset(), "active"),
}


def row_of(manifest: Mapping[str, Any], last_answer: Job | None) -> str:
    """Return the row that an object is in: by the job's own last answer where that ended it, else by its conditions."""
    status = manifest["status"]
    if status.get("observedGeneration") != manifest["metadata"]["generation"]:
        return states.OUTDATED
    if last_answer is not None and last_answer.outcome is not JobOutcome.IN_PROGRESS:
        parts = [last_answer, *last_answer.descendants()]
        return states.FAILED if any(part.outcome is JobOutcome.FAILED for part in parts) else states.SUCCEEDED
    true = {condition["type"] for condition in status["conditions"] if condition["status"] == "True"}
    if "Suspended" in true:
        return states.SUSPENDED
    return states.ACTION_REQUIRED if "Stalled" in true else states.IN_PROGRESS


def history(steps: list[Step]) -> list[tuple[dict[str, Any], str]]:
    """Return the EvsJob after each step of a history, with the row it is in then."""
    status: EvsJobStatus = {}
    now, generation = T0, 1
    answer: Job | None = None
    seen = []
    for step in steps:
        now += timedelta(seconds=step.seconds)
        generation += step.edited
        decided = decide(subject(step, generation), status, step.observation, now)
        if not same_status(decided, status):  # else nothing is written
            status = decided
        if isinstance(step.observation, JobSeen):
            answer = step.observation.job
        manifest = {
            "apiVersion": "evs-operator.dev/v1alpha1",
            "kind": "EvsJob",
            "metadata": {"name": "job", "namespace": "ns", "generation": generation},
            "spec": {"jobId": JOB_ID, "suspend": step.suspend},
            "status": dict(status) or default_status("EvsJob"),
        }
        seen.append((manifest, row_of(manifest, answer)))
    return seen
