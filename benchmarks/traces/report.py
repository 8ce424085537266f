"""Figures of a run: calls and latency, over all jobs and by group, and the tables of them in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.traces.replay import Result
from benchmarks.traces.worlds import NEVER, TraceJob

PRICE = 0.3
GROUPS = ("short", "snapshot", "long")


@dataclass(frozen=True)
class Figures:
    """Calls per job, and latency in seconds."""

    jobs: int
    calls: float
    mean: float
    p50: float
    p95: float
    p99: float

    @property
    def cost(self) -> float:
        return self.mean + PRICE * self.calls


@dataclass(frozen=True)
class Summary:
    name: str
    all: Figures
    groups: dict[str, Figures]
    lost_calls_per_hour: float | None


def figures(rows: Sequence[tuple[int, float]]) -> Figures:
    """Return the figures of (calls, latency) pairs."""
    latency = sorted(row[1] for row in rows)
    count = len(latency)

    def at(share: float) -> float:
        return latency[min(int(share * count), count - 1)]

    calls = sum(row[0] for row in rows) / count
    return Figures(count, calls, sum(latency) / count, at(0.5), at(0.95), at(0.99))


def rows_of(
    result: Result, since: float = -NEVER, until: float = NEVER, horizon: float = NEVER
) -> list[tuple[TraceJob, int, float]]:
    """Return the jobs that end in 0 to `horizon` and begin in `since` to `until`, with calls and latency."""
    return [
        (job, calls, latency)
        for job, calls, latency in zip(result.jobs, result.calls, result.latency, strict=True)
        if 0.0 < job.end < horizon and since <= job.begin < until
    ]


def summary(name: str, result: Result, horizon: float = NEVER) -> Summary:
    rows = rows_of(result, horizon=horizon)
    groups = {}
    for group in GROUPS:
        if members := [(calls, latency) for job, calls, latency in rows if job.group == group]:
            groups[group] = figures(members)
    lost = result.lost_calls / result.lost_hours if result.lost_hours else None
    return Summary(name, figures([row[1:] for row in rows]), groups, lost)


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    ruler = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, ruler, *lines)) + "\n"


def comparison(summaries: Sequence[Summary]) -> str:
    """Compare the first of the summaries with each of the others."""
    ours = summaries[0].all
    heads = ["schedule", "calls", "mean", "p50", "p95", "p99", "mean + 0.3 calls"]
    heads += [f"{group}: calls / mean / p95" for group in GROUPS]
    heads += ["ours to it: calls", "mean", "p95", "cost"]
    lines = []
    for item in summaries:
        it = item.all
        line = [item.name, f"{it.calls:.2f}"]
        line += [f"{value:.2f}" for value in (it.mean, it.p50, it.p95, it.p99, it.cost)]
        for group in GROUPS:
            part = item.groups.get(group)
            line.append(f"{part.calls:.1f} / {part.mean:.2f} / {part.p95:.1f}" if part else "")
        pairs = ((ours.calls, it.calls), (ours.mean, it.mean), (ours.p95, it.p95), (ours.cost, it.cost))
        lines.append(line + [f"{mine / other:.2f}x" for mine, other in pairs])
    return table(heads, lines)
