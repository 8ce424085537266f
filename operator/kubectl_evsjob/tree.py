"""The tree of `wait`: each EvsJob with its sub-jobs below it, failed ones first, within the lines that there are.

A batch that has more sub-jobs than lines shows failed ones before unfinished ones before those that succeeded, and
counts the rest in its last line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from evs_operator.api import JobState

from .layout import Cell, Column, lay_out
from .look import DIM, Look
from .model import Row, SubRow
from .text import crop

_COLUMNS: Final = (
    Column("name"),
    Column("state", 1, room=12),
    Column("progress", 2),
    Column("type", 4, room=52),
    Column("duration", 3, room=24),
    Column("message"),
)
_FIRST: Final = (
    JobState.FAILED,
    JobState.ACTION_REQUIRED,
    JobState.IN_PROGRESS,
    JobState.PENDING,
    JobState.SUSPENDED,
    JobState.COMPLETE,
)
_MOST_OF_ID: Final = 12


def tree(rows: Sequence[Row], look: Look, *, width: int | None = None, height: int | None = None) -> list[str]:
    """Return the trees of the EvsJobs as lines, at most `height` of them if that is given."""
    shown, left_out = _within(rows, height)
    room = None if height is None else max((height - len(shown) - bool(left_out)) // max(len(shown), 1), 0)
    cells, tails = [], []
    for row in shown:
        cells.append(_job(row, look, namespaces=len({row.namespace for row in rows}) > 1))
        children, tail = _children(row, look, room)
        cells += children
        tails.append((len(cells), tail))
    lines = lay_out(_COLUMNS, cells, look, width)
    for at, tail in reversed(tails):
        if tail:
            lines.insert(at, _faint(look.branches[1] + tail, look, width))
    if left_out and (height is None or len(lines) < height):
        lines.append(_faint(_counted(Counter(row.state.value for row in left_out), "more", look), look, width))
    return lines


def _within(rows: Sequence[Row], height: int | None) -> tuple[list[Row], list[Row]]:
    if height is None or len(rows) <= height:
        return list(rows), []
    ordered = sorted(rows, key=lambda row: _FIRST.index(row.state))
    return ordered[: max(height - 1, 1)], ordered[max(height - 1, 1) :]


def _job(row: Row, look: Look, *, namespaces: bool) -> list[Cell]:
    name = f"{row.namespace}/{row.name}" if namespaces else row.name
    colour = look.colour_of(row.state)
    return [
        Cell(f"{look.sign(row.state)} {name}", colour),
        Cell(row.state.value, colour),
        Cell(row.progress),
        Cell(row.job_type),
        Cell(row.duration),
        Cell(row.message),
    ]


def _children(row: Row, look: Look, room: int | None) -> tuple[list[list[Cell]], str]:
    """Return the lines of the sub-jobs that there is room for, and what the line below them says of the others."""
    subs = row.sub_jobs
    if room is not None and len(subs) + bool(row.omitted) > room:
        subs = subs[: max(room - 1, 0)]
    hidden = Counter(sub.word for sub in row.sub_jobs[len(subs) :])
    if row.omitted:
        hidden["not in the status"] = row.omitted
    if room == 0 or not hidden:
        hidden = Counter()
    between, end = look.branches
    tail = _tail(subs)
    cells = []
    for at, sub in enumerate(subs):
        is_last = at == len(subs) - 1 and not hidden
        cells.append(_child(sub, end if is_last else between, look, tail))
    return cells, _counted(hidden, "more", look) if hidden else ""


def _child(sub: SubRow, branch: str, look: Look, tail: int) -> list[Cell]:
    colour = look.colour_of(sub.state)
    return [
        Cell(f"{branch}{look.sign(sub.state)} {_short(sub.job_id, look, tail)}", colour),
        Cell(sub.word, colour),
        Cell(""),
        Cell(sub.job_type),
        Cell(sub.duration),
        Cell(sub.message),
    ]


def _tail(subs: Sequence[SubRow]) -> int:
    """Return how many letters of the end of the ids tell these sub-jobs apart, at least four."""
    ids = {sub.job_id for sub in subs}
    return next((size for size in range(4, _MOST_OF_ID, 2) if len({each[-size:] for each in ids}) == len(ids)), 64)


def _short(job_id: str, look: Look, tail: int) -> str:
    return job_id if len(job_id) <= 4 + tail else f"{job_id[:4]}{look.ellipsis}{job_id[-tail:]}"


def _counted(counts: Counter[str], noun: str, look: Look) -> str:
    parts = ", ".join(f"{count} {word}" for word, count in counts.items())
    return f"{look.ellipsis} {sum(counts.values())} {noun}: {parts}"


def _faint(line: str, look: Look, width: int | None) -> str:
    return look.paint(line if width is None else crop(line, width, look.ellipsis), DIM)
