"""One word for how an EvsJob stands, for metrics and logs: read from the conditions that were written.

Kept of each EvsJob, also of a finished one whose status is dropped, so the few values there are exist once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

from evs_operator.api.conditions import condition_of
from evs_operator.api.status import EvsJobStatus


@dataclass(frozen=True, slots=True)
class Phase:
    """`state` is pending, running, unobserved, stalled, suspended, succeeded or failed; `reason` is that of Ready."""

    state: str = "pending"
    reason: str = ""


PENDING: Final = Phase()
"""Nothing was observed yet."""


def phase_of(status: EvsJobStatus) -> Phase:
    """Return the phase that a status tells; without conditions nothing was observed yet."""
    conditions = status.get("conditions", [])
    is_true = {c["type"] for c in conditions if c["status"] == "True"}
    ready = condition_of(conditions, "Ready")
    if ready is None:
        return PENDING
    if "Complete" in is_true:
        state = "succeeded"
    elif "Failed" in is_true:
        state = "failed"
    elif "Suspended" in is_true:
        state = "suspended"
    elif "Stalled" in is_true:
        state = "stalled"
    else:
        state = "running" if "Observed" in is_true else "unobserved"
    return _kept(state, ready["reason"])


@functools.lru_cache(maxsize=256)
def _kept(state: str, reason: str) -> Phase:
    return Phase(state, reason)
