"""A job as the JSON body that the job query answers with at a given time.

The one function `body` is on the hot path: an ended job is written once and kept. Order and form of the fields are
those of the documented examples; `Variants` bends them.
"""

from __future__ import annotations

from datetime import UTC, datetime

from evs_simulator.clock import millis
from evs_simulator.wire import encode

from .job import Job

_ERRORS = ("error_code", "fail_reason")


def body(job: Job, now: float) -> bytes:
    """Return the body for this job at this time."""
    if job.ended_body is not None and now >= job.end:
        return job.ended_body
    written = encode(_fields(job, now))
    if job.has_ended(now) and all(member.has_ended(now) for member in job.tree()):
        job.ended_body = written
    return written


def _fields(job: Job, now: float) -> dict[str, object]:
    ended = job.has_ended(now)
    odd = job.variants
    sub_jobs = [_fields(sub, now) for sub in job.sub_jobs if now >= sub.begin]
    fields: dict[str, object] = {"status": job.status(now)}
    if odd.entities != "absent":
        fields["entities"] = _entities(job, now, sub_jobs)
    fields["job_id"] = odd.answer_job_id or job.job_id
    fields["job_type"] = job.job_type
    _put_time(fields, "begin_time", job.begin, odd.time_style)
    _put_time(fields, "end_time", job.end if ended else None, odd.time_style)
    fields["error_code"] = job.error_code if ended else None
    fields["fail_reason"] = job.fail_reason if ended else None
    if odd.omit_null_errors:
        fields = {name: value for name, value in fields.items() if value is not None or name not in _ERRORS}
    if odd.sub_jobs == "top_level" and now >= job.init_end:
        fields["sub_jobs"] = sub_jobs
    return {**fields, **odd.extra_fields}


def _entities(job: Job, now: float, sub_jobs: list[dict[str, object]]) -> object:
    odd = job.variants
    if odd.entities:
        return None if odd.entities == "null" else []
    if now < job.init_end and not job.has_ended(now):
        return {}
    empty: dict[str, object] = {"null": None, "empty_string": "", "empty_list": []}
    if odd.sub_jobs in empty:
        return {**job.entities, "sub_jobs": empty[odd.sub_jobs]}
    if job.sub_jobs and not odd.sub_jobs:
        return {"sub_jobs": sub_jobs, **job.entities}
    return job.entities


def _put_time(fields: dict[str, object], name: str, seconds: float | None, style: str) -> None:
    if style == "absent" or (style == "null" and seconds is None):
        if style == "null":
            fields[name] = None
        return
    if seconds is None:
        fields[name] = ""
    elif style == "millis":
        fields[name] = millis(seconds)
    else:
        fields[name] = _odd_time(seconds, style)


def _odd_time(seconds: float, style: str) -> str | None:
    moment = datetime.fromtimestamp(seconds, UTC)
    forms = {
        "no_fraction": "%Y-%m-%dT%H:%M:%SZ",
        "blank": "%Y-%m-%d %H:%M:%S",
        "micros": "%Y-%m-%dT%H:%M:%S.%fZ",
        "no_zone": "%Y-%m-%dT%H:%M:%S.%f",
    }
    if style in forms:
        return moment.strftime(forms[style])
    return {"empty": "", "null": None}.get(style, "yesterday")
