"""The runs of the benchmark: each returns a piece of Markdown and keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.traces.replay import Result, Schedule, replay
from benchmarks.traces.report import Figures, Summary, comparison, figures, rows_of, summary, table
from benchmarks.traces.rivals import Backoff, Fixed, Ours, Proportional, Tiers
from benchmarks.traces.shortage import InOrder, MostUrgent, replay_short
from benchmarks.traces.truth import Oracle, true_laws
from benchmarks.traces.worlds import (
    CHECKS,
    HOUR,
    NEVER,
    RESTARTS,
    STANDARD,
    Mix,
    TraceJob,
    Variant,
    abrupt,
    backlog,
    burst,
    calm,
    crowd,
    measured,
    rough,
)

LONG_MIX: Mix = (
    ("createVolume", 0.20),
    ("deleteVolume", 0.10),
    ("extendVolume", 0.10),
    ("batchCreateVolume", 0.10),
    ("bulkDeleteVolume", 0.10),
    ("createSnapshot", 0.20),
    ("retypeVolume", 0.15),
    ("other", 0.05),
)
VARIANTS: dict[str, Variant] = {
    "as drawn": STANDARD,
    "three times slower": Variant(slower=3.0),
    "ten times slower": Variant(slower=10.0),
    "three times faster": Variant(slower=1 / 3),
    "spreads doubled": Variant(spread=2.0),
    "spreads halved": Variant(spread=0.5),
    "more long jobs": Variant(mix=LONG_MIX),
    "only create and delete": Variant(mix=(("createVolume", 0.7), ("deleteVolume", 0.3))),
}


def rivals() -> list[Schedule]:
    fixed: list[Schedule] = [Fixed(s) for s in (1, 2, 3, 5, 10, 15, 30, 60)]
    backoffs: list[Schedule] = [Backoff(factor, cap) for factor in (1.5, 2.0) for cap in (30, 60)]
    shares: list[Schedule] = [Proportional(share) for share in (0.1, 0.2, 0.3, 0.5)]
    return [*fixed, *backoffs, *shares, Tiers()]


def check() -> str:
    """Compare the traces with the published sums; a difference ends the benchmark."""
    drawn = {
        "calm": calm(),
        "rough": rough(),
        "crowd": crowd(),
        "backlog 9500, 1.5": backlog(9500, 1.5),
        "backlog 2000, 1": backlog(2000, 1),
    }
    for name, jobs in drawn.items():
        if measured(jobs) != CHECKS[name]:
            raise SystemExit(f"trace {name} is not the one published: {measured(jobs)}, not {CHECKS[name]}")
    return "The sums of all traces are as published.\n"


def day(name: str, jobs: Sequence[TraceJob], restarts: Sequence[float] = ()) -> str:
    """Compare all schedules over a day."""

    def run(schedule: Schedule, label: str = "") -> Summary:
        return summary(label or schedule.name, replay(jobs, schedule, restarts))

    summaries = [run(Ours())]
    if restarts:
        summaries.append(run(Ours(relearn=False), "ours, all forgotten at a restart"))
    summaries.append(run(Oracle(true_laws())))
    summaries += [run(schedule) for schedule in rivals()]
    lost = summaries[0].lost_calls_per_hour
    note = f"Jobs that never end: {lost:.0f} calls per job and hour.\n" if lost is not None else ""
    return f"## {name}\n\n{comparison(summaries)}\n{note}"


def prices(jobs: Sequence[TraceJob]) -> str:
    """Compare at equal calls and at equal latency, by the price alone and with a lower minimum."""
    lines = []
    for low in (2.0, 1.0):
        for price in (0.03, 0.05, 0.07, 0.088, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0):
            it = summary("", replay(jobs, Ours(price=price, low=low))).all
            lines.append([f"{price:g}", f"{low:g}", f"{it.calls:.2f}", f"{it.mean:.2f}", f"{it.p95:.1f}"])
    return "## calm, by price\n\n" + table(["price", "minimum", "calls", "mean", "p95"], lines)


def cold(traces: int) -> str:
    """Short traces with nothing learned before, by position in the trace."""
    parts = {"jobs 0-9": (0, 10), "jobs 10-29": (10, 30), "jobs 30-99": (30, 100), "all": (0, 100)}
    runs = [calm(100, 0.5, 1000 + i) for i in range(traces)]

    def costs(make: Callable[[], Schedule]) -> dict[str, Figures]:
        results = [replay(jobs, make()) for jobs in runs]
        return {
            part: figures([row for r in results for row in list(zip(r.calls, r.latency, strict=True))[low:high]])
            for part, (low, high) in parts.items()
        }

    ours, other = costs(Ours), costs(lambda: Proportional(0.1))
    lines = [
        [part, f"{it.calls:.2f}", f"{it.mean:.2f}", f"{it.cost:.2f}", f"{it.cost / other[part].cost:.2f}x"]
        for part, it in ours.items()
    ]
    heads = ["cold start", "calls", "mean", "cost", "to 0.1 of age"]
    return f"## cold, {traces} traces of 100 jobs\n\n" + table(heads, lines)


def bursts() -> str:
    """Equal jobs that begin together with nothing learned before, as many as one and as 300."""
    lines = []
    for shortest in (5.0, 20.0, 60.0, 300.0):
        works = [shortest * 1.6 ** (step / 12) for step in range(12)]
        for count, within, times in ((1, 0.0, 24), (300, 0.0, 1), (300, 15.0, 1)):
            runs = [replay(burst(count, work, within, seed), Ours()) for seed, work in enumerate(works * times)]
            it = figures([row for run in runs for row in zip(run.calls, run.latency, strict=True)])
            begun = f"{count}, within {within:g} s" if within else str(count)
            line = [f"{shortest:g} to {1.6 * shortest:g} s", begun]
            lines.append(line + [f"{value:.2f}" for value in (it.calls, it.mean, it.p95, it.cost)])
    heads = ["equal jobs of", "jobs", "calls", "mean", "p95", "cost"]
    return "## bursts of equal jobs, nothing learned\n\n" + table(heads, lines)


def hours(factors: Sequence[float]) -> str:
    """Compare with proportional polling hour by hour, and after an abrupt change of speed at 12 h.

    At once: the first ten and the first fifty jobs that begin after the change, when nothing can be learned yet.
    """

    def ratio(ours: Result, other: Result, since: float, until: float, first: int | None = None) -> float:
        mine, its = (
            figures([row[1:] for row in rows_of(result, since * HOUR, until * HOUR)][:first])
            for result in (ours, other)
        )
        return mine.cost / its.cost

    def both(jobs: Sequence[TraceJob], restarts: Sequence[float]) -> tuple[Result, Result]:
        return replay(jobs, Ours(), restarts), replay(jobs, Proportional(0.1), restarts)

    runs = both(rough(), RESTARTS)
    each = [ratio(*runs, hour, hour + 1) for hour in range(24)]
    slow = f"worst hour of rough {max(each):.2f}x; slow hours {each[6]:.2f}x and {each[14]:.2f}x"
    lines = []
    for factor in factors:
        for seed in (5, 6, 7):
            runs = both(abrupt(factor=factor, seed=seed), ())
            spans = ((12, 12.25), (12.25, 12.5), (12.5, 13), (12, 13), (13, 15), (15, 24))
            at_once = [f"{ratio(*runs, 12, 24, first):.2f}x" for first in (10, 50)]
            lines.append([f"{factor:.2g}", str(seed), *at_once, *(f"{ratio(*runs, *span):.2f}x" for span in spans)])
    heads = ["all durations times", "seed", "first 10 jobs", "first 50 jobs"]
    heads += ["first 15 min", "next 15 min", "next 30 min", "first hour", "next 2 h", "after"]
    return f"## change of speed, cost to that of 0.1 of age\n\n{slow}\n\n" + table(heads, lines)


def _warm() -> Ours:
    ours = Ours()
    replay(calm(4000, seed=77), ours)
    return ours


def short_budget(name: str, jobs: Sequence[TraceJob], known: int = 0) -> str:
    """Compare under 20 calls a second: ours by urgency, the others first in, first out."""
    horizon = HOUR if known else NEVER
    ours = _warm()
    summaries = [summary("ours", replay_short(jobs, ours, MostUrgent(ours), known), horizon)]
    summaries += [
        summary(f"{schedule.name}, in order", replay_short(jobs, schedule, InOrder(), known), horizon)
        for schedule in (Fixed(10), Fixed(2), Backoff(1.5, 60), Proportional(0.1))
    ]
    return f"## {name}, 20 calls a second\n\n{comparison(summaries)}"


def variants(seeds: Sequence[int], names: Sequence[str]) -> str:
    """Worlds that the schedule was not measured on, against the bound of each."""
    lines = []
    for name in names:
        variant = VARIANTS[name]
        laws = true_laws(variant)
        for seed in seeds:
            jobs = calm(10_000, seed=seed, variant=variant)
            ours, bound, age, ten = (
                summary("", replay(jobs, schedule)).all
                for schedule in (Ours(), Oracle(laws), Proportional(0.1), Fixed(10))
            )
            figures_of = [f"{ours.calls:.2f}", f"{ours.mean:.2f}", f"{ours.cost:.2f}"]
            ratios = [f"{ours.cost / other.cost:.3f}x" for other in (bound, age, ten)]
            lines.append([name, str(seed), *figures_of, *ratios])
    heads = ["world", "seed", "calls", "mean", "cost", "to the bound", "to 0.1 of age", "to fixed 10 s"]
    return "## other worlds\n\n" + table(heads, lines)
