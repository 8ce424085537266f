"""From a plan to the job: timelines with the defaults of each type.

`make_job` gives a plan ids, absolute times and default texts. The defaults are those of
docs/reference/jobs-api.md#what-the-simulator-assumes: INIT up to 1 s;
create 8 s, extend 5 s, delete 6 s, retype 120 s; sub-jobs start 0.2 s after the parent, which ends 6 s after the
last of them; a creation that fails before a volume exists takes 0.3 s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from evs_simulator.ids import Ids, volume_id

from .job import Job
from .plans import TERMINAL, Pace, Plan
from .reasons import is_late, odd, reason

_DURATIONS = {
    "createVolume": 8.0,
    "extendVolume": 5.0,
    "deleteVolume": 6.0,
    "deleteSingleVolume": 6.0,
    "retypeVolume": 120.0,
}
_OTHER_DURATION = 8.0
_EARLY_FAILURE = 0.3
_SUB_JOB_START = 0.2
_AFTER_SUB_JOBS = 6.0
_LONGEST_INIT = 1.0


def make_job(plan: Plan, project_id: str, begin: float, ids: Ids, pace: Pace) -> Job:
    """Make the job of a plan, with all its sub-jobs, as if it was submitted at `begin`."""
    begin += (plan.start or 0.0) / pace.speed
    job_id = plan.job_id or ids.job()
    starts = (begin + (0.0 if sub.start is not None else _SUB_JOB_START / pace.speed) for sub in plan.sub_jobs)
    subs = tuple(make_job(sub, project_id, start, ids, pace) for sub, start in zip(plan.sub_jobs, starts, strict=True))
    duration = _duration(plan, begin, subs, pace.speed)
    init = min(_LONGEST_INIT / pace.speed, duration / 8) if plan.init is None else plan.init / pace.speed
    code, text = _error(plan)
    return Job(
        job_id=job_id,
        project_id=project_id,
        job_type=plan.job_type,
        begin=begin,
        init_end=begin + init,
        end=begin + duration,
        final_status=_final_status(plan, subs),
        entities=_entities(plan, job_id, pace.modern),
        error_code=code,
        fail_reason=text,
        sub_jobs=subs,
        script=_script(plan, begin, init, duration, pace.speed),
        variants=plan.variants,
        raw=plan.raw,
        plan=plan,
    )


def _duration(plan: Plan, begin: float, subs: Sequence[Job], speed: float) -> float:
    if plan.duration is not None:
        return plan.duration / speed
    last = plan.status_script[-1] if plan.status_script else ""
    if isinstance(last, tuple) and last[1].upper() in TERMINAL:
        return last[0] / speed
    if subs:
        return max(sub.end for sub in subs) - begin + _AFTER_SUB_JOBS / speed
    if plan.fails and plan.job_type == "createVolume" and not is_late(plan.error_code):
        return _EARLY_FAILURE / speed
    return _DURATIONS.get(plan.job_type, _OTHER_DURATION) / speed


def _error(plan: Plan) -> tuple[object, object]:
    text = plan.fail_reason
    if text is None and plan.error_code is not None:
        text = reason(plan.error_code, plan.job_type)
    return plan.error_code, None if text is None else odd(plan.variants.reason, text, plan.variants.long_reason)


def _final_status(plan: Plan, subs: Sequence[Job]) -> str:
    if plan.final_status is not None:
        return plan.final_status
    last = plan.status_script[-1] if plan.status_script else ""
    word = last if isinstance(last, str) else last[1]
    if word.upper() in TERMINAL:
        return word
    failed = plan.fails or any(sub.failed for sub in subs)
    return "FAIL" if failed and not plan.variants.success_parent_failed_child else "SUCCESS"


def _entities(plan: Plan, job_id: str, modern: bool) -> Mapping[str, object]:
    if plan.entities is not None:
        return plan.entities
    if plan.sub_jobs:
        return {}
    if plan.fails and plan.job_type == "createVolume":
        return {"volume_id": plan.volume.get("volume_id", volume_id(job_id))} if is_late(plan.error_code) else {}
    names = ("name", "size", "volume_type") if modern else ()
    given = {name: plan.volume[name] for name in names if name in plan.volume}
    return {"volume_id": plan.volume.get("volume_id", volume_id(job_id)), **given}


def _script(plan: Plan, begin: float, init: float, duration: float, speed: float) -> tuple[tuple[float, str], ...]:
    if plan.variants.back_to_init and not plan.status_script and math.isfinite(duration):
        half = begin + duration / 2
        return ((begin, "INIT"), (begin + init, "RUNNING"), (half, "INIT"), (half + duration / 8, "RUNNING"))
    steps = plan.status_script
    if steps and isinstance(steps[-1], str) and steps[-1].upper() in TERMINAL:
        steps = steps[:-1]
    span = duration if math.isfinite(duration) else _OTHER_DURATION / speed
    timed = [
        (begin + span * index / len(steps), step) if isinstance(step, str) else (begin + step[0] / speed, step[1])
        for index, step in enumerate(steps)
    ]
    return tuple(sorted(timed, key=lambda entry: entry[0]))
