"""Reads `EvsJob.spec`: an untrusted object as the API server stores it becomes a frozen value.

The CRD refuses what is wrong at admission. This reader checks again, since objects may be older than
the CRD that is installed now; what it refuses becomes the condition reason `InvalidSpec`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION
from .object_names import is_object_name

DEFAULT_MIN_INTERVAL: Final = 2
DEFAULT_MAX_INTERVAL: Final = 60
_MOST_SECONDS: Final = 2**53
"""More than any time; what is larger no float can tell apart."""
_JOB_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{7,63}")
_PROJECT_ID = re.compile(r"[0-9a-f]{32}")


class SpecError(ValueError):
    """A field of a spec cannot be used; the message names the field and says what to write."""


@dataclass(frozen=True, slots=True)
class ConnectionRef:
    """`spec.connectionRef`."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Polling:
    """Bounds of the poll interval, in seconds; equal values give a fixed interval."""

    min_interval: int = DEFAULT_MIN_INTERVAL
    max_interval: int = DEFAULT_MAX_INTERVAL


_ADAPTIVE: Final = Polling()


@dataclass(frozen=True, slots=True)
class EvsJobSpec:
    """`EvsJob.spec` with defaults filled in."""

    job_id: str
    project_id: str | None = None
    connection_ref: ConnectionRef | None = None
    polling: Polling = _ADAPTIVE
    deadline_seconds: int | None = None
    suspend: bool = False
    ttl_seconds_after_finished: int | None = None

    def target(self) -> tuple[str, str | None, ConnectionRef | None]:
        """Return what is observed: a change of it starts a new observation."""
        return (self.job_id, self.project_id, self.connection_ref)


def parse_spec(raw: object) -> EvsJobSpec:
    """Read a spec; raise SpecError naming the first field that cannot be used."""
    spec = as_mapping(raw, "spec")
    job_id = spec.get("jobId")
    if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
        raise SpecError("spec.jobId: write the job id of the EVS answer, 8 to 64 letters, digits or dashes")
    project_id = spec.get("projectId")
    if project_id is not None and not (isinstance(project_id, str) and _PROJECT_ID.fullmatch(project_id)):
        raise SpecError("spec.projectId: write the project's id, 32 lower-case hexadecimal digits")
    suspend = spec.get("suspend", False)
    if not isinstance(suspend, bool):
        raise SpecError("spec.suspend: write true or false")
    return EvsJobSpec(
        job_id=job_id,
        project_id=project_id,
        connection_ref=_connection_ref(spec.get("connectionRef")),
        polling=_polling(spec.get("polling")),
        deadline_seconds=_seconds(spec, "deadlineSeconds", "spec.", 1),
        suspend=suspend,
        ttl_seconds_after_finished=_seconds(spec, "ttlSecondsAfterFinished", "spec.", 0),
    )


def as_mapping(raw: object, field: str) -> Mapping[str, object]:
    """Return `raw` where it is an object; raise SpecError naming the field elsewhere."""
    if not isinstance(raw, Mapping):
        raise SpecError(f"{field}: write an object")
    return raw


def _connection_ref(raw: object) -> ConnectionRef | None:
    if raw is None:
        return None
    ref = as_mapping(raw, "spec.connectionRef")
    kind, name = ref.get("kind", EVS_CONNECTION), ref.get("name")
    if kind not in (EVS_CONNECTION, CLUSTER_EVS_CONNECTION):
        raise SpecError(f"spec.connectionRef.kind: write {EVS_CONNECTION} or {CLUSTER_EVS_CONNECTION}")
    if not isinstance(name, str) or not is_object_name(name):
        raise SpecError("spec.connectionRef.name: write the name of a connection")
    return ConnectionRef(kind=str(kind), name=name)


def _polling(raw: object) -> Polling:
    if raw is None:
        return _ADAPTIVE
    polling = as_mapping(raw, "spec.polling")
    low = _seconds(polling, "minIntervalSeconds", "spec.polling.", 1)
    high = _seconds(polling, "maxIntervalSeconds", "spec.polling.", 1)
    if low is not None and high is not None and low > high:
        raise SpecError("spec.polling: write minIntervalSeconds not above maxIntervalSeconds")
    if low is None:
        low = min(DEFAULT_MIN_INTERVAL, high or DEFAULT_MIN_INTERVAL)
    return Polling(low, high if high is not None else max(low, DEFAULT_MAX_INTERVAL))


def _seconds(raw: Mapping[str, object], field: str, prefix: str, least: int) -> int | None:
    value = raw.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST_SECONDS:
        raise SpecError(f"{prefix}{field}: write a whole number of seconds, at least {least}")
    return value
