"""Events and connections that are read beside an EvsJob; what may not be read is said, and ends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from evs_operator import api
from evs_operator.api.stored import mapping

from .errors import Cause, KubectlError
from .kubectl import Kubectl
from .model import moment
from .selection import key_of

Object = Mapping[str, Any]

_PLURALS: Final = {kind: f"{plural}.{api.GROUP}" for kind, plural in api.PLURALS.items()}


@dataclass(frozen=True, slots=True)
class Event:
    """An Event of Kubernetes; `last` differs from `first` if it happened several times."""

    first: datetime
    last: datetime
    count: int
    warning: bool
    reason: str
    message: str

    def value(self) -> dict[str, Any]:
        """Return it as data."""
        return {
            "firstTime": self.first.isoformat(),
            "lastTime": self.last.isoformat(),
            "count": self.count,
            "type": "Warning" if self.warning else "Normal",
            "reason": self.reason,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Events:
    """The Events of an EvsJob, oldest first, or why they are not known."""

    known: tuple[Event, ...] = ()
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection of an EvsJob: its kind and name, and how it stands or why that is not known."""

    name: str
    says: str


def events_of(kubectl: Kubectl, obj: Object) -> Events:
    """Read the Events of an EvsJob; those of a namesake before it are left out."""
    namespace, name = key_of(obj)
    uid = mapping(obj.get("metadata")).get("uid")
    which = f"involvedObject.kind=EvsJob,involvedObject.name={name}"
    try:
        found = kubectl.within(namespace).items("get", "events", "--field-selector", which)
    except KubectlError as error:
        return Events(unread=error.line)
    mine = [_event(item) for item in found if mapping(item.get("involvedObject")).get("uid") == uid]
    return Events(tuple(sorted((event for event in mine if event), key=lambda event: event.first)))


def connection_of(kubectl: Kubectl, obj: Object) -> Connection:
    """Read the connection that was used, or would be."""
    namespace, _ = key_of(obj)
    spec, status = mapping(obj.get("spec")), mapping(obj.get("status"))
    used = mapping(status.get("connection")) or mapping(spec.get("connectionRef"))
    kind, name = str(used.get("kind", api.EVS_CONNECTION)), str(used.get("name", "default"))
    shown = f"{kind} {name}"
    if kind not in _PLURALS:
        return Connection(shown, "its kind is not known here")
    scoped = kubectl.within(namespace) if kind == api.EVS_CONNECTION else kubectl
    try:
        return Connection(shown, _how_it_stands(scoped.object("get", _PLURALS[kind], name)))
    except KubectlError as error:
        return Connection(shown, "it does not exist" if error.cause is Cause.NOT_FOUND else f"not known: {error.line}")


def _how_it_stands(connection: Object) -> str:
    said = ": ".join(filter(None, (api.reason(connection), api.message(connection))))
    return f"{'ready' if api.is_ready(connection) else 'not ready'}{f', {said}' if said else ''}"


def _event(item: Object) -> Event | None:
    series = mapping(item.get("series"))
    times = (item.get("eventTime"), item.get("firstTimestamp"), mapping(item.get("metadata")).get("creationTimestamp"))
    first = next((found for time in times if (found := moment(time))), None)
    if first is None:
        return None
    last = moment(series.get("lastObservedTime")) or moment(item.get("lastTimestamp")) or first
    count = series.get("count") or item.get("count") or 1
    return Event(
        first=first,
        last=max(first, last),
        count=count if isinstance(count, int) else 1,
        warning=item.get("type") == "Warning",
        reason=str(item.get("reason") or ""),
        message=str(item.get("message") or ""),
    )
