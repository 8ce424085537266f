"""Scripted faults: which requests they hit, and how often.

A fault is added through the admin API and stays until its count is used up, its time is over or it is removed. For
each request `server` asks `pick` for the first fault that applies; what the fault does is in `fault_kinds`. Matching
is by method, path, project and job; a fault may skip its first matches, hit with a probability, and be limited to a
window of simulated time.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from .wire import Request


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests: all that fit every given part; `path` is any part of the path."""

    method: str = ""
    path: str = ""
    project_id: str = ""
    job_id: str = ""

    def fits(self, request: Request) -> bool:
        """Whether the request is one of them."""
        if self.method and request.method != self.method.upper():
            return False
        parts = (self.path, self.project_id and f"/{self.project_id}/", self.job_id and f"/jobs/{self.job_id}")
        return all(part in request.path for part in parts)


@dataclass(slots=True)
class Fault:
    """One fault. `options` are those of its kind; `since` and `until` are simulated seconds since 1970."""

    fault_id: str
    kind: str
    match: Match
    options: Mapping[str, object] = field(default_factory=dict)
    skip: int = 0
    count: int | None = None
    probability: float = 1.0
    since: float = -math.inf
    until: float = math.inf
    hits: int = 0

    def as_json(self) -> dict[str, object]:
        """Return the fault as the admin API shows it."""
        return {"id": self.fault_id, "kind": self.kind, "hits": self.hits, "count": self.count, **self.options}


class Faults:
    """The faults in force, in the order in which they came."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._random = random.Random()

    def add(self, fault: Fault) -> None:
        """Put a fault behind those that are there."""
        self._faults.append(fault)

    def remove(self, fault_id: str | None) -> int:
        """Remove one fault, or all where no id is given; return how many there were."""
        kept = [] if fault_id is None else [fault for fault in self._faults if fault.fault_id != fault_id]
        removed = len(self._faults) - len(kept)
        self._faults = kept
        return removed

    def listed(self) -> list[Fault]:
        """Return all faults, also those used up."""
        return list(self._faults)

    def pick(self, request: Request, now: float) -> Fault | None:
        """Return the fault that hits this request, and count the hit; None for most requests."""
        for fault in self._faults:
            if fault.since <= now < fault.until and fault.match.fits(request) and self._hits(fault):
                fault.hits += 1
                return fault
        return None

    def _hits(self, fault: Fault) -> bool:
        if fault.count is not None and fault.hits >= fault.count:
            return False
        if fault.skip > 0:
            fault.skip -= 1
            return False
        return fault.probability >= 1.0 or self._random.random() < fault.probability
