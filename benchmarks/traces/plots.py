"""`python -m benchmarks.traces.plots results.md DIRECTORY`: the two plots of docs/polling.md, as SVG.

The schedule is drawn from a law learned here, the comparison from the tables of a benchmark's results.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import log10
from pathlib import Path

from evs_operator.core.schedule.durations import Durations
from evs_operator.core.schedule.next_poll import PollHistory, next_poll

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 720, 400, 64, 34, 20, 52
_COLOURS = {"ours": "#0b6e4f", "others": "#8a5a00", "faint": "#8899aa"}

Point = tuple[float, float]


@dataclass
class Plot:
    """One chart; `x` and `y` are (lowest, highest, marks), logarithmic where `logarithmic` says so."""

    title: str
    x_name: str
    y_name: str
    x: tuple[float, float, Sequence[float]]
    y: tuple[float, float, Sequence[float]]
    logarithmic: tuple[bool, bool] = (False, False)
    parts: list[str] = field(default_factory=list)

    def at(self, point: Point) -> Point:
        return (
            _LEFT + self._share(point[0], self.x, self.logarithmic[0]) * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - self._share(point[1], self.y, self.logarithmic[1]) * (_HEIGHT - _TOP - _BOTTOM),
        )

    @staticmethod
    def _share(value: float, axis: tuple[float, float, Sequence[float]], logarithmic: bool) -> float:
        scale: Callable[[float], float] = log10 if logarithmic else float
        return (scale(value) - scale(axis[0])) / (scale(axis[1]) - scale(axis[0]))

    def line(self, points: Iterable[Point], colour: str, dashed: bool = False) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, points))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')

    def dot(self, point: Point, colour: str, name: str = "", above: bool = True) -> None:
        x, y = self.at(point)
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
        if name:
            self.text(x + 6, y - 6 if above else y + 14, name)

    def text(self, x: float, y: float, words: str, anchor: str = "start", turned: bool = False) -> None:
        turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{words}</text>')

    def render(self) -> str:
        frame = list(self.parts)
        self.parts = []
        low = (self.x[0], self.y[0])
        for mark in self.x[2]:
            (x, y), (_, top) = self.at((mark, low[1])), self.at((mark, self.y[1]))
            self.parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{top:.1f}" stroke="#dde3e8"/>')
            self.text(x, y + 17, f"{mark:g}", "middle")
        for mark in self.y[2]:
            (x, y), (right, _) = self.at((low[0], mark)), self.at((self.x[1], mark))
            self.parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}" stroke="#dde3e8"/>')
            self.text(x - 7, y + 4, f"{mark:g}", "end")
        self.text(_LEFT, 20, self.title)
        self.text((_WIDTH + _LEFT) / 2, _HEIGHT - 12, self.x_name, "middle")
        self.text(16, (_HEIGHT - _BOTTOM + _TOP) / 2, self.y_name, "middle", turned=True)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'font-family="sans-serif" font-size="12" fill="#223">\n<title>{self.title}</title>\n'
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n'
            + "\n".join([*self.parts, *frame])
            + "\n</svg>\n"
        )


def schedule() -> str:
    """Draw the delay over the age: nothing learned, and two peaks of ends learned (9 s and 26 s)."""
    draw, learned = random.Random(1), Durations()
    for _ in range(400):
        median, spread = (9.0, 0.18) if draw.random() < 0.72 else (26.0, 0.2)
        learned.learn("c", "createVolume", median * draw.lognormvariate(0.0, spread))
    plot = Plot(
        "Seconds until the next poll, by the age of a job at the last one",
        "age of the job at the last poll, s",
        "delay, s",
        (0.5, 600.0, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
        (0.0, 22.0, range(0, 21, 5)),
        (True, False),
    )
    ages = [0.5 * 1.03**step for step in range(240)]

    def delays(durations: Durations, low: float) -> list[Point]:
        return [(age, min(_delay(durations, age, low), 22.0)) for age in ages]

    plot.line([(age, 22.0 * min(d, 1.0)) for age, d in _density(learned, ages)], _COLOURS["faint"], dashed=True)
    plot.line(delays(Durations(), 0.01), _COLOURS["others"])
    plot.line(delays(learned, 2.0), _COLOURS["ours"])
    legend = (
        ("learned: 72 % of the jobs take 9 s, 28 % take 26 s", "ours"),
        ("nothing learned", "others"),
        ("where those jobs end", "faint"),
    )
    for row, (name, colour) in enumerate(legend):
        plot.parts.append(f'<rect x="80" y="{44 + 18 * row}" width="14" height="4" fill="{_COLOURS[colour]}"/>')
        plot.text(100, 51 + 18 * row, name)
    return plot.render()


def _delay(durations: Durations, age: float, low: float) -> float:
    """Return the mean delay over jitter."""
    keys = 24
    jobs = (
        PollHistory("c", "createVolume", 0.0, 0.0, age, min_interval=low, max_interval=60.0, jitter_key=str(key))
        for key in range(keys)
    )
    return sum(next_poll(job, durations, age) for job in jobs) / keys


def _density(durations: Durations, ages: Sequence[float]) -> list[Point]:
    law = durations.law("c", "createVolume")
    ends = [(age, law.survival(age) - law.survival(later)) for age, later in pairwise(ages)]
    return [(age, 4.0 * share) for age, share in ends]


def comparison(results: str) -> str:
    """Draw calls against mean latency on the calm trace, of every schedule and of ours by its price."""
    section = results.split("## calm\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in section.splitlines() if "|" in line][2:]
    plot = Plot(
        "Calls and latency on the calm trace: left and low is better",
        "calls per job",
        "mean latency, s",
        (3.0, 200.0, (3, 5, 10, 20, 50, 100, 200)),
        (0.4, 60.0, (0.5, 1, 2, 5, 10, 20, 50)),
        (True, True),
    )
    prices = results.split("## calm, by price\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| ([\d.]+) \| ([12]) \| ([\d.]+) \| ([\d.]+) \|", prices, re.MULTILINE)
    for low, dashed in (("2", False), ("1", True)):
        plot.line([(float(calls), float(mean)) for _, at, calls, mean in found if at == low], _COLOURS["ours"], dashed)
    for row in rows:
        name, calls, mean = row[0], float(row[1]), float(row[2])
        if name in ("ours", "true law known"):
            plot.dot((calls, mean), _COLOURS["ours"], "ours, price 0.3 s" if name == "ours" else "", above=False)
        else:
            plot.dot((calls, mean), _COLOURS["others"], name if name.startswith(("fixed", "tiers")) else "")
    x, y = plot.at((6.0, 0.62))
    plot.text(x - 90, y, "line: ours by price, minimum 2 s; dashed: minimum 1 s")
    plot.text(x - 90, y + 16, "unnamed: x1.5 and x2 backoff, shares of the age")
    return plot.render()


def main() -> None:
    results, directory = Path(sys.argv[1]).read_text(encoding="utf-8"), Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "poll-schedule.svg").write_text(schedule(), encoding="utf-8")
    (directory / "calls-and-latency.svg").write_text(comparison(results), encoding="utf-8")


if __name__ == "__main__":
    main()
