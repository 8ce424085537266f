"""What happened to an EvsJob, in words and as data, for a person who has not seen its YAML. Pure: nothing is read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from evs_operator import api
from evs_operator.api import JobState

from .advice import next_steps
from .durations import age
from .happenings import Connection, Event, Events
from .layout import Cell, Column, lay_out
from .look import Look
from .model import Row, count_of, row_of, sub_state
from .text import harmless

Object = Mapping[str, Any]

_LAST_EVENTS: Final = 5
_LEAST_WIDTH: Final = 30
_VERDICTS: Final = {
    JobState.PENDING: "has not been asked for yet",
    JobState.IN_PROGRESS: "is in progress",
    JobState.ACTION_REQUIRED: "needs a person; the job itself may go on",
    JobState.COMPLETE: "is complete",
    JobState.FAILED: "has failed",
    JobState.SUSPENDED: "is suspended: nobody asks, the job itself may go on",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """An EvsJob and what was read beside it, at the time `now`."""

    obj: Object
    connection: Connection
    events: Events
    now: datetime
    cluster: str = ""
    """What commands have at their end to reach the cluster."""

    def lines(self, look: Look, width: int | None) -> Iterator[str]:
        """Yield the explanation line by line."""
        row = row_of(self.obj, self.now, look)
        yield look.paint(f"{look.sign(row.state)} {row.name} {_VERDICTS[row.state]}", look.colour_of(row.state))
        yield from _paragraphs([api.job_view(self.obj).get("message", ""), self._job(row)], look, width)
        yield from _section("Why", self._why(), look, width)
        yield from self._failed(row, look, width)
        yield from _section("Connection", [f"{self.connection.name}: {self.connection.says}"], look, width)
        yield from _section("Last Events", self._last_events(), look, width)
        yield ""
        yield "Next"
        for what, command in next_steps(self.obj, self.cluster):
            yield from _paragraphs([f"{what}:" if command else what], look, width)
            if command:
                yield f"    {look.plain(harmless(command))}"

    def value(self) -> dict[str, Any]:
        """Return the explanation as data."""
        connection, events = self.connection, self.events
        metadata = self.obj.get("metadata", {})
        return {
            "namespace": metadata.get("namespace", ""),
            "name": metadata.get("name", ""),
            "state": api.state(self.obj).value,
            "reason": api.job_view(self.obj).get("reason", ""),
            "message": api.job_view(self.obj).get("message", ""),
            "failure": dict(api.failure(self.obj) or {}),
            "failedSubJobs": [dict(sub) for sub in api.sub_jobs(self.obj) if _is_failed(sub)],
            "connection": {"name": connection.name, "message": connection.says},
            "events": [event.value() for event in events.known],
            "eventsUnread": events.unread,
            "next": [{"what": what, "command": command} for what, command in next_steps(self.obj, self.cluster)],
        }

    def _job(self, row: Row) -> str:
        word = api.job_status(self.obj)
        after = f" after {row.duration}" if row.duration else ""
        known = (
            f"the cloud says {word}{after}" if word else "the cloud has said nothing yet",
            f"{row.progress} sub-jobs finished" if row.progress else "",
        )
        return f"{row.job_type or 'job'} {row.job_id}: {', '.join(filter(None, known))}"

    def _why(self) -> list[str]:
        failure = api.failure(self.obj)
        if not failure:
            return []
        what = " ".join(filter(None, (failure.get("code"), failure.get("message")))) or "the cloud gave no reason"
        category = failure.get("category")
        return [f"{what} ({category})" if category else what, failure.get("hint", "")]

    def _failed(self, row: Row, look: Look, width: int | None) -> Iterator[str]:
        volumes = {sub.get("jobId"): sub.get("volumeId") for sub in api.sub_jobs(self.obj)}
        cells = []
        for sub in row.sub_jobs:
            if sub.state is JobState.FAILED:
                of_it = look.plain(harmless(volumes.get(sub.job_id) or ""))
                volume = f"volume {of_it}" if of_it else "no volume"
                word = Cell(sub.word, look.colour_of(sub.state))
                cells.append(
                    [
                        Cell(f"  {sub.job_id}"),
                        word,
                        Cell(volume),
                        Cell(sub.message),
                    ]
                )
        if cells:
            yield ""
            yield f"Failed sub-jobs: {count_of(self.obj, 'failed')} of {count_of(self.obj, 'total')}"
            yield from lay_out(_SUB_JOB, cells, look, width)

    def _last_events(self) -> list[str]:
        if self.events.unread:
            return [f"not known: {self.events.unread}"]
        lines = [_in_words(event, self.now) for event in self.events.known[-_LAST_EVENTS:]]
        return lines or ["none: either nothing happened, or it was longer ago than the cluster keeps Events"]


_SUB_JOB: Final = (Column("job"), Column("status"), Column("volume", 1), Column("message"))


def _is_failed(sub: Object) -> bool:
    return sub_state(str(sub.get("status", ""))) is JobState.FAILED


def _in_words(event: Event, now: datetime) -> str:
    times = f", {event.count} times" if event.count > 1 else ""
    return f"{age((now - event.last).total_seconds())} ago{times}: {event.reason}: {event.message}"


def _section(title: str, texts: Iterable[str], look: Look, width: int | None) -> Iterator[str]:
    lines = list(_paragraphs(texts, look, width))
    if lines:
        yield ""
        yield title
        yield from lines


def _paragraphs(texts: Iterable[str], look: Look, width: int | None) -> Iterator[str]:
    """Yield texts indented, and broken into lines if there is a width."""
    for text in filter(None, texts):
        clean = look.plain(harmless(text))
        if width is None:
            yield f"  {clean}"
        else:
            lines = textwrap.wrap(clean, max(width, _LEAST_WIDTH) - 2, break_on_hyphens=False)
            yield from (f"  {line}" for line in lines)
