"""Draws panels of the dashboard as SVG: what Grafana shows of the same data, near enough for a reader of the docs.

`__main__` hands in each panel with its series; out comes one picture. Only the forms that the dashboard uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from support.dashboard import Panel

_COLUMN, _ROW, _GAP = 50, 30, 8
_COLOURS: Final = ("#3274d9", "#56a64b", "#e0752d", "#8f3bb8", "#e02f44", "#19a5a5", "#b8860b", "#6b7280")
_MEANT: Final = {"succeeded": "#56a64b", "failed": "#e02f44", "stalled": "#e0752d", "unobserved": "#d8a200"}
_LEVELS: Final = {"green": "#37872d", "yellow": "#b8860b", "orange": "#e0752d", "red": "#c4162a"}
_TEXT, _DIM, _LINE = "#24292e", "#6b7280", "#e3e6ea"


@dataclass(frozen=True)
class Series:
    """One line of a panel: its label, and pairs of seconds and value; NaN where there is none."""

    label: str
    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> float:
        """The last value that there is."""
        return next((value for _, value in reversed(self.points) if not math.isnan(value)), math.nan)


_Span = tuple[float, float]
"""First and last second that the picture shows."""


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    w: float
    h: float


def draw(parts: Sequence[dict[str, Any]], data: dict[int, list[Series]]) -> str:
    """Return the picture of the dashboard's parts (rows and panels); `data` by id of the panel."""
    height = max(part["gridPos"]["y"] + part["gridPos"]["h"] for part in parts) * _ROW + _GAP
    times = [time for found in data.values() for one in found for time, _ in one.points]
    span = (min(times), max(times))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * _COLUMN} {height}" '
        'font-family="Inter, Helvetica, Arial, DejaVu Sans, sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="#f4f5f7"/>',
    ]
    for part in parts:
        at = part["gridPos"]
        box = _Box(at["x"] * _COLUMN + _GAP / 2, at["y"] * _ROW + _GAP, at["w"] * _COLUMN - _GAP, at["h"] * _ROW - _GAP)
        if part["type"] == "row":
            out.append(_text(box.x + 4, box.y + 14, part["title"], size=13, weight="bold"))
            continue
        panel = Panel(part)
        out.append(
            f'<rect x="{box.x}" y="{box.y}" width="{box.w}" height="{box.h}" rx="3" fill="#fff" stroke="{_LINE}"/>'
        )
        out.append(_text(box.x + 10, box.y + 17, panel.title, size=12, weight="600"))
        inner = _Box(box.x + 10, box.y + 26, box.w - 20, box.h - 34)
        out += _FORMS[panel.kind](panel, data[part["id"]], inner, span)
    return "\n".join([*out, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, *, size: int = 11, anchor: str = "start", **style: str) -> str:
    fill = style.pop("fill", _TEXT)
    weight = f' font-weight="{style["weight"]}"' if "weight" in style else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"{weight}>'
        f"{escape(text)}</text>"
    )


def _rect(box: _Box, style: str) -> str:
    return f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.w:.1f}" height="{box.h:.1f}" {style}/>'


def _shown(value: float, unit: str) -> str:
    if math.isnan(value):
        return "–"
    if unit == "s":
        return (
            f"{value * 1000:.0f} ms" if 0 < value < 1 else f"{value:.1f} s" if value < 60 else f"{value / 60:.1f} min"
        )
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    if unit == "percentunit":
        return f"{value * 100:.0f} %"
    number = f"{value:.0f}" if value == round(value) or value >= 100 else f"{value:.2g}"
    return number + {"reqps": "/s", "wps": "/s", "opm": "/min"}.get(unit, "")


def _colour(label: str, number: int) -> str:
    return _MEANT.get(label, _COLOURS[number % len(_COLOURS)])


