"""`timeline`: what happened to an EvsJob in order: the job's own times, conditions that changed, Events.

Times are counted from the first thing that happened. Times of the cloud have its clock, all others that of the cluster;
where the two differ, the order of things a second apart may be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from evs_operator import api
from evs_operator.api.stored import mapping

from .documents import document, resource_name
from .durations import precise
from .happenings import Events, events_of
from .layout import Cell, Column, lay_out
from .look import DIM, Look
from .model import moment, reason_of, sub_state
from .selection import Selection, key_of, name_of
from .session import Session
from .text import harmless

Object = Mapping[str, Any]

_MOST_SUB_JOBS: Final = 20
_COLUMNS: Final = (Column("since"), Column("time", 1), Column("who"), Column("what"))


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened; `who` says it: the cloud, the operator, an Event, or the cluster."""

    at: datetime
    who: str
    what: str
    colour: str = ""


def timeline(session: Session, selection: Selection) -> int:
    """Print the timeline of each EvsJob that is selected."""
    objects = selection.found(session.kubectl)
    read = [(obj, events_of(session.kubectl, obj)) for obj in objects]
    if session.output in ("json", "yaml"):
        values = [_value(obj, events) for obj, events in read]
        session.result(document(values[0] if len(selection.names) == 1 else values, session.output))
        return 0
    if session.output == "name":
        session.result(*(resource_name(name_of(obj)) for obj in objects))
        return 0
    for at, (obj, events) in enumerate(read):
        if len(read) > 1:
            session.result(*([""] if at else []), session.out_look.plain(harmless(name_of(obj))))
        session.result(*_lines(happened(obj, events), session.out_look, session.width))
        if events.unread:
            session.say(f"without Events: {events.unread}")
    return 0


def happened(obj: Object, events: Events) -> list[Entry]:
    """Return what happened to an EvsJob, in order."""
    entries = [*_of_the_object(obj), *_of_the_cloud(obj), *_of_sub_jobs(obj), *_of_conditions(obj), *_of(events)]
    return sorted(entries, key=lambda entry: entry.at)


def _of_the_object(obj: Object) -> Iterator[Entry]:
    made = moment(mapping(obj.get("metadata")).get("creationTimestamp"))
    if made:
        yield Entry(made, "cluster", "the EvsJob was created")


def _of_the_cloud(obj: Object) -> Iterator[Entry]:
    status = mapping(obj.get("status"))
    job = str(status.get("jobType") or "the job")
    if begin := api.begin_time(obj):
        yield Entry(begin, "cloud", f"{job} began")
    if end := api.end_time(obj):
        took = f" after {status['duration']}" if status.get("duration") else ""
        yield Entry(end, "cloud", f"{job} ended{took}: {api.job_status(obj)}")
    if seen := moment(status.get("observationStartTime")):
        yield Entry(seen, "operator", "first asked for the job")
    if done := api.completion_time(obj):
        yield Entry(done, "operator", "first saw the job finished")


def _of_sub_jobs(obj: Object) -> Iterator[Entry]:
    """Yield the ends of the sub-jobs; of a large batch those of failed ones."""
    subs = api.sub_jobs(obj)
    for sub in subs:
        end, word = moment(sub.get("endTime")), sub.get("status", "")
        failed = sub_state(word) is api.JobState.FAILED
        if end is None or not (failed or len(subs) <= _MOST_SUB_JOBS):
            continue
        why = " ".join(filter(None, (sub.get("errorCode"), reason_of(sub.get("failReason", "")))))
        what = why or (f"volume {sub['volumeId']}" if sub.get("volumeId") else "")
        yield Entry(end, "cloud", f"sub-job {sub.get('jobId', '')} ended: {' '.join(filter(None, (word, what)))}")


def _of_conditions(obj: Object) -> Iterator[Entry]:
    """Yield the last change of each condition; those that changed at the same time to say the same are one entry.

    A condition that is False says that something has not happened: `Ready` and `Observed` are what became False.
    """
    conditions = mapping(obj.get("status")).get("conditions")
    together: dict[tuple[datetime, str], list[str]] = {}
    for condition in map(mapping, conditions if isinstance(conditions, list) else ()):
        at = moment(condition.get("lastTransitionTime"))
        told = condition.get("status") != "False" or condition.get("type") in ("Ready", "Observed")
        if at and at.year > 1970 and told:  # 1970 is the default of the CRD: nothing happened yet
            words = together.setdefault((at, str(condition.get("reason", ""))), [])
            words.append(f"{condition.get('type')}={condition.get('status')}")
    for (at, reason), words in together.items():
        yield Entry(at, "operator", f"{reason}: {', '.join(words)}")


def _of(events: Events) -> Iterator[Entry]:
    for event in events.known:
        colour = "33" if event.warning else ""
        yield Entry(event.first, "event", f"{event.reason}: {event.message}", colour)
        if event.count > 1:
            yield Entry(event.last, "event", f"{event.reason} for the {event.count}th time", colour)


def _lines(entries: list[Entry], look: Look, width: int | None) -> list[str]:
    if not entries:
        return []
    first = entries[0].at
    cells = [
        [
            Cell(f"+{precise((entry.at - first).total_seconds())}"),
            Cell(entry.at.strftime("%H:%M:%S"), DIM),
            Cell(entry.who, DIM),
            Cell(look.plain(harmless(entry.what)), entry.colour),
        ]
        for entry in entries
    ]
    return lay_out(_COLUMNS, cells, look, width)


def _value(obj: Object, events: Events) -> dict[str, Any]:
    entries = happened(obj, events)
    return {
        "namespace": key_of(obj)[0],
        "name": name_of(obj),
        "timeline": [
            {
                "time": entry.at.isoformat(),
                "secondsSinceStart": round((entry.at - entries[0].at).total_seconds(), 3),
                "who": entry.who,
                "what": entry.what,
            }
            for entry in entries
        ],
        "eventsUnread": events.unread,
    }
