"""Drive a schedule through a trace in virtual time: no HTTP, no sleeping, calls without limit.

A `View` is the operator's memory of a job, filled by polls only.  A `Schedule` gets views; it never sees a
`TraceJob`.  With a restart every view is lost but for what the status of the object holds: type, begin and,
for finished jobs, the end (which a schedule that learns may read again).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.traces.worlds import GAP, HOUR, NEVER, TraceJob

FOLLOWED = 6 * HOUR


@dataclass(slots=True)
class View:
    """What polls have told of one job since the operator started."""

    seen: float
    number: int
    kind: str = ""
    begin: float | None = None
    word: str = ""
    last: float | None = None
    previous: float | None = None
    init_seen: float | None = None
    sub_jobs: int = 0
    sub_jobs_open: int = 0
    last_sub_job_end: float | None = None
    end: float | None = None
    polls: int = 0

    def learn_of(self, job: TraceJob, now: float) -> None:
        """Take in the answer of a poll at `now`."""
        self.previous = self.last
        self.kind, self.begin, self.last = job.kind, job.begin, now
        self.polls += 1
        if now < job.init_end and now < job.end:
            self.word, self.init_seen = "INIT", now
        else:
            self.word = "RUNNING" if now < job.end else "SUCCESS"
        if job.kids:
            ended = [kid for kid in job.kids if kid <= now]
            self.sub_jobs = len(job.kids)
            self.sub_jobs_open = len(job.kids) - len(ended)
            self.last_sub_job_end = max(ended) if ended else None
        if now >= job.end:
            self.end = job.end

    def after_restart(self) -> View:
        """Return what the status of the object tells a new process."""
        return View(self.seen, self.number, self.kind, self.begin)


class Schedule(Protocol):
    """`delay` is asked after each poll that saw no end, `ended` is told each end."""

    @property
    def name(self) -> str: ...
    def delay(self, view: View) -> float: ...
    def ended(self, view: View) -> None: ...
    def restarted(self, finished: Sequence[View]) -> None: ...


@dataclass(slots=True)
class Result:
    """Calls and latency of each job that ended, and the calls of those that never do."""

    jobs: list[TraceJob]
    calls: list[int]
    latency: list[float]
    lost_calls: int = 0
    lost_hours: float = 0.0


@dataclass(slots=True)
class _Run:
    jobs: Sequence[TraceJob]
    schedule: Schedule
    views: list[View]
    result: Result
    heap: list[tuple[float, int]] = field(default_factory=list)
    finished: list[View] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    def fill(self, at: float) -> None:
        """(Re)start at `at`: what is known and unfinished is polled at once, the rest when first seen."""
        self.heap = [
            (max(job.seen, at), number)
            for number, job in enumerate(self.jobs)
            if self.views[number].end is None and not (at > job.begin + FOLLOWED and job.end == NEVER)
        ]
        heapq.heapify(self.heap)

    def poll(self, now: float, number: int) -> None:
        job, view = self.jobs[number], self.views[number]
        view.learn_of(job, now)
        self.result.calls[number] += 1
        if view.end is not None:
            since = max(job.end, job.seen)
            hidden = [gap + GAP for gap in self.gaps if gap <= job.end < gap + GAP or gap <= job.seen < gap + GAP]
            self.result.latency[number] = now - max([since, *hidden])
            self.finished.append(view)
            self.schedule.ended(view)
            return
        due = now + self.schedule.delay(view)
        if job.end < NEVER or due <= job.begin + FOLLOWED:
            heapq.heappush(self.heap, (due, number))


def replay(
    jobs: Sequence[TraceJob],
    schedule: Schedule,
    restarts: Sequence[float] = (),
    progress: Callable[[float], None] | None = None,
) -> Result:
    """Run the whole trace."""
    run = _Run(
        jobs,
        schedule,
        [View(job.seen, number) for number, job in enumerate(jobs)],
        Result(list(jobs), [0] * len(jobs), [0.0] * len(jobs)),
    )
    run.fill(-NEVER)
    for restart in (*restarts, NEVER):
        while run.heap and run.heap[0][0] < restart:
            now, number = heapq.heappop(run.heap)
            run.poll(now, number)
        if restart < NEVER:
            run.gaps.append(restart)
            run.views = [view if view.end is not None else view.after_restart() for view in run.views]
            schedule.restarted(sorted(run.finished, key=lambda view: view.end or 0.0))
            run.fill(restart + GAP)
    for number, job in enumerate(jobs):
        if job.end == NEVER:
            run.result.lost_calls += run.result.calls[number]
            run.result.lost_hours += (job.begin + FOLLOWED - job.seen) / HOUR
    return run.result
