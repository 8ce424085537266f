"""`get --watch`: a table that is drawn over itself on a terminal; elsewhere a line, or a document, for each change.

It ends with Ctrl-C, and outlives streams that end and an API server that is away. An EvsJob that was deleted leaves the
table; on a pipe nothing is written for it, as there is no line that would say so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from evs_operator import api
from evs_operator.api import JobState

from .documents import document, one_line, resource_name
from .errors import KubectlError
from .look import is_terminal
from .model import Object, row_of
from .screen import Screen
from .selection import Key, Selection, key_of, name_of
from .session import Session
from .table import table
from .watch import Deleted, News, Seen, Snapshot, Trouble, Watch, redrawn_when_resized

_TICK_SECONDS: Final = 1.0
_INTERRUPTED: Final = 130


def watch_table(
    session: Session, selection: Selection, states: Collection[JobState], objects: Sequence[dict[str, Any]]
) -> int:
    """Show these EvsJobs and what becomes of them; returns at Ctrl-C."""
    board = _Board(selection, states)
    board.take(Snapshot(tuple(objects), 0.0))
    live = session.output in (None, "table", "wide") and is_terminal(session.out, session.environment)
    show = _redraw if live else _append
    try:
        with Watch(session.kubectl, selection.words, lambda: selection.read(session.kubectl)) as watch:
            show(session, board, watch)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


class _Board:
    """What is there, and which of it changed since it was last looked at."""

    def __init__(self, selection: Selection, states: Collection[JobState]) -> None:
        self._names = selection.names
        self._states = states
        self._there: dict[Key, tuple[Object, float]] = {}
        self._changed: dict[Key, None] = {}

    def take(self, news: News) -> KubectlError | None:
        """Take news in; return the error if that is what it is."""
        match news:
            case Seen(obj, at):
                self._put(obj, at)
            case Deleted(obj, _):
                self._there.pop(key_of(obj), None)
            case Snapshot(objects, since):
                self._replace(objects, since)
            case Trouble(error):
                return error
        return None

    def all(self) -> list[Object]:
        """Return those to show, by namespace and name."""
        return [
            obj for _, (obj, _) in sorted(self._there.items()) if not self._states or api.state(obj) in self._states
        ]

    def changed(self) -> Iterator[Object]:
        """Yield those to show that changed since this was last called."""
        keys, self._changed = list(self._changed), {}
        for key in keys:
            obj = self._there.get(key, ({}, 0.0))[0]
            if obj and (not self._states or api.state(obj) in self._states):
                yield obj

    def _replace(self, objects: Sequence[Object], since: float) -> None:
        there = {key_of(obj) for obj in objects}
        for key, (_, at) in list(self._there.items()):
            if key not in there and at <= since:
                del self._there[key]
        for obj in objects:
            self._put(obj, since)

    def _put(self, obj: Object, at: float) -> None:
        key = key_of(obj)
        before, seen = self._there.get(key, (None, at))
        if (self._names and key[1] not in self._names) or seen > at:
            return
        self._there[key] = obj, at
        if before != obj:
            self._changed[key] = None


def _redraw(session: Session, board: _Board, watch: Watch) -> None:
    complaint = ""
    with Screen(session.out, session.environment) as screen, redrawn_when_resized(watch):
        while True:
            columns, lines = screen.size()
            shown = _table(session, board.all(), width=columns, headers=session.headers) or ["no EvsJobs"]
            more = len(shown) - lines
            if more > 0:
                shown = [*shown[: lines - 1], f"{session.out_look.ellipsis} {more + 1} more"]
            screen.draw([*shown[: lines - bool(complaint)], *([complaint] if complaint else [])])
            news = watch.next(_TICK_SECONDS)
            while news is not None:
                error = board.take(news)
                complaint = session.out_look.plain(error.line)[:columns] if error else ""
                news = watch.next(0)


def _append(session: Session, board: _Board, watch: Watch) -> None:
    headers = session.headers
    said = set()
    while True:
        for obj in board.changed():
            session.result(*_form(session, obj, headers=headers))
            headers = False
        error = board.take(news) if (news := watch.next(60)) else None
        if error is not None and error.line not in said:
            said.add(error.line)
            session.say(f"{error.line}; trying again")


def _form(session: Session, obj: Object, *, headers: bool) -> list[str]:
    if session.output == "json":
        return [one_line(obj)]
    if session.output == "yaml":
        return ["---", document(obj, "yaml")]
    if session.output == "name":
        return [resource_name(name_of(obj))]
    return _table(session, [obj], width=session.width, headers=headers)


def _table(session: Session, objects: Sequence[Object], *, width: int | None, headers: bool) -> list[str]:
    rows = [row_of(obj, datetime.now(UTC), session.out_look) for obj in objects]
    wide = session.output == "wide"
    return table(rows, session.out_look, width=width, wide=wide, namespaces=session.everywhere, headers=headers)
