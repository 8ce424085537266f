"""`get`: a table of EvsJobs, or documents; `--watch` goes on with changes, see `watching`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from evs_operator import api
from evs_operator.api import JobState

from .documents import document, listed, resource_name
from .errors import NOT_FOUND
from .model import Row, row_of
from .selection import Selection, missing, name_of, where
from .session import Session
from .table import table
from .watching import watch_table

Object = dict[str, Any]


def get(session: Session, selection: Selection, states: Collection[JobState], *, watch: bool) -> int:
    """Print the EvsJobs of these states (none named: of all), and go on with their changes if `watch`."""
    objects = selection.read(session.kubectl)
    there = {name_of(obj) for obj in objects}
    absent = [name for name in selection.names if name not in there]
    for name in absent:
        session.say(f"error: {missing(session.kubectl, name).line}")
    if watch and not absent:
        return watch_table(session, selection, states, objects)
    chosen = [obj for obj in objects if not states or api.state(obj) in states]
    if not chosen and not absent:
        session.say(f"no EvsJobs found{where(session.kubectl)}")
    session.result(*_lines(session, chosen, single=len(selection.names) == 1))
    return NOT_FOUND if absent else 0


def _lines(session: Session, objects: Sequence[Object], *, single: bool) -> list[str]:
    if session.output in ("json", "yaml"):
        return [document(listed(objects, single=single), session.output)]
    if session.output == "name":
        return [resource_name(name_of(obj)) for obj in objects]
    return table(
        [_row(session, obj) for obj in objects],
        session.out_look,
        width=session.width,
        wide=session.output == "wide",
        namespaces=session.everywhere,
        headers=session.headers,
    )


def _row(session: Session, obj: Object) -> Row:
    return row_of(obj, datetime.now(UTC), session.out_look)