def _stat(panel: Panel, series: Sequence[Series], box: _Box, span: _Span) -> list[str]:
    value = series[0].last if series else math.nan
    fill = "#3274d9"
    for step in panel.raw["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            fill = {"green": "#37872d", "yellow": "#b8860b", "orange": "#e0752d", "red": "#c4162a"}.get(
                step["color"], fill
            )
    shown = _shown(value, panel.unit)
    return [_text(box.x + box.w / 2, box.y + box.h * 0.72, shown, size=30, anchor="middle", fill=fill, weight="600")]


def _bars(panel: Panel, series: Sequence[Series], box: _Box, span: _Span) -> list[str]:
    most = max((one.last for one in series), default=1.0)
    out: list[str] = []
    height = min(26.0, box.h / max(len(series), 1))
    for number, one in enumerate(sorted(series, key=lambda one: -one.last)):
        y = box.y + number * height
        width = (box.w - 170) * one.last / most
        out.append(_text(box.x, y + height * 0.65, one.label))
        out.append(_rect(_Box(box.x + 120, y + 3, width, height - 7), f'fill="{_COLOURS[2]}"'))
        out.append(_text(box.x + 126 + width, y + height * 0.65, _shown(one.last, panel.unit), weight="600"))
    return out or [_text(box.x + box.w / 2, box.y + box.h / 2, "No data", anchor="middle", fill=_DIM)]


def _table(panel: Panel, series: Sequence[Series], box: _Box, span: _Span) -> list[str]:
    out = [_text(box.x, box.y + 12, "connection", fill=_DIM), _text(box.x + 170, box.y + 12, "reason", fill=_DIM)]
    for number, one in enumerate(series):
        connection, _, reason = one.label.partition("\t")
        y = box.y + 32 + 20 * number
        out.append(f'<line x1="{box.x}" x2="{box.x + box.w}" y1="{y - 14}" y2="{y - 14}" stroke="{_LINE}"/>')
        out += [_text(box.x, y, connection), _text(box.x + 170, y, reason)]
    return out


def _axes(box: _Box, start: float, end: float, top: float, unit: str) -> list[str]:
    out: list[str] = []
    for step in range(5):
        y = box.y + box.h - box.h * step / 4
        out.append(f'<line x1="{box.x}" x2="{box.x + box.w}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_LINE}"/>')
        if step % 2 == 0:
            out.append(_text(box.x - 6, y + 4, _shown(top * step / 4, unit), size=10, anchor="end", fill=_DIM))
    return out + _minutes(box, start, end)


def _minutes(box: _Box, start: float, end: float) -> list[str]:
    every = 60 * max(1, math.ceil((end - start) / 60 / 6))
    out: list[str] = []
    for number in range(int((end - start) / every) + 1):
        x = box.x + box.w * number * every / (end - start)
        out.append(_text(x, box.y + box.h + 13, f"{number * every // 60} min", size=10, anchor="middle", fill=_DIM))
    return out


def _lines(panel: Panel, series: Sequence[Series], box: _Box, span: _Span) -> list[str]:
    stacked = "stacking" in panel.raw["fieldConfig"]["defaults"].get("custom", {})
    legend = _legend(series, _Box(box.x, box.y + box.h - 8, box.w, 0))
    plot = _Box(box.x + 52, box.y + 4, box.w - 60, box.h - 40 - 14 * (len(legend) - 1))
    if not series:
        return [_text(box.x + box.w / 2, box.y + box.h / 2, "No data", anchor="middle", fill=_DIM)]
    start, end = span
    shapes, top = _stack(series) if stacked else _separate(series)
    out = _axes(plot, start, end, top, panel.unit)
    for number, (one, lower, upper) in enumerate(shapes):
        colour = _colour(one.label, number)

        def place(point: tuple[float, float]) -> str:
            x = plot.x + plot.w * (point[0] - start) / max(end - start, 1)
            return f"{x:.1f},{plot.y + plot.h - plot.h * min(point[1], top) / top:.1f}"

        for run in _runs(upper):
            line = " ".join(place(point) for point in run)
            if stacked:
                below = [(time, lower[time]) for time, _ in reversed(run)]
                area = line + " " + " ".join(place(point) for point in below)
                out.append(f'<polygon points="{area}" fill="{colour}" fill-opacity="0.55"/>')
            out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    return out + [part for line in legend for part in line]


