"""The status of an EvsConnection or a ClusterEvsConnection, from what is known of its credential. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from evs_operator.api.conditions import Condition, ConditionStatus, condition_of, make_condition
from evs_operator.api.reasons import ConnectionReason

from .text import one_line

_READY: dict[ConnectionReason, ConditionStatus] = {
    ConnectionReason.CREDENTIALS_VALID: "True",
    ConnectionReason.NOT_YET_VERIFIED: "Unknown",
}
_HEALS_ITSELF = frozenset({ConnectionReason.NOT_YET_VERIFIED, ConnectionReason.UNREACHABLE})


class ConnectionStatus(TypedDict):
    """Wire form of a connection's status."""

    observedGeneration: int
    conditions: list[Condition]


def connection_status(
    reason: ConnectionReason,
    message: str,
    *,
    generation: int,
    previous: list[Condition],
    now: datetime,
    lasting: bool = False,
) -> ConnectionStatus:
    """Return the complete status for what was found out about a connection; `lasting`: it does not heal by itself."""
    ready = _READY.get(reason, "False")
    kinds: list[tuple[str, ConditionStatus]] = [("Ready", ready)]
    if reason in _HEALS_ITSELF and not lasting:
        kinds.append(("Reconciling", "True"))
    elif ready != "True":
        kinds.append(("Stalled", "True"))
    return {
        "observedGeneration": generation,
        "conditions": [
            make_condition(
                kind,
                status,
                str(reason),
                one_line(message, 1024),
                generation=generation,
                previous=condition_of(previous, kind),
                now=now,
            )
            for kind, status in kinds
        ],
    }
