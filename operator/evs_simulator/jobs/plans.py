"""What a job shall be, before it is one.

A `Plan` says in seconds at normal speed what an admin call (`specs`) or a creation call (`creation`) wants; None
means the default of the job type. `making` turns it into a job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evs_simulator.wire import Answer

from .variants import Variants

TERMINAL = ("SUCCESS", "FAIL", "FAILED", "ERROR")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job shall be. All times in seconds at normal speed; None means the default."""

    job_type: str = "createVolume"
    job_id: str | None = None
    start: float | None = None  # after the parent's begin, or after now
    init: float | None = None
    duration: float | None = None  # math.inf: never ends
    final_status: str | None = None
    error_code: object = None
    fail_reason: object = None
    entities: Mapping[str, object] | None = None  # exactly these, instead of those of the type
    volume: Mapping[str, object] = field(default_factory=dict)  # volume_id, name, size, volume_type
    sub_jobs: tuple[Plan, ...] = ()
    status_script: Sequence[str | tuple[float, str]] = ()
    variants: Variants = field(default_factory=Variants)
    raw: Answer | None = None

    @property
    def fails(self) -> bool:
        """Whether the plan says by itself that the job fails."""
        if self.final_status is not None:
            return self.final_status.upper() in TERMINAL[1:]
        return self.error_code is not None or self.fail_reason is not None


@dataclass(frozen=True, slots=True)
class Pace:
    """How plans become jobs: jobs run `speed` times faster; `modern` entities name more than the volume id."""

    speed: float
    modern: bool
