"""Rows as Markdown and as plots; the plots are SVG drawn by hand, so that no library is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.engine.scenarios import Row

_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("scenario", lambda row: row.scenario),
    ("operator", lambda row: row.operator),
    ("ended", lambda row: f"{row.ended}/{row.jobs}" if row.ended or row.wall else "-"),
    ("wall s", lambda row: _number(row.wall, 0)),
    ("CPU s", lambda row: _number(row.cpu, 1)),
    ("CPU ms/job", lambda row: _number(row.cpu_ms_per_job, 2)),
    ("status writes/job", lambda row: _per_job(row.status_writes, row)),
    ("other writes/job", lambda row: _per_job(row.other_writes, row)),
    ("polls/job", lambda row: _per_job(row.polls, row)),
    ("end to status p50 / p95 s", lambda row: _latency(row.latency)),
    ("ready s (CPU s)", lambda row: _ready(row)),
    ("idle CPU %", lambda row: "-" if row.idle is None else f"{100 * row.idle:.2f}"),
    ("RSS / peak MB", lambda row: "-" if row.rss is None or row.peak is None else f"{row.rss:.0f} / {row.peak:.0f}"),
)
_COLOURS = {"evs-operator": "#1f6feb", "naive timer": "#b35900", "naive daemon": "#8250df"}


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| " + " | ".join(name for name, _ in _COLUMNS) + " |"]
    lines.append("| --- | --- |" + " ---: |" * (len(_COLUMNS) - 2))
    lines += ["| " + " | ".join(show(row) for _, show in _COLUMNS) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _per_job(value: int | None, row: Row) -> str:
    return "-" if value is None or not row.ended else f"{value / row.ended:.2f}"


def _ready(row: Row) -> str:
    if row.ready is None:
        return "-"
    return f"{row.ready:.1f}" + (f" ({row.ready_cpu:.1f})" if row.ready_cpu is not None else "")


def _latency(latency: Sequence[float]) -> str:
    if not latency:
        return "-"
    ordered = sorted(latency)
    return f"{ordered[len(ordered) // 2]:.1f} / {ordered[int(len(ordered) * 0.95)]:.1f}"


def bars(path: Path, title: str, rows: Sequence[Row], value: Callable[[Row], float | None], unit: str) -> None:
    """Draw one bar for each row that has the value."""
    shown = [(row, found) for row in rows if (found := value(row)) is not None]
    if not shown:
        return
    most = max(found for _, found in shown)
    parts = []
    for index, (row, found) in enumerate(shown):
        y, width = 44 + 30 * index, max(1.0, 380 * found / most)
        colour = _COLOURS.get(row.operator, "#57606a")
        parts.append(f'<text x="250" y="{y + 14}" text-anchor="end">{row.operator}, {row.scenario}</text>')
        parts.append(f'<rect x="258" y="{y}" width="{width:.0f}" height="20" fill="{colour}"/>')
        parts.append(f'<text x="{264 + width:.0f}" y="{y + 14}">{found:.1f} {unit}</text>')
    _write(path, title, 740, 54 + 30 * len(shown), parts)


def columns(path: Path, title: str, values: Sequence[int], unit: str) -> None:
    """Draw one column for each second."""
    most = max([*values, 1])
    parts = []
    for second, value in enumerate(values):
        x, height = 50 + 20 * second, 150 * value / most
        parts.append(f'<rect x="{x}" y="{200 - height:.0f}" width="16" height="{height:.0f}" fill="#1f6feb"/>')
        if second % 5 == 0:
            parts.append(f'<text x="{x + 8}" y="216" text-anchor="middle">{second} s</text>')
    parts.append(f'<text x="44" y="58" text-anchor="end">{most}</text><text x="50" y="236">{unit}</text>')
    _write(path, title, 70 + 20 * len(values), 246, parts)


def _write(path: Path, title: str, width: int, height: int, parts: Sequence[str]) -> None:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        'font-family="sans-serif" font-size="13">'
    )
    background = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    heading = f'<text x="12" y="26" font-size="15" font-weight="bold">{title}</text>'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, background, heading, *parts, "</svg>", ""]), encoding="utf-8")
