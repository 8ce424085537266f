"""The status of an EvsConnection or a ClusterEvsConnection, from what is known of its credential. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, TypedDict

from evs_operator.api.conditions import Condition, ConditionStatus
from evs_operator.api.reasons import ConnectionReason

from .render import conditions
from .text import one_line
from .verdict import Claim

_READY: Final[Mapping[ConnectionReason, ConditionStatus]] = {
    ConnectionReason.CREDENTIALS_VALID: "True",
    ConnectionReason.NOT_YET_VERIFIED: "Unknown",
}
"""Status of `Ready`; False for any other reason."""
_HEALS_ITSELF: Final = frozenset({ConnectionReason.NOT_YET_VERIFIED, ConnectionReason.UNREACHABLE})


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
    claims = _claims(reason, one_line(message, 1024), lasting)
    return {
        "observedGeneration": generation,
        "conditions": conditions(claims, generation=generation, previous=previous, now=now),
    }


def _claims(reason: ConnectionReason, message: str, lasting: bool) -> Iterator[Claim]:
    """Yield what each condition says: they all say the same."""
    ready = _READY.get(reason, "False")
    yield "Ready", ready, reason, message
    if reason in _HEALS_ITSELF and not lasting:
        yield "Reconciling", "True", reason, message
    elif ready != "True":
        yield "Stalled", "True", reason, message
