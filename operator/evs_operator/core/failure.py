"""Finds the failure that explains a failed job, and says it on one line with what to do about it.

What is quoted of the job is redacted before it becomes a part of our sentences: these are not searched, so that no
advice is lost where the cloud's text before it looks like a secret.

The parent of a failed batch usually says nothing useful; the text is in its sub-jobs
(docs/reference/jobs-api.md#sub-jobs). So the deepest failed job that gives a code or a reason is taken, in API order.
The other failed ones are counted, and named by code and volume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from evs_operator.api.status import Failure
from evs_operator.evs.error_codes import explain
from evs_operator.evs.job import Job, JobOutcome

from .reason_text import readable
from .text import bounded, masked, masked_id, one_line

Redact = Callable[[str], str]

_NO_REASON = "the API gave no reason"
_SAID = 256
"""Characters of the API's text in a condition's message; `status.failure.message` has more of it."""
_NAMED = 3
"""Volumes and codes that are named; the rest is counted."""


def failure_of(job: Job, redact: Redact) -> Failure:
    """Build `status.failure` of a job that failed, or of which a sub-job failed."""
    culprit = _deepest_failed(job)
    reason = reason_of(culprit)
    explained = explain(culprit.error_code, reason)
    failure: Failure = {}
    if culprit.error_code:
        failure["code"] = masked(culprit.error_code, redact, 64)
    said = masked(reason, redact, 4096) if reason else explained.message or _NO_REASON
    failure["message"] = one_line(said, 1024)
    failure["category"] = explained.category
    failure["hint"] = one_line(f"{_left_behind(job, redact)} {explained.hint}", 512)
    if culprit.job_id:
        failure["jobId"] = masked(culprit.job_id, redact, 128)
    return failure


def summary(job: Job, failure: Failure, redact: Redact) -> str:
    """Say in one line what failed: `2 of 5 sub-jobs failed: EVS.1042 … (volume …)`."""
    total, failed = 0, []
    for sub in job.descendants():
        total += 1
        if sub.outcome is JobOutcome.FAILED:
            failed.append(sub)
    what = f"{len(failed)} of {total} sub-jobs failed" if failed else f"{kind_of(job, redact, 64)} failed"
    said = " ".join(part for part in (failure.get("code", ""), failure.get("message", "")) if part)
    culprit = _deepest_failed(job)
    code = culprit.error_code or ""
    alike = [node for node in failed if (node.error_code or "") == code] or [culprit]
    others = dict.fromkeys(node.error_code for node in failed if node.error_code and node.error_code != code)
    also = f"; also {_some(others, redact)}" if others else ""
    return one_line(f"{what}: {bounded(said, _SAID)}{_volumes(alike, redact)}{also}", 1024)


def kind_of(job: Job, redact: Redact, limit: int) -> str:
    """Name a job by its type, redacted and at most `limit` characters long."""
    return masked(job.job_type, redact, limit) if job.job_type else "the job"


def reason_of(job: Job) -> str:
    """Return the readable part of why a job failed, "" where it does not say."""
    return readable(job.fail_reason or job.entities.get("errorcode_message") or "")


def _volumes(jobs: Iterable[Job], redact: Redact) -> str:
    """Name the volumes of jobs by id, or by the name that was ordered where no volume came to be."""
    names = dict.fromkeys(name for job in jobs if (name := job.entities.get("volume_id") or job.entities.get("name")))
    if not names:
        return ""
    return f" ({'volume' if len(names) == 1 else 'volumes'} {_some(names, redact)})"


def _some(names: Iterable[str], redact: Redact) -> str:
    listed = list(names)
    more = len(listed) - _NAMED
    named = ", ".join(masked_id(name, redact, 64) for name in listed[:_NAMED])
    return named + (f" and {more} more" if more > 0 else "")


def _left_behind(job: Job, redact: Redact) -> str:
    """Say what to do about the volumes of failed jobs: some are left in an error state.

    docs/reference/jobs-api.md#known-faults: they count against the quota until they are deleted.
    """
    failed = [node for node in (job, *job.descendants()) if node.outcome is JobOutcome.FAILED]
    volumes = dict.fromkeys(node.entities["volume_id"] for node in failed if "volume_id" in node.entities)
    if not volumes:
        return ""
    which = f"{'volume' if len(volumes) == 1 else 'volumes'} {_some(volumes, redact)}"
    kinds = {node.job_type.lower() for node in failed if "volume_id" in node.entities}
    if all("create" in kind for kind in kinds):
        return f"Delete {which}: what a failed creation leaves in an error state counts against the quota."
    if any("extend" in kind or "retype" in kind for kind in kinds):
        return f"Look at {which}, which may be in an error state such as error_extending; save the data first."
    if all("delete" in kind for kind in kinds):
        return f"Look at {which}, which may still be there, in the state error_deleting."
    return f"Look at the state of {which}."


def _deepest_failed(job: Job) -> Job:
    by_depth: dict[int, list[Job]] = {}
    for depth, node in _levels(job):
        if node.outcome is JobOutcome.FAILED:
            by_depth.setdefault(depth, []).append(node)
    deepest_first = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    # the first that tells ends the search: to make every reason of ten thousand readable takes a tenth of a second
    telling = (node for node in deepest_first if node.error_code or reason_of(node))
    return next(telling, None) or next(iter(deepest_first), job)


def _levels(job: Job, depth: int = 0) -> Iterator[tuple[int, Job]]:
    yield depth, job
    for sub in job.sub_jobs:
        yield from _levels(sub, depth + 1)
