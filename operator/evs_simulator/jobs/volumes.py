"""A volume and what it is at a given time, worked out from the jobs that act on it.

`calls` makes volumes and starts jobs on them. A volume that is being created does not exist while its job is in INIT
(the real service answers 404 then); one whose creation failed late stays behind in an error state, to be deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evs_simulator.clock import micros

from .job import Job

_DURING = {"extendVolume": "extending", "retypeVolume": "retyping", "deleteVolume": "deleting"}
_AFTER_FAILURE = {"extendVolume": "error_extending", "retypeVolume": "available", "deleteVolume": "error_deleting"}
DELETABLE = ("available", "error", "error_extending", "error_restoring", "error_rollbacking")


@dataclass(slots=True)
class Volume:
    """A volume; `operation` is the latest job on it, with the fields that its success changes."""

    volume_id: str
    project_id: str
    name: str
    size: int
    volume_type: str
    availability_zone: str
    metadata: Mapping[str, str]
    created_by: Job
    operation: Job | None = None
    changes: dict[str, int | str] = field(default_factory=dict)

    def status(self, now: float) -> str | None:
        """Return the volume's status at this time; None where it does not exist, or no more."""
        if self.operation is None:
            return _created(self.created_by, now)
        if not self.operation.has_ended(now):
            return _DURING[self.operation.job_type]
        if self.operation.failed:
            return _AFTER_FAILURE[self.operation.job_type]
        return None if self.operation.job_type == "deleteVolume" else "available"

    def settle(self, now: float) -> None:
        """Make the changes of an operation that succeeded the volume's own."""
        if self.operation is not None and self.operation.has_ended(now) and not self.operation.failed:
            self.size = int(self.changes.get("size", self.size))
            self.volume_type = str(self.changes.get("volume_type", self.volume_type))
            self.changes = {}

    def start(self, operation: Job, changes: dict[str, int | str]) -> None:
        """Put the volume under an operation that makes these changes if it succeeds."""
        self.operation, self.changes = operation, changes

    def as_json(self, now: float) -> dict[str, object]:
        """Return the volume as `GET` answers it."""
        self.settle(now)
        return {
            "id": self.volume_id,
            "name": self.name,
            "status": self.status(now),
            "size": self.size,
            "volume_type": self.volume_type,
            "availability_zone": self.availability_zone,
            "metadata": dict(self.metadata),
            "created_at": micros(self.created_by.begin).removesuffix("Z"),
            "attachments": [],
            "bootable": "false",
            "multiattach": False,
        }


def _created(job: Job, now: float) -> str | None:
    if now < job.init_end and not job.has_ended(now):
        return None
    if not job.has_ended(now):
        return "creating"
    if not job.failed:
        return "available"
    return "error" if job.entities else None