_Shape = tuple[Series, dict[float, float], list[tuple[float, float]]]


def _stack(series: Sequence[Series]) -> tuple[list[_Shape], float]:
    reached: dict[float, float] = {}
    shapes: list[_Shape] = []
    for one in series:
        lower = {time: reached.get(time, 0.0) for time, _ in one.points}
        upper = [(time, lower[time] + (0.0 if math.isnan(value) else value)) for time, value in one.points]
        reached |= dict(upper)
        shapes.append((one, lower, upper))
    return shapes, _rounded(max(reached.values(), default=1.0))


def _separate(series: Sequence[Series]) -> tuple[list[_Shape], float]:
    every = [value for one in series for _, value in one.points if not math.isnan(value)]
    return [(one, {}, list(one.points)) for one in series], _rounded(max(every, default=1.0))


def _rounded(value: float) -> float:
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 4, 5, 8, 10) if step * unit >= value)


def _runs(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if math.isnan(point[1]):
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _legend(series: Sequence[Series], box: _Box) -> list[list[str]]:
    lines: list[list[str]] = [[]]
    x = box.x
    for number, one in enumerate(series):
        width = 22 + 6.1 * len(one.label)
        if x + width > box.x + box.w and lines[-1]:
            lines.append([])
            x = box.x
        at = len(lines) - 1
        lines[-1].append(f'<rect x="{x}" y="{{y{at}}}" width="10" height="3" fill="{_colour(one.label, number)}"/>')
        lines[-1].append(_text(x + 14, 0, one.label, size=10).replace('y="0.0"', f'y="{{t{at}}}"'))
        x += width
    count = len(lines)
    return [
        [
            part.replace(f"{{y{at}}}", f"{box.y - 14 * (count - 1 - at):.1f}").replace(
                f"{{t{at}}}", f"{box.y + 4 - 14 * (count - 1 - at):.1f}"
            )
            for part in line
        ]
        for at, line in enumerate(lines)
    ]


def _heat(panel: Panel, series: Sequence[Series], box: _Box, span: _Span) -> list[str]:
    bounds = sorted(series, key=lambda one: float(one.label))
    plot = _Box(box.x + 60, box.y + 4, box.w - 68, box.h - 22)
    times = [time for time, _ in bounds[0].points]
    width = plot.w * (times[1] - times[0]) / (span[1] - span[0])
    left = plot.x + plot.w * (times[0] - span[0]) / (span[1] - span[0])
    cells: list[tuple[int, int, float]] = []
    below = [0.0] * len(times)
    for row, one in enumerate(bounds):
        values = dict(one.points)
        for column, time in enumerate(times):
            value = values.get(time, math.nan)
            value = 0.0 if math.isnan(value) else value
            cells.append((row, column, max(value - below[column], 0.0)))
            below[column] = max(value, below[column])
    most = max((value for *_, value in cells), default=1.0) or 1.0
    height = plot.h / len(bounds)
    out: list[str] = []
    for row, column, value in cells:
        if value > 0.01:
            cell = _Box(left + column * width, plot.y + plot.h - (row + 1) * height, width - 0.6, height - 1)
            out.append(_rect(cell, f'fill="#d9480f" fill-opacity="{0.12 + 0.88 * math.sqrt(value / most):.2f}"'))
    for row, one in enumerate(bounds):
        bound = "more" if one.label == "+Inf" else "≤ " + _shown(float(one.label), "s")
        out.append(
            _text(plot.x - 6, plot.y + plot.h - row * height - height / 2 + 4, bound, size=10, anchor="end", fill=_DIM)
        )
    return out + _minutes(plot, *span)


_FORMS: Final[dict[str, Callable[[Panel, Sequence[Series], _Box, _Span], list[str]]]] = {
    "stat": _stat,
    "bargauge": _bars,
    "table": _table,
    "timeseries": _lines,
    "heatmap": _heat,
}
