"""The job object of the jobs API as a frozen value (docs/reference/jobs-api.md#the-job).

The client calls `parse_job()` with a decoded body. What the API leaves open is accepted: null, "" or absent
fields, sub-jobs inside `entities` or beside it, unknown words and fields. Only a job without a status is refused, and
one with more sub-jobs, or more levels of them, than are read: what is left out could be a failure.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .errors import InvalidResponse
from .times import parse_time

MAX_DEPTH: Final = 16
"""Levels of sub-jobs that are read; one is documented and seen. A deeper one could hide a failure, so it is refused."""

MAX_SUB_JOBS: Final = 10_000
"""Sub-jobs, over all levels, that are read; the API orders at most 100 volumes at once."""
KEPT_CHARACTERS: Final = 5120
"""Characters of a text that are kept: the longest that is shown (1024), and what redaction looks at beyond it."""
MAX_ENTITIES: Final = 32
"""Entities of a job that are kept, as many as are shown; those that tell volume and failure are kept in any case."""
_ALWAYS_KEPT: Final = ("volume_id", "name", "errorcode_message")

FAILURE_WORDS: Final = frozenset({"FAIL", "FAILED", "ERROR"})
_UNSAFE = re.compile("[\ud800-\udfff\x00]")
_KNOWN_FIELDS: Final = (
    "status",
    "entities",
    "sub_jobs",
    "job_id",
    "job_type",
    "begin_time",
    "end_time",
    "error_code",
    "fail_reason",
)


class JobOutcome(enum.Enum):
    """What a status word says: every word but those for success and failure is in progress."""

    IN_PROGRESS = "in progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """A job or sub-job. Times are UTC; `status` and `job_type` are verbatim."""

    job_id: str
    job_type: str
    status: str
    begin_time: datetime | None
    end_time: datetime | None
    entities: Mapping[str, str]
    error_code: str | None
    fail_reason: str | None
    sub_jobs: tuple[Job, ...]

    @property
    def outcome(self) -> JobOutcome:
        """Return what the status word alone says, in any case."""
        word = self.status.strip().upper()
        if word == "SUCCESS":
            return JobOutcome.SUCCEEDED
        return JobOutcome.FAILED if word in FAILURE_WORDS else JobOutcome.IN_PROGRESS

    @property
    def is_named(self) -> bool:
        """Return whether the answer says which job it speaks of: by its id, or by type and times."""
        return bool(self.job_id) or bool(self.job_type and (self.begin_time or self.end_time))

    def descendants(self) -> Iterator[Job]:
        """Yield sub-jobs of all levels, depth first, in the order of the API."""
        for sub in self.sub_jobs:
            yield sub
            yield from sub.descendants()


def identifies_itself(body: Mapping[str, object]) -> bool:
    """Return whether a body with a status is a job: errors, volumes and health reports have one too."""
    named = any(
        isinstance(body.get(field), str | int) and body[field] for field in ("job_id", "job_type", "begin_time")
    )
    return named or isinstance(body.get("entities"), dict) or isinstance(body.get("sub_jobs"), list)


def parse_job(body: Mapping[str, object]) -> Job:
    """Read a job; raise InvalidResponse where it has no usable status, or is larger or deeper than can be read."""
    status = body.get("status")
    if not isinstance(status, str) or not status.strip():
        raise InvalidResponse("the answer is not a job: it has no status")
    try:
        return _job(body, MAX_DEPTH, _Room())
    except (RecursionError, ValueError) as error:  # sub-jobs, a nested fail_reason, an integer of thousands of digits
        raise InvalidResponse("the answer is not a job: it is nested too deep") from error


class _Room:
    """How many more sub-jobs are read."""

    def __init__(self) -> None:
        self._left = MAX_SUB_JOBS

    def take(self, sub_jobs: int) -> None:
        """Make room for so many; raise InvalidResponse where there is none."""
        self._left -= sub_jobs
        if self._left < 0:
            raise InvalidResponse(f"the answer has more than the {MAX_SUB_JOBS} sub-jobs that are read")


def _job(body: Mapping[str, object], depth: int, room: _Room) -> Job:
    raw_entities = body.get("entities")
    entities: Mapping[str, object] = raw_entities if isinstance(raw_entities, dict) else {}
    return Job(
        job_id=_text(body.get("job_id")) or "",
        job_type=_text(body.get("job_type")) or "",
        status=_text(body.get("status")) or "",
        begin_time=parse_time(body.get("begin_time")),
        end_time=parse_time(body.get("end_time")),
        entities=_scalars(entities),
        error_code=_text(body.get("error_code")),
        fail_reason=_text(body.get("fail_reason")),
        sub_jobs=_sub_jobs(entities.get("sub_jobs"), body.get("sub_jobs"), depth, room),
    )


def _sub_jobs(inside: object, beside: object, depth: int, room: _Room) -> tuple[Job, ...]:
    items = inside if isinstance(inside, list) and inside else beside
    if not isinstance(items, list):
        return ()
    subs = [
        item
        for item in items
        if isinstance(item, dict) and (item.get("status") or any(item.get(field) for field in _KNOWN_FIELDS))
    ]
    if subs and depth == 0:
        raise ValueError("sub-jobs are nested too deep")
    room.take(len(subs))
    return tuple(_job(item, depth - 1, room) for item in subs)


def _scalars(entities: Mapping[str, object]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for key, value in entities.items():
        if isinstance(value, str | int | float) and key != "sub_jobs":
            kept[clean(key[:KEPT_CHARACTERS])] = _scalar(value)
            if len(kept) == MAX_ENTITIES:
                break
    if len(entities) > MAX_ENTITIES:
        for key in _ALWAYS_KEPT:
            value = entities.get(key)
            if isinstance(value, str | int | float):
                kept[key] = _scalar(value)
    return kept


def _scalar(value: str | float) -> str:
    return clean(value[:KEPT_CHARACTERS]) if isinstance(value, str) else json.dumps(value)


def _text(value: object) -> str | None:
    """Return a field as text; None for null, absent and ""; an object as compact JSON."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return clean(text[:KEPT_CHARACTERS]) or None


def clean(text: str) -> str:
    """Replace what no UTF-8 text and no JSON consumer can hold: lone surrogates and NUL."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSAFE.sub("\ufffd", text)
