"""What the plugin shows of an EvsJob: read from the object once, as harmless text in the letters of the stream.

Called with the object as kubectl returned it, and with the time of this machine; what is missing reads as "". The
verdict is that of `evs_operator.api.state`, never of a word of the cloud.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from evs_operator import api
from evs_operator.api import JobState
from evs_operator.api.conditions import parse_timestamp
from evs_operator.api.stored import mapping

from .durations import age, precise
from .look import Look
from .text import harmless

Object = Mapping[str, Any]

_TASK: Final = re.compile(r"^\w+Task-fail: ?")
"""The cloud puts the step of its own that failed before the reason; `.status` and -o json have all of it."""
_BAD_WORDS: Final = frozenset(("fail", "failed", "error"))


@dataclass(frozen=True, slots=True)
class SubRow:
    """A sub-job."""

    job_id: str
    state: JobState
    word: str
    job_type: str
    duration: str
    message: str


@dataclass(frozen=True, slots=True)
class Row:
    """An EvsJob."""

    namespace: str
    name: str
    uid: str
    state: JobState
    progress: str
    job_type: str
    job_id: str
    connection: str
    volumes: str
    duration: str
    age: str
    reason: str
    message: str
    sub_jobs: tuple[SubRow, ...]
    omitted: int

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


def row_of(obj: Object, now: datetime, look: Look) -> Row:
    """Read an EvsJob; `now` is an aware time, by which ages and running durations are counted."""

    def clean(text: object) -> str:
        return look.plain(harmless(text)) if isinstance(text, str) else ""

    obj = of_its_job(obj)
    metadata, spec, status = (mapping(obj.get(part)) for part in ("metadata", "spec", "status"))
    state = api.state(obj)
    used = mapping(status.get("connection")) or mapping(spec.get("connectionRef"))
    made = moment(metadata.get("creationTimestamp"))
    return Row(
        namespace=clean(metadata.get("namespace")),
        name=clean(metadata.get("name")),
        uid=str(metadata.get("uid", "")),
        state=state,
        progress=clean(status.get("progress")),
        job_type=clean(status.get("jobType")),
        job_id=clean(spec.get("jobId")),
        connection=("cluster/" if used.get("kind") == api.CLUSTER_EVS_CONNECTION else "") + clean(used.get("name")),
        volumes=" ".join(map(clean, api.volume_ids(obj))),
        duration=clean(_duration(obj, status, state, now)),
        age=age((now - made).total_seconds()) if made else "",
        reason=clean(api.job_view(obj).get("reason")),
        message=clean(_message(obj, status, state)),
        sub_jobs=tuple(_sub_row(sub, now, clean) for sub in api.sub_jobs(obj)),
        omitted=_count(status, "omitted"),
    )


def of_its_job(obj: Object) -> Object:
    """Return an EvsJob as it is; without a status that is still about another job than the spec asks for."""
    found = mapping(obj.get("status")).get("jobId")
    return obj if found in (None, mapping(obj.get("spec")).get("jobId")) else {**obj, "status": {}}


def moment(text: object) -> datetime | None:
    """Return the time that an RFC 3339 text names; None for anything else."""
    return parse_timestamp(text) if isinstance(text, str) else None


def reason_of(fail_reason: str) -> str:
    """Return why a sub-job failed, without the step of the cloud's own that failed."""
    return _TASK.sub("", fail_reason)


def count_of(obj: Object, name: str) -> int:
    """Return a number of `.status.subJobCounts`, 0 if it is not there."""
    return _count(mapping(obj.get("status")), name)


def sub_state(word: str) -> JobState:
    """Return the state of a sub-job by the word of the cloud; a word that is not known is in progress."""
    if word.lower() in _BAD_WORDS:
        return JobState.FAILED
    return {"success": JobState.COMPLETE, "init": JobState.PENDING}.get(word.lower(), JobState.IN_PROGRESS)


def _duration(obj: Object, status: Object, state: JobState, now: datetime) -> str:
    """Return how long the job took; while it runs so far, and how long it is expected to take."""
    written, begin = status.get("duration"), api.begin_time(obj)
    if isinstance(written, str):
        return written
    if begin is None or state in (JobState.COMPLETE, JobState.FAILED):
        return ""
    end = moment(status.get("estimatedCompletionTime"))
    expected = f" of ~{age((end - begin).total_seconds())}" if end and end > now else ""
    return age((now - begin).total_seconds()) + expected


def _message(obj: Object, status: Object, state: JobState) -> str:
    """Return the message of the EvsJob; of a batch that failed the count alone, since each sub-job has a line."""
    failed, total = _count(status, "failed"), _count(status, "total")
    if state is JobState.FAILED and failed and api.sub_jobs(obj):
        return f"{failed} of {total} sub-jobs failed"
    return api.job_view(obj).get("message", "")  # of a spec that was not looked at yet, not the words of the last one


def _sub_row(sub: Object, now: datetime, clean: Callable[[object], str]) -> SubRow:
    word = clean(sub.get("status"))
    state = sub_state(word)
    begin, end = moment(sub.get("beginTime")), moment(sub.get("endTime"))
    duration = ""
    if begin and end:
        duration = precise((end - begin).total_seconds())
    elif begin and state not in (JobState.COMPLETE, JobState.FAILED):
        duration = age((now - begin).total_seconds())
    failed = " ".join(filter(None, (clean(sub.get("errorCode")), reason_of(clean(sub.get("failReason"))))))
    volume = clean(sub.get("volumeId"))
    return SubRow(
        job_id=clean(sub.get("jobId")),
        state=state,
        word=word,
        job_type=clean(sub.get("jobType")),
        duration=duration,
        message=failed or (f"volume {volume}" if volume else ""),
    )


def _count(status: Object, name: str) -> int:
    count = mapping(status.get("subJobCounts")).get(name)
    return count if isinstance(count, int) else 0
