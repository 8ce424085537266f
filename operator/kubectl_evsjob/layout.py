"""Lays cells out in columns, at most as wide as the terminal: the last column gives way first, then whole columns.

Used by the table of `get` and the tree of `wait`. On a pipe there is no width, and nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .look import Look
from .text import crop, pad, width

_GAP: Final = 3
_LEAST_LAST: Final = 12
_LEAST_FIRST: Final = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """A harmless text and its colour."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `give_way` says how early it is left out on a narrow terminal, 0 never, the highest first.

    It is left out if the last column would otherwise get less than `room`, or less than it needs.
    """

    title: str
    give_way: int = 0
    room: int = 16


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], look: Look, columns_of_terminal: int | None
) -> list[str]:
    """Return the rows as lines; the first column and those with give_way 0 are always there."""
    widths = [max((width(row[at].text) for row in rows), default=0) for at in range(len(columns))]
    kept = [at for at in range(len(columns)) if widths[at]]
    if columns_of_terminal is not None:
        kept = _fitting(columns, kept, widths, columns_of_terminal)
        widths = _narrowed(kept, widths, columns_of_terminal)
    return [_line([row[at] for at in kept], [widths[at] for at in kept], look, columns_of_terminal) for row in rows]


def _fitting(columns: Sequence[Column], kept: list[int], widths: list[int], room: int) -> list[int]:
    last = len(columns) - 1
    while optional := [at for at in kept if columns[at].give_way]:
        first = max(optional, key=lambda at: columns[at].give_way)
        needed = sum(min(widths[at], columns[first].room) if at == last else widths[at] for at in kept)
        if needed + _GAP * (len(kept) - 1) <= room:
            break
        kept = [at for at in kept if at != first]
    return kept


def _narrowed(kept: list[int], widths: list[int], room: int) -> list[int]:
    """Take what is too much from the last column, and then from the first."""
    widths = list(widths)
    for at, least in ((kept[-1], _LEAST_LAST), (kept[0], _LEAST_FIRST)) if kept else ():
        too_much = sum(widths[other] for other in kept) + _GAP * (len(kept) - 1) - room
        if too_much > 0:
            widths[at] = max(widths[at] - too_much, min(least, widths[at]))
    return widths


def _line(cells: Sequence[Cell], widths: Sequence[int], look: Look, room: int | None) -> str:
    line, used = "", 0
    for at, (cell, columns) in enumerate(zip(cells, widths, strict=True)):
        gap = _GAP if at else 0
        if room is not None and used + gap >= room:
            break
        columns = columns if room is None else min(columns, room - used - gap)
        text = cell.text if room is None else crop(cell.text, columns, look.ellipsis)
        padding = pad(text, columns)[len(text) :]
        line += " " * gap + look.paint(text, cell.colour) + padding
        used += gap + columns
    return line.rstrip()
