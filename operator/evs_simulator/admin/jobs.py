"""Admin calls about jobs: make, change, show, remove."""

from __future__ import annotations

import math
from dataclasses import replace

from evs_simulator.clock import millis
from evs_simulator.jobs.job import Job
from evs_simulator.jobs.plans import Plan
from evs_simulator.jobs.render import body
from evs_simulator.jobs.specs import begin_in, change_plan, read_plan
from evs_simulator.world import DEMO_PROJECT

from .call import AdminCall

_MOST_COPIES = 100_000


def add_jobs(call: AdminCall) -> object:
    """Make a job, or `copies` of it."""
    spec = dict(call.given)
    copies = spec.pop("copies", 1)
    if not isinstance(copies, int) or not 1 <= copies <= _MOST_COPIES or (copies > 1 and "job_id" in spec):
        raise ValueError(f"copies is a number from 1 to {_MOST_COPIES}, and 1 where job_id is given")
    plan = read_plan(spec)
    project_id = call.options.text("project_id", DEMO_PROJECT)
    begin = call.now + begin_in(spec)
    job_ids = [call.world.submit(plan, project_id, begin).job_id for _ in range(copies)]
    return {"job_id": job_ids[0], "job_ids": job_ids}


def change_job(call: AdminCall) -> object:
    """Change a job; with `end_now` it ends at this moment."""
    job = _job(call)
    changes = dict(call.given)
    if changes.pop("end_now", False):
        changes["duration"] = max(0.0, call.now - job.begin) * call.world.settings.speed
    plan = _with_ids(change_plan(job.plan, changes), job)
    begin = call.now + begin_in(changes) if "begin_in" in changes else job.begin
    call.world.change(job, replace(plan, start=None), begin)
    return {"job_id": job.job_id}


def show_job(call: AdminCall) -> object:
    """Show a job as it is now, without counting as a request of a client."""
    job = _job(call)
    served = body(job, call.now) if job.raw is None else job.raw.body
    return {
        "job_id": job.job_id,
        "project_id": job.project_id,
        "status": job.status(call.now),
        "begin": millis(job.begin),
        "end": millis(job.end) if math.isfinite(job.end) else None,
        "body": served.decode("utf-8", "replace"),
    }


def remove_job(call: AdminCall) -> object:
    """Let a job vanish."""
    if not call.world.jobs.remove(call.which):
        raise LookupError(f"no job {call.which}")
    return {}


def _job(call: AdminCall) -> Job:
    job = call.world.jobs.find(call.which, call.now, math.inf)
    if job is None:
        raise LookupError(f"no job {call.which}")
    return job


def _with_ids(plan: Plan, job: Job) -> Plan:
    if len(plan.sub_jobs) != len(job.sub_jobs):
        return replace(plan, job_id=job.job_id)
    subs = (_with_ids(sub, made) for sub, made in zip(plan.sub_jobs, job.sub_jobs, strict=True))
    return replace(plan, job_id=job.job_id, sub_jobs=tuple(subs))
