"""How an EvsJob stands, kept of each one for metrics and logs: read from the conditions that were written.

Called by the store for every version of an EvsJob, and by who writes, counts or reports one. Kept also of a finished
EvsJob whose status is dropped, so the few values there are exist once. Here alone a `JobState` becomes the word that
metrics and logs have for it; they tell one more apart: a job in progress that cannot be seen.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evs_operator.api.reading import JobState, state_said
from evs_operator.api.reasons import Reason
from evs_operator.api.status import EvsJobStatus

_UNSEEN: Final = "unobserved"
_WORDS: Final[Mapping[JobState, str]] = {
    JobState.PENDING: "pending",
    JobState.IN_PROGRESS: "running",
    JobState.ACTION_REQUIRED: "stalled",
    JobState.SUSPENDED: "suspended",
    JobState.COMPLETE: "succeeded",
    JobState.FAILED: "failed",
}


@dataclass(frozen=True, slots=True, eq=False)
class Phase:
    """`job_state` is how the EvsJob stands, `state` its word in metrics and logs, `reason` that of `Ready`.

    Compared by identity: `phase_of` returns one object for equal phases, and counting 10,000 of them is quick.
    """

    job_state: JobState
    state: str
    reason: str


PENDING: Final = Phase(JobState.PENDING, _WORDS[JobState.PENDING], "")
"""Nothing was observed yet."""


def phase_of(status: EvsJobStatus) -> Phase:
    """Return the phase that a status shows; without conditions of ours nothing was observed yet."""
    reason, is_true = "", set()
    for condition in status.get("conditions", ()):
        kind = condition["type"]
        if kind == "Ready":
            reason = condition["reason"]
        if condition["status"] == "True":
            is_true.add(kind)
    state = state_said(reason, is_true)
    if state is JobState.PENDING:
        return PENDING
    return _kept(state, reason, state is not JobState.IN_PROGRESS or "Observed" in is_true)


@functools.lru_cache(maxsize=256)
def _kept(state: JobState, reason: str, seen: bool) -> Phase:
    return Phase(state, _WORDS[state] if seen else _UNSEEN, reason)


INVALID_SPEC: Final = _kept(JobState.ACTION_REQUIRED, str(Reason.INVALID_SPEC), True)
"""The spec cannot be read, also before the status says so."""
