"""One version of an EvsJob as a waiter needs it. Made of what a GET, a write or the watch brought. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evs_operator.api import JobView, job_view
from evs_operator.api.stored import mapping, newer_version


@dataclass(frozen=True, slots=True)
class Sighting:
    """`version` is the resourceVersion, `handled` the last request to reconcile that the operator acted upon."""

    version: str
    view: JobView
    handled: str

    @property
    def uid(self) -> str:
        """Which object it is, whatever its name."""
        return self.view["uid"]

    def newer_than(self, other: Sighting) -> bool:
        """Return whether this version of the same object came after the other."""
        return newer_version(self.version, other.version)


def sighting_of(obj: Mapping[str, object]) -> Sighting:
    """Return what there is to see of an EvsJob as the API server returned it."""
    metadata, status = mapping(obj.get("metadata")), mapping(obj.get("status"))
    handled = status.get("lastHandledReconcileAt")
    return Sighting(
        version=str(metadata.get("resourceVersion") or ""),
        view=job_view(obj),
        handled=handled if isinstance(handled, str) else "",
    )
