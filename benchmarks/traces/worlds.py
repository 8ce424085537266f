"""The traces: what the cloud does, second by second, with nothing of the schedule in it.

Durations follow what is known of jobs of Elastic Volume Service; shares, spreads, tails and slow hours are
assumptions.  `Draw.speed`, `Draw.spread` and the mix are the knobs for worlds that the schedule was never
measured on.  Only `random()` of the generator is used: Python keeps its sequence stable, so that the sums in
`CHECKS` hold on every machine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

HOUR = 3600.0
SLOW = ((6 * HOUR, 7 * HOUR), (14 * HOUR, 15 * HOUR))
RESTARTS = (2.5 * HOUR, 5.25 * HOUR, 9.75 * HOUR, 14.5 * HOUR, 20 * HOUR)
GAP = 30.0
FASTER_FROM = 16 * HOUR
NEVER = math.inf

Mix = Sequence[tuple[str, float]]
MIX: Mix = (
    ("createVolume", 0.40),
    ("deleteVolume", 0.20),
    ("extendVolume", 0.12),
    ("batchCreateVolume", 0.10),
    ("bulkDeleteVolume", 0.04),
    ("createSnapshot", 0.08),
    ("retypeVolume", 0.05),
    ("other", 0.01),
)
SHORT = frozenset({"createVolume", "deleteVolume", "extendVolume", "batchCreateVolume", "bulkDeleteVolume"})
_NORMAL = NormalDist()


@dataclass(slots=True)
class TraceJob:
    """One job as the cloud has it; only polls may tell any of this to a schedule."""

    kind: str
    begin: float
    init_end: float
    end: float
    seen: float
    kids: list[float] = field(default_factory=list)

    @property
    def group(self) -> str:
        if self.kind in SHORT:
            return "short"
        return "snapshot" if self.kind == "createSnapshot" else "long"


@dataclass(frozen=True)
class Variant:
    """A world: all durations times `slower`, all log-normal spreads times `spread`, another mix."""

    slower: float = 1.0
    spread: float = 1.0
    mix: Mix = MIX
    seed_offset: int = 0


STANDARD = Variant()


class Draw:
    def __init__(self, seed: int, variant: Variant = STANDARD) -> None:
        self.u = random.Random(seed + variant.seed_offset).random
        self.variant = variant

    def exp(self, mean: float) -> float:
        return -mean * math.log(1 - self.u())

    def logn(self, median: float, sigma: float) -> float:
        sigma *= self.variant.spread
        normal = _NORMAL.inv_cdf(max(self.u(), 1e-12))
        return self.variant.slower * median * math.exp(sigma * normal)

    def pareto(self, xm: float, alpha: float, cap: float) -> float:
        return self.variant.slower * min(xm * math.pow(1 - self.u(), -1 / alpha), cap)

    def create(self, k: float | None = None) -> float:
        """Refused at once 2 %, blank 68 %, from an image 25 %, heavy tail 5 %."""
        k = self.u() if k is None else k
        if k < 0.02:
            return self.logn(0.4, 0.3)
        if k < 0.70:
            return self.logn(9, 0.18)
        return self.logn(26, 0.20) if k < 0.95 else self.pareto(30, 1.3, 3600)

    def delete(self) -> float:
        return self.logn(6, 0.20) if self.u() < 0.96 else self.pareto(10, 1.2, 1800)

    def extend(self) -> float:
        return self.logn(5, 0.15) if self.u() < 0.97 else self.pareto(8, 1.2, 1800)

    def snapshot(self) -> float:
        return self.logn(90, 0.5) if self.u() < 0.95 else self.pareto(300, 1.3, 7200)

    def retype(self) -> float:
        slower = self.variant.slower
        return min(max(self.logn(900, 1.0), 60 * slower), 21600 * slower)

    def work(self) -> tuple[str, float, list[float]]:
        """Return a type, its seconds of work and those of each sub-job."""
        u = self.u()
        for kind, share in self.variant.mix:  # noqa: B007 (the last kind takes what rounding leaves)
            if u < share:
                break
            u -= share
        if kind == "other":
            i = int(self.u() * 10)
            return f"other{i}", self.logn(3 * 1000 ** (i / 9), 0.5), []
        one = {
            "createVolume": self.create,
            "deleteVolume": self.delete,
            "extendVolume": self.extend,
            "createSnapshot": self.snapshot,
            "retypeVolume": self.retype,
        }
        if kind in one:
            return kind, one[kind](), []
        n = 2 + int(self.u() * 19)
        if kind == "bulkDeleteVolume":
            kids = [self.delete() for _ in range(n)]
        else:
            k = 0.3 if self.u() < 0.7 else 0.8
            kids = [self.create(k if self.u() < 0.98 else 0.97) for _ in range(n)]
        return kind, max(kids) + self.logn(6, 0.15), kids


@dataclass(slots=True)
class Drawn:
    job: TraceJob
    u: float
    v: float
    queue: float
    lost: bool
    work: float
    work_of_kids: list[float]


def _draws(n: int, hours: float, seed: int, variant: Variant) -> list[Drawn]:
    draw = Draw(seed, variant)
    t = 0.0
    drawn = []
    for _ in range(n):
        t += draw.exp(hours * HOUR / n)
        kind, work, kids = draw.work()
        u, v = draw.u(), draw.u()
        queue = draw.exp(20)
        lost = draw.u() < 0.001
        job = TraceJob(kind, t, t + min(1.0, work / 10), t + work, t + v, [t + kid for kid in kids])
        drawn.append(Drawn(job, u, v, queue, lost, work, kids))
    return drawn


def calm(n: int = 20_000, hours: float = 24.0, seed: int = 1, variant: Variant = STANDARD) -> list[TraceJob]:
    return [drawn.job for drawn in _draws(n, hours, seed, variant)]


def rough(n: int = 20_000, seed: int = 1, variant: Variant = STANDARD) -> list[TraceJob]:
    """Slow hours, a faster cloud from 16 h on, lost jobs, jobs seen late or after their end."""
    jobs = []
    for drawn in _draws(n, 24.0, seed, variant):
        job, work, kids = drawn.job, drawn.work, drawn.work_of_kids
        if job.begin >= FASTER_FROM and job.kind in {"createVolume", "batchCreateVolume"}:
            work, kids = 0.6 * work, [0.6 * kid for kid in kids]
        slow = any(since <= job.begin < until for since, until in SLOW)
        start = job.begin + drawn.queue if slow else job.begin
        job.init_end = start + min(1.0, work / 10)
        job.end = _finish(start, work)
        job.kids = [_finish(start, kid) for kid in kids]
        if drawn.lost:
            job.end, job.kids = NEVER, []
        elif drawn.u < 0.05:
            job.seen = job.end + 600 * drawn.v
        elif drawn.u < 0.15:
            job.seen = job.begin + drawn.v * (job.end - job.begin)
        jobs.append(job)
    return jobs


def _finish(start: float, work: float) -> float:
    """Return when `work` seconds of work are done: at a third of the speed in the slow hours."""
    at = start
    for since, until in SLOW:
        if at < since:
            if work <= since - at:
                return at + work
            work -= since - at
            at = since
        if since <= at < until:
            if 3 * work <= until - at:
                return at + 3 * work
            work -= (until - at) / 3
            at = until
    return at + work


def abrupt(n: int = 8_000, seed: int = 5, factor: float = 10.0, variant: Variant = STANDARD) -> list[TraceJob]:
    """Draw a calm world in which all jobs that begin in the second half take `factor` times as long."""
    jobs = calm(n, 24.0, seed, variant)
    for job in jobs:
        if job.begin >= 12 * HOUR:
            work = factor * (job.end - job.begin)
            job.init_end = job.begin + min(1.0, work / 10)
            job.end = job.begin + work
            job.kids = [job.begin + factor * (kid - job.begin) for kid in job.kids]
    return jobs


def crowd(n: int = 10_000, seed: int = 3, variant: Variant = STANDARD) -> list[TraceJob]:
    """All jobs begin at the same instant."""
    draw = Draw(seed, variant)
    jobs = []
    for _ in range(n):
        kind, work, kids = draw.work()
        jobs.append(TraceJob(kind, 0.0, min(1.0, work / 10), work, draw.u(), kids))
    return jobs


def burst(n: int, work: float, within: float, seed: int = 8) -> list[TraceJob]:
    """Equal jobs of one type that begin within so many seconds."""
    draw = Draw(seed)
    jobs = []
    for _ in range(n):
        t = within * draw.u()
        jobs.append(TraceJob("createVolume", t, t + min(1.0, work / 10), t + work, t + draw.u()))
    return jobs


def backlog(long: int, rate: float, seed: int = 4, variant: Variant = STANDARD) -> list[TraceJob]:
    """`long` retypes under way at time 0, then `rate` short jobs a second for an hour."""
    draw = Draw(seed, variant)
    jobs: list[TraceJob] = []
    while len(jobs) < long:
        work, age = draw.retype(), 7200 * draw.u()
        if work > age:
            jobs.append(TraceJob("retypeVolume", -age, -age + min(1.0, work / 10), work - age, -1.0))
    t = 0.0
    while t < HOUR:
        t += draw.exp(1 / rate)
        kind, work, kids = draw.work()
        while kind not in SHORT:
            kind, work, kids = draw.work()
        init_end = t + min(1.0, work / 10)
        jobs.append(TraceJob(kind, t, init_end, t + work, t + draw.u(), [t + kid for kid in kids]))
    return jobs


@dataclass(frozen=True)
class Check:
    jobs: int
    never: int
    sum_of_durations: float
    sum_of_waits: float
    sub_jobs: int


CHECKS: dict[str, Check] = {
    "calm": Check(20000, 0, 2119237.683, 10029.639, 30591),
    "rough": Check(20000, 25, 2349319.812, 558700.688, 30546),
    "crowd": Check(10000, 0, 1076939.094, 5015.016, 14698),
    "backlog 9500, 1.5": Check(14844, 0, 31665740.851, 14190810.688, 9280),
    "backlog 2000, 1": Check(5533, 0, 6576105.737, 2954066.219, 6454),
}


def measured(jobs: Sequence[TraceJob]) -> Check:
    """Return the sums of a trace, to be compared with `CHECKS`."""
    ending = [job for job in jobs if job.end < NEVER]
    return Check(
        len(jobs),
        len(jobs) - len(ending),
        round(sum(job.end - job.begin for job in ending), 3),
        round(sum(job.seen - job.begin for job in ending), 3),
        sum(len(job.kids) for job in ending),
    )
