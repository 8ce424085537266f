"""Finds the failure that explains a failed job, and says it on one line.

The parent of a failed batch usually says nothing useful; the text is in its sub-jobs (evs-api 3.3). So the
deepest failed job that gives a code or a reason is taken, in API order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from evs_operator.api.status import Failure
from evs_operator.cloud.error_codes import explain
from evs_operator.cloud.job import Job, Outcome

from .text import bounded, masked, one_line

_TASK_PREFIX = re.compile(r"^\w*Task-fail:\s*")
_TEXT_KEYS = ("message", "error_msg", "msg")
_NO_REASON = "the API gave no reason"


def failure_of(job: Job, redact: Callable[[str], str]) -> Failure:
    """Build `status.failure` of a job that failed, or of which a sub-job failed."""
    culprit = _deepest_failed(job)
    reason = reason_text(culprit)
    explained = explain(culprit.error_code, reason)
    failure: Failure = {}
    if culprit.error_code:
        failure["code"] = masked(culprit.error_code, redact, 64)
    failure["message"] = one_line(masked(reason or explained.message or _NO_REASON, redact, 4096), 1024)
    failure["category"] = explained.category
    failure["hint"] = one_line(explained.hint, 512)
    if culprit.job_id:
        failure["jobId"] = masked(culprit.job_id, redact, 128)
    return failure


def summary(job: Job, failure: Failure, redact: Callable[[str], str]) -> str:
    """Say in one line what failed: `2 of 5 sub-jobs failed: EVS.1042 … (volume …)`."""
    subs = list(job.descendants())
    failed = sum(1 for sub in subs if sub.outcome is Outcome.FAILED)
    what = f"{failed} of {len(subs)} sub-jobs failed" if failed else f"{bounded(job.job_type or 'the job', 64)} failed"
    said = " ".join(part for part in (failure.get("code", ""), failure.get("message", "")) if part)
    volume = _deepest_failed(job).entities.get("volume_id")
    where = f" (volume {bounded(volume, 64)})" if volume else ""
    return one_line(redact(f"{what}: {bounded(said, 880)}{where}"), 1024)


def reason_text(job: Job) -> str:
    """Return the readable part of `fail_reason`: task prefix off, message taken out of JSON; "" where none."""
    reason = job.fail_reason or job.entities.get("errorcode_message") or ""
    reason = _TASK_PREFIX.sub("", reason.strip())
    if reason.startswith("{"):
        try:
            reason = _text_inside(json.loads(reason)) or reason
        except (ValueError, RecursionError):
            return reason
    return reason


def _text_inside(value: object, depth: int = 4) -> str | None:
    if not isinstance(value, dict) or depth == 0:
        return None
    for key in _TEXT_KEYS:
        if isinstance(value.get(key), str) and value[key]:
            return str(value[key])
    return next((text for inner in value.values() if (text := _text_inside(inner, depth - 1))), None)


def _deepest_failed(job: Job) -> Job:
    failed = [(depth, node) for depth, node in _levels(job) if node.outcome is Outcome.FAILED]
    telling = [(depth, node) for depth, node in failed if node.error_code or reason_text(node)]
    candidates = telling or failed
    if not candidates:
        return job
    deepest = max(depth for depth, _ in candidates)
    return next(node for depth, node in candidates if depth == deepest)


def _levels(job: Job, depth: int = 0) -> Iterator[tuple[int, Job]]:
    yield depth, job
    for sub in job.sub_jobs:
        yield from _levels(sub, depth + 1)
