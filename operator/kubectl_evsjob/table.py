"""The table of `get`: one line for each EvsJob, as wide as the terminal, or whole on a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .layout import Cell, Column, lay_out
from .look import Look
from .model import Row

_COLUMNS: Final = (
    Column("NAME"),
    Column("STATE"),
    Column("PROGRESS", 2),
    Column("DURATION", 3),
    Column("AGE", 4),
    Column("MESSAGE", 1),
)
_WIDE: Final = (
    Column("TYPE", 8, room=32),
    Column("JOB", 7, room=32),
    Column("CONNECTION", 6),
    Column("VOLUMES", 5),
)
_NAMESPACE: Final = Column("NAMESPACE")


def table(
    rows: Sequence[Row], look: Look, *, width: int | None, wide: bool, namespaces: bool, headers: bool
) -> list[str]:
    """Return the table as lines; nothing at all for no rows."""
    if not rows:
        return []
    columns = [*([_NAMESPACE] if namespaces else []), *_COLUMNS[:-1], *(_WIDE if wide else ()), _COLUMNS[-1]]
    cells = [_cells(row, look, columns) for row in rows]
    if headers:
        cells.insert(0, [Cell(column.title) for column in columns])
    return lay_out(columns, cells, look, width)


def _cells(row: Row, look: Look, columns: Sequence[Column]) -> list[Cell]:
    texts = {
        "NAMESPACE": row.namespace,
        "NAME": row.name,
        "STATE": row.state.value,
        "PROGRESS": row.progress,
        "DURATION": row.duration,
        "AGE": row.age,
        "TYPE": row.job_type,
        "JOB": row.job_id,
        "CONNECTION": row.connection,
        "VOLUMES": row.volumes,
        "MESSAGE": row.message,
    }
    colours = {"STATE": look.colour_of(row.state)}
    return [Cell(texts[column.title], colours.get(column.title, "")) for column in columns]
