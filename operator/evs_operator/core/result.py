"""Turns a job as the API tells it into the result fields of the status: entities, sub-jobs, times, failure.

Everything is bounded: the whole object must stay under 256 KiB with 10,000 sub-jobs (docs/reference/evsjob.md#status).
Counts are over all sub-jobs; what does not fit is counted in `omitted`, succeeded ones first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from evs_operator.api.status import EvsJobStatus, SubJobStatus
from evs_operator.evs.job import MAX_ENTITIES, Job, JobOutcome

from .text import bounded, is_plain_id, masked, masked_id, stored_size

Redact = Callable[[str], str]

MAX_SUB_JOBS: Final = 100
MAX_VOLUME_IDS: Final = 500
_ENTITY_KEY, _ENTITY_VALUE, _WORD, _ID, _CODE, _REASON = 128, 256, 256, 128, 64, 1024
_LIST_BYTES = 144 * 1024
"""Bytes for entities, volume ids and sub-jobs; with managed fields and the user's own part below 256 KiB."""

_ORDER: Final = {JobOutcome.FAILED: 0, JobOutcome.IN_PROGRESS: 1, JobOutcome.SUCCEEDED: 2}


def result_fields(job: Job, redact: Redact) -> EvsJobStatus:
    """Return the fields of the status that speak of the job's own result, without conditions."""
    fields: EvsJobStatus = {"jobStatus": masked(job.status, redact, _WORD)}
    if job.job_type:
        fields["jobType"] = masked(job.job_type, redact, _WORD)
    if job.begin_time:
        fields["beginTime"] = api_time(job.begin_time)
    if job.end_time:
        fields["endTime"] = api_time(job.end_time)
    if job.begin_time and job.end_time and job.end_time >= job.begin_time:
        fields["duration"] = duration_text((job.end_time - job.begin_time).total_seconds())
    if job.error_code:  # what matters most comes first: what is too much to be looked through is left out
        fields["errorCode"] = masked(job.error_code, redact, _CODE)
    if job.fail_reason:
        fields["failReason"] = masked(job.fail_reason, redact, _REASON)
    if entities := _entities(job.entities, redact):
        fields["entities"] = entities
    subs = tuple(job.descendants())
    if volume_ids := _volume_ids(job, subs, redact):
        fields["volumeIds"] = volume_ids
    if subs:
        _add_sub_jobs(fields, subs, redact)
    return fields


def texts_of(job: Job) -> Iterator[str]:
    """Yield the texts that `result_fields` has redacted of the sub-jobs that are shown, and of no other."""
    subs = tuple(job.descendants())
    for index in _shown(subs):
        sub = subs[index]
        yield from (sub.job_id, sub.job_type, sub.status, sub.error_code or "", sub.fail_reason or "")
        for key, value in islice(sub.entities.items(), MAX_ENTITIES):
            yield key
            if not is_plain_id(value):
                yield value


def api_time(moment: datetime) -> str:
    """Write a time of the API as the API does: UTC, milliseconds (more digits only where it gave more)."""
    spec = "milliseconds" if moment.microsecond % 1000 == 0 else "microseconds"
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def duration_text(seconds: float) -> str:
    """Write a duration as Go does, with one decimal: `31.1s`, `1m5.0s`, `1h0m5.0s`."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest // 10}.{rest % 10}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _entities(entities: Mapping[str, str], redact: Redact) -> dict[str, str]:
    kept = islice(entities.items(), MAX_ENTITIES)
    return {masked(key, redact, _ENTITY_KEY): masked_id(value, redact, _ENTITY_VALUE) for key, value in kept}


def _volume_ids(job: Job, subs: tuple[Job, ...], redact: Redact) -> list[str]:
    found: dict[str, None] = {}
    for node in (job, *subs):
        if volume_id := node.entities.get("volume_id"):
            found[volume_id] = None
            if len(found) == MAX_VOLUME_IDS:
                break
    return list(dict.fromkeys(masked_id(volume_id, redact, _ID) for volume_id in found))


def _add_sub_jobs(fields: EvsJobStatus, subs: tuple[Job, ...], redact: Redact) -> None:
    counts = dict.fromkeys(JobOutcome, 0)
    for sub in subs:
        counts[sub.outcome] += 1
    used = stored_size([fields.get("entities"), fields.get("volumeIds")])
    kept = _kept(subs, redact, _LIST_BYTES - used)
    finished = counts[JobOutcome.SUCCEEDED] + counts[JobOutcome.FAILED]
    fields["subJobs"] = kept
    fields["subJobCounts"] = {
        "total": len(subs),
        "succeeded": counts[JobOutcome.SUCCEEDED],
        "failed": counts[JobOutcome.FAILED],
        "inProgress": counts[JobOutcome.IN_PROGRESS],
        "omitted": len(subs) - len(kept),
    }
    fields["progress"] = f"{finished}/{len(subs)}"


def _kept(subs: tuple[Job, ...], redact: Redact, room: int) -> list[SubJobStatus]:
    """Keep the first sub-jobs in the order failed, unfinished, succeeded, within number and bytes (`room`)."""
    kept: list[SubJobStatus] = []
    names: set[str] = set()
    for index in _shown(subs):
        entry = _sub_job(subs[index], redact)
        entry["jobId"] = _unique(entry.get("jobId", ""), index, names)
        room -= stored_size(entry) + 1
        if room < 0:
            break
        names.add(entry["jobId"])
        kept.append(entry)
    return kept


def _shown(subs: tuple[Job, ...]) -> list[int]:
    """Return the places of the sub-jobs that are shown where there is room: failed, unfinished, succeeded."""
    return sorted(range(len(subs)), key=lambda index: _ORDER[subs[index].outcome])[:MAX_SUB_JOBS]


def _sub_job(sub: Job, redact: Redact) -> SubJobStatus:
    entry: SubJobStatus = {"jobId": masked(sub.job_id, redact, _ID)}
    if sub.job_type:
        entry["jobType"] = masked(sub.job_type, redact, _WORD)
    if sub.status:
        entry["status"] = masked(sub.status, redact, _WORD)
    if sub.begin_time:
        entry["beginTime"] = api_time(sub.begin_time)
    if sub.end_time:
        entry["endTime"] = api_time(sub.end_time)
    if volume_id := sub.entities.get("volume_id"):
        entry["volumeId"] = masked_id(volume_id, redact, _ID)
    if entities := _entities(sub.entities, redact):
        entry["entities"] = entities
    if sub.error_code:
        entry["errorCode"] = masked(sub.error_code, redact, _CODE)
    if sub.fail_reason:
        entry["failReason"] = masked(sub.fail_reason, redact, _REASON)
    return entry


def _unique(job_id: str, index: int, taken: set[str]) -> str:
    """Name a sub-job by its id; by its place in the answer where the API gave none, or one twice."""
    if job_id and job_id not in taken:
        return job_id
    name = bounded(job_id, _ID - 16) + f"#{index + 1}"
    while name in taken:
        name += "#"
    return name
