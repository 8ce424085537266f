"""From the JSON of an admin call to a plan (`POST /_sim/jobs`, `PUT /_sim/jobs/{id}`).

Every field has a default; a field that does not exist or has a wrong value is a ValueError with one line about it.
A change names only what is different: `change_plan` lays it over the plan that the job was made of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from evs_simulator.options import Options
from evs_simulator.wire import JSON, Answer

from .plans import Plan
from .variants import read_variants

_BATCHES = {"batchCreateVolume": "createVolume", "bulkDeleteVolume": "deleteSingleVolume"}
_DEFAULT_VOLUME: Mapping[str, object] = {"name": "sim-volume", "size": 40, "volume_type": "SAS"}
_MOST_SUB_JOBS = 100_000
_DEEPEST = 8
FIELDS = frozenset(
    (
        "project_id",
        "job_id",
        "job_type",
        "begin_in",
        "start",
        "init",
        "duration",
        "never_ends",
        "final_status",
        "error_code",
        "fail_reason",
        "entities",
        "volume",
        "sub_jobs",
        "failing",
        "status_script",
        "variants",
        "body",
        "body_base64",
        "http_status",
        "headers",
    )
)

# Fields of the JSON that end up in a field of another name.
_PLAN_FIELDS = {"never_ends": "duration", "failing": "sub_jobs"} | dict.fromkeys(
    ("body", "body_base64", "http_status", "headers"), "raw"
)


def read_plan(spec: Mapping[str, object], depth: int = 0) -> Plan:
    """Read a job's JSON. Raises ValueError."""
    unknown = spec.keys() - FIELDS
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: no such field; there are {', '.join(sorted(FIELDS))}")
    if depth > _DEEPEST:
        raise ValueError(f"sub_jobs are nested deeper than {_DEEPEST}")
    options = Options(spec)
    job_type = options.text("job_type", "createVolume")
    entities, volume = spec.get("entities"), spec.get("volume", {})
    if not isinstance(volume, dict) or not (entities is None or isinstance(entities, dict)):
        raise ValueError("volume and entities are objects")
    return Plan(
        job_type=job_type,
        job_id=options.text("job_id", "") or None,
        start=_number(spec, "start"),
        init=_number(spec, "init"),
        duration=math.inf if spec.get("never_ends") is True else _number(spec, "duration"),
        final_status=options.text("final_status", "") or None,
        error_code=spec.get("error_code"),
        fail_reason=spec.get("fail_reason"),
        entities=entities,
        volume={**_DEFAULT_VOLUME, **volume},
        sub_jobs=_sub_jobs(spec, job_type, depth),
        status_script=_script(spec.get("status_script", [])),
        variants=read_variants(spec.get("variants")),
        raw=_raw(spec),
    )


def change_plan(plan: Plan, changes: Mapping[str, object]) -> Plan:
    """Return the plan with these changes to its JSON. Raises ValueError."""
    changed = read_plan({"job_type": plan.job_type, **changes})
    names = {_PLAN_FIELDS.get(name, name) for name in changes} - {"project_id", "begin_in", "job_id"}
    return replace(plan, **{name: getattr(changed, name) for name in names})


def begin_in(spec: Mapping[str, object]) -> float:
    """Return the seconds from now to the job's begin; negative for a job that began before."""
    return Options(spec).change("begin_in")


def _number(spec: Mapping[str, object], name: str) -> float | None:
    return Options(spec).number(name, 0.0) if spec.get(name) is not None else None


def _sub_jobs(spec: Mapping[str, object], job_type: str, depth: int) -> tuple[Plan, ...]:
    given = spec.get("sub_jobs", [])
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= _MOST_SUB_JOBS:
        given = [{} for _ in range(given)]
    failing = spec.get("failing", {})
    if not isinstance(given, list) or not isinstance(failing, dict):
        raise ValueError("sub_jobs is a list of jobs or their number, failing an object of number and error code")
    child_type = _BATCHES.get(job_type, "createVolume")
    plans = []
    for number, sub_job in enumerate(given, 1):
        if not isinstance(sub_job, dict):
            raise ValueError("a sub-job is not an object")
        code = failing.get(str(number))
        defaults = {"job_type": child_type, "volume": {"name": f"sim-volume-{number:04d}"}}
        plans.append(read_plan({**defaults, **({"error_code": code} if code else {}), **sub_job}, depth + 1))
    return tuple(plans)


def _script(given: object) -> tuple[str | tuple[float, str], ...]:
    if not isinstance(given, list):
        raise ValueError("status_script is not a list")
    steps: list[str | tuple[float, str]] = []
    for step in given:
        if isinstance(step, list) and len(step) == 2:
            step = {"at": step[0], "status": step[1]}
        if isinstance(step, dict) and step.keys() == {"at", "status"}:
            steps.append((Options(step).number("at", 0.0), Options(step).text("status", "")))
        elif isinstance(step, str):
            steps.append(step)
        else:
            raise ValueError("a step of status_script is neither a text nor {at, status} nor [at, status]")
    return tuple(steps)


def _raw(spec: Mapping[str, object]) -> Answer | None:
    if spec.get("body") is None and spec.get("body_base64") is None:
        if not spec.keys().isdisjoint(("http_status", "headers")):
            raise ValueError("http_status and headers need body or body_base64 beside them")
        return None
    options = Options(spec)
    return Answer(options.status(200), options.body(), {"Content-Type": JSON, **options.headers()})
