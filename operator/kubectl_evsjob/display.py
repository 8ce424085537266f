"""Progress of a wait on stderr: a tree that is drawn over itself, one line for each change, or nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from evs_operator.api import JobState

from .durations import precise
from .model import Row
from .screen import Screen
from .session import Session
from .tree import tree


class Display(Protocol):
    """Shows how the EvsJobs stand; a context manager that leaves nothing on a terminal."""

    tick_seconds: float
    """How often it wants to show the same again, for durations that grow."""

    def show(self, rows: Sequence[Row]) -> None:
        """Show all of them as they are now."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""


def display_for(session: Session, *, quiet: bool) -> Display:
    """Return the display that suits stderr."""
    if quiet:
        return _Silence()
    return _LiveTree(session) if session.is_live else _Lines(session)


class _Silence:
    """Shows nothing."""

    tick_seconds = 60.0

    def show(self, rows: Sequence[Row]) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""


class _LiveTree(_Silence):
    """Draws the tree in place, and takes it away at the end: the result goes to stdout."""

    tick_seconds = 1.0

    def __init__(self, session: Session) -> None:
        self._look = session.err_look
        self._screen = Screen(session.err, session.environment)

    def show(self, rows: Sequence[Row]) -> None:
        """Draw over what was drawn before."""
        columns, lines = self._screen.size()
        self._screen.draw(tree(rows, self._look, width=columns, height=lines))

    def __enter__(self) -> Self:
        """Hide the cursor."""
        self._screen.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear, and show the cursor."""
        self._screen.clear()
        self._screen.__exit__(kind, error, trace)


class _Lines(_Silence):
    """Writes a line for each EvsJob that changed, and for each sub-job that failed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._began = time.monotonic()
        self._shown: dict[str, tuple[str, ...]] = {}
        self._failed: set[tuple[str, str]] = set()

    def show(self, rows: Sequence[Row]) -> None:
        """Write what changed."""
        for row in rows:
            told = (row.state, row.reason, row.progress)
            if self._shown.get(row.uid) == told:
                continue
            self._shown[row.uid] = told
            self._write(row, row.state.value, row.progress, row.message)
            for sub in row.sub_jobs:
                if sub.state is JobState.FAILED and (row.uid, sub.job_id) not in self._failed:
                    self._failed.add((row.uid, sub.job_id))
                    self._write(row, "sub-job", sub.job_id, sub.word, sub.message)

    def _write(self, row: Row, *words: str) -> None:
        since = precise(time.monotonic() - self._began)
        name = f"{row.namespace}/{row.name}" if self._session.everywhere else row.name
        self._session.say(" ".join(filter(None, (f"[{since:>7}]", name, *words))))
