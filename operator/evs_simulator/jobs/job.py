"""A job and what it is at a given time. Nothing runs: every state is worked out from the clock when asked.

`plans` makes jobs, `render` writes them as JSON. A job keeps its begin, the end of INIT and its end in simulated
seconds since 1970; `status` and the rest are functions of the time. `Jobs` finds them by id, as long as their
records are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from evs_simulator.wire import Answer

from .plans import Plan
from .variants import Variants

_FAILED = ("FAIL", "FAILED", "ERROR")


@dataclass(slots=True)
class Job:
    """One job or sub-job. `end` is infinite for one that never ends."""

    job_id: str
    project_id: str
    job_type: str
    begin: float
    init_end: float
    end: float
    final_status: str
    entities: Mapping[str, object]  # shown once INIT is over
    error_code: object = None  # shown once ended
    fail_reason: object = None
    sub_jobs: tuple[Job, ...] = ()
    script: tuple[tuple[float, str], ...] = ()  # (from when, status word), in the order of time
    variants: Variants = field(default_factory=Variants)
    raw: Answer | None = None  # served as it is instead of all this
    plan: Plan = field(default_factory=Plan)  # what it was made of, for changes
    ended_body: bytes | None = None  # written once: an ended job does not change

    @property
    def failed(self) -> bool:
        """Whether the job ends, or ended, as failed."""
        return self.final_status.upper() in _FAILED

    def status(self, now: float) -> str:
        """Return the status word at this time."""
        if now >= self.end:
            return self.final_status
        if self.script:
            word = self.script[0][1]
            for since, scripted in self.script:
                if since > now:
                    break
                word = scripted
            return word
        return "INIT" if now < self.init_end else "RUNNING"

    def has_ended(self, now: float) -> bool:
        """Whether the job is over at this time."""
        return now >= self.end

    def become(self, other: Job) -> None:
        """Take over everything of another job; sub-jobs one by one where there are as many."""
        sub_jobs = self.sub_jobs if len(self.sub_jobs) == len(other.sub_jobs) else other.sub_jobs
        for mine, theirs in zip(sub_jobs, other.sub_jobs, strict=True):
            if mine is not theirs:
                mine.become(theirs)
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))
        self.sub_jobs = sub_jobs

    def tree(self) -> Iterator[Job]:
        """Yield the job itself and everything below it."""
        yield self
        for sub_job in self.sub_jobs:
            yield from sub_job.tree()


class Jobs:
    """All jobs by id."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        """Keep a job, and its sub-jobs, which can be asked for by their own ids."""
        for member in job.tree():
            self._jobs[member.job_id] = member

    def find(self, job_id: str, now: float, retention: float) -> Job | None:
        """Return the job, or None where there is none, it vanished or ended `retention` seconds ago."""
        job = self._jobs.get(job_id)
        if job is None or now >= _gone_at(job, retention):
            return None
        return job

    def remove(self, job_id: str) -> bool:
        """Forget a job and its sub-jobs; say whether there was one."""
        job = self._jobs.get(job_id)
        if job is None:
            return False
        for member in job.tree():
            self._jobs.pop(member.job_id, None)
        return True

    def forget_bodies(self) -> None:
        """Let every body be written anew: a job that had ended was changed, and parents show their sub-jobs."""
        for job in self._jobs.values():
            job.ended_body = None

    def __len__(self) -> int:
        return len(self._jobs)


def _gone_at(job: Job, retention: float) -> float:
    vanishes = math.inf if job.variants.vanish_after is None else job.begin + job.variants.vanish_after
    return min(job.end + retention, vanishes)
