"""Writes conditions, of EvsJobs and of connections: the only place that does. Pure.

`decide()` calls `render` with the verdict on an EvsJob, `connection_status()` calls `conditions` with what it has found
out. What is added here is the generation, and `lastTransitionTime`, which moves only if the condition's status does.
What is deliberately not done: choosing what a condition says (`core.judge`, `core.connection_status`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import cast

from evs_operator.api.conditions import Condition, timestamp
from evs_operator.api.status import CONDITION_TYPES, EvsJobStatus

from .verdict import Claim, Verdict


def render(
    frame: EvsJobStatus, result: EvsJobStatus, verdict: Verdict, previous: EvsJobStatus, now: datetime
) -> EvsJobStatus:
    """Return the status of an EvsJob; `previous` dates the conditions whose status did not change.

    `frame` says what the status is about (generation, job, connection), `result` what is known of the job.
    """
    status = frame | result
    status["state"] = str(verdict.found.state)
    status["conditions"] = conditions(
        verdict.claims(), generation=frame["observedGeneration"], previous=previous.get("conditions", []), now=now
    )
    return status


def conditions(
    claims: Iterable[Claim], *, generation: int, previous: Sequence[Condition], now: datetime
) -> list[Condition]:
    """Return one condition per claim; a type without a claim, and a condition of somebody else, is left out."""
    before = {condition["type"]: condition for condition in reversed(previous)}  # of two with one type, the first
    made: list[Condition] = []
    moment = ""
    for kind, status, reason, message in claims:
        last = before.get(kind)
        if last is not None and last["status"] == status:
            since = last["lastTransitionTime"]
        else:
            since = moment = moment or timestamp(now)
        made.append(
            {
                "type": kind,
                "status": status,
                "reason": str(reason),
                "message": message,
                "lastTransitionTime": since,
                "observedGeneration": generation,
            }
        )
    return made


def for_generation(kept: Iterable[Condition], generation: int) -> list[Condition]:
    """Return our conditions as they are, except that they speak of that generation of the spec."""
    return [
        cast(Condition, {**condition, "observedGeneration": generation})
        for condition in kept
        if condition["type"] in CONDITION_TYPES
    ]
