"""One word for how an EvsJob stands, for metrics and logs: read from the conditions that were written.

Kept of each EvsJob, also of a finished one whose status is dropped, so the few values there are exist once.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from evs_operator.api.reasons import Reason
from evs_operator.api.status import EvsJobStatus


@dataclass(frozen=True, slots=True, eq=False)
class Phase:
    """`state` is pending, running, unobserved, stalled, suspended, succeeded or failed; `reason` is that of Ready.

    Compared by identity: `phase_of` returns one object for equal phases, and counting 10,000 of them is quick.
    """

    state: str = "pending"
    reason: str = ""


_DECISIVE: Final = (
    ("Complete", "succeeded"),
    ("Failed", "failed"),
    ("Suspended", "suspended"),
    ("Stalled", "stalled"),
    ("Observed", "running"),
)
"""The first of these conditions that is True says the state."""

PENDING: Final = Phase()
"""Nothing was observed yet."""


def phase_of(status: EvsJobStatus) -> Phase:
    """Return the phase that a status tells; without conditions of ours nothing was observed yet."""
    reason, is_true = "", set()
    for condition in status.get("conditions", ()):
        kind = condition["type"]
        if kind == "Ready":
            reason = condition["reason"]
        if condition["status"] == "True":
            is_true.add(kind)
    return PENDING if reason in ("", Reason.PENDING) else _kept(_state(is_true), reason)


def _state(is_true: Collection[str]) -> str:
    for kind, state in _DECISIVE:
        if kind in is_true:
            return state
    return "unobserved"


@functools.lru_cache(maxsize=256)
def _kept(state: str, reason: str) -> Phase:
    return Phase(state, reason)
