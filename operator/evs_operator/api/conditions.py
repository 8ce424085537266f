"""Conditions as `metav1.Condition`, and the times that they hold, read and written. `core.render` makes conditions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, NotRequired, TypedDict

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(TypedDict):
    """Wire form of `metav1.Condition`."""

    type: str
    status: ConditionStatus
    reason: str
    message: str
    lastTransitionTime: str
    observedGeneration: NotRequired[int]


def condition_of(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """Return the condition of that type, None where there is none."""
    for condition in conditions:
        if condition["type"] == kind:
            return condition
    return None


def timestamp(moment: datetime) -> str:
    """Write a moment as Kubernetes writes `metav1.Time`: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_timestamp(text: str | None) -> datetime | None:
    """Read an RFC 3339 time of a status; None where there is none or it cannot be read."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
