"""The largest answers that are read, of every shape: what the event loop is busy with for each of them, and no more.

Times are CPU seconds of this process; the limit that holds is 0.3 s for all that is done with one answer.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from evs_operator.api.spec import EvsJobSpec
from evs_operator.api.status import EvsJobStatus
from evs_operator.cloud.classify import error_of, read_answer
from evs_operator.cloud.client import MAX_BODY
from evs_operator.core.decide import Subject, decide
from evs_operator.core.observation import JobSeen, Observation, trouble_of
from evs_operator.core.result import texts_of
from evs_operator.evs import errors
from evs_operator.redact.redactor import Redactor
from support.jobs import JOB_ID

Result = TypeVar("Result")
NOW = datetime(2026, 2, 3, 9, 15, tzinfo=UTC)
MOST_SECONDS = 0.5
"""Of CPU; measured 0.01 to 0.2."""


def filled(unit: bytes, before: bytes, after: bytes) -> bytes:
    """Return a body of 8 MiB of one thing again and again."""
    number = (MAX_BODY - len(before) - len(after)) // (len(unit) + 1)
    return before + b",".join([unit] * number) + after


def a_job(status: str = "FAIL", **fields: object) -> bytes:
    found = {"status": status, "job_id": JOB_ID, "job_type": "createVolume", **fields}
    return json.dumps(found, ensure_ascii=False).encode()[:MAX_BODY]


def a_batch(number: int, **fields: object) -> bytes:
    subs = [{"status": "FAIL", "job_id": f"{at:032x}", "entities": {"volume_id": f"v{at}"}} for at in range(number)]
    return a_job(entities={"sub_jobs": [{**sub, **fields} for sub in subs]})


def nested(levels: int) -> list[dict[str, object]]:
    inner = nested(levels - 1) if levels else []
    return [{"status": "FAIL", "job_id": f"{levels:032x}", "entities": {"sub_jobs": inner}}]


BEFORE = b'{"status":"RUNNING","job_id":"%b","job_type":"x","x":[' % JOB_ID.encode()
TEXT = BEFORE.replace(b'"x":[', b'"fail_reason":"')
SHAPES: dict[str, Callable[[], bytes]] = {
    "sub-jobs of one number": lambda: filled(b'{"job_id":1}', b'{"status":"RUNNING","sub_jobs":[', b"]}"),
    "empty lists": lambda: filled(b"[]", BEFORE, b"]}"),
    "empty objects": lambda: filled(b"{}", BEFORE, b"]}"),
    "small numbers": lambda: filled(b"1", BEFORE, b"]}"),
    "fractions": lambda: filled(b"1." + b"1" * 4000, BEFORE, b"]}"),
    "long numbers": lambda: filled(b"1" * 4299, BEFORE, b"]}"),
    "huge numbers": lambda: filled(b"1e999999", BEFORE, b"]}"),
    "empty texts": lambda: filled(b'""', BEFORE, b"]}"),
    "escaped texts": lambda: filled(b'"\\n"', BEFORE, b"]}"),
    "blocks nested deep": lambda: filled(b"[" * 900 + b"]" * 900, BEFORE, b"]}"),
    "lists without end": lambda: BEFORE + b"[" * (MAX_BODY - len(BEFORE)),
    "objects without end": lambda: b'{"status":"RUNNING","x":' + b'{"a":' * (MAX_BODY // 5 - 5),
    "keys": lambda: b'{"status":"R","e":{' + b",".join(b'"%x":1' % key for key in range(900_000))[:8_300_000] + b"}}",
    "keys that are read": lambda: a_job(fail_reason={f"{key:x}": 1 for key in range(198_000)}),
    "objects that are read": lambda: a_job(fail_reason=[{"a": 1}] * 95_000),
    "entities": lambda: a_job(entities={f"{key:x}": 1 for key in range(190_000)}),
    "a long text": lambda: TEXT + b"a" * (MAX_BODY - 200) + b'"}',
    "a long text of escapes": lambda: TEXT + b"\\u0041" * (MAX_BODY // 6 - 40) + b'"}',
    "a long text of pairs": lambda: TEXT + b"\\ud83d\\ude00" * (MAX_BODY // 12 - 40) + b'"}',
    "a long text of emoji": lambda: TEXT + "😀".encode() * (MAX_BODY // 4 - 60) + b'"}',
    "a long text of no text": lambda: TEXT + b"\xff" * (MAX_BODY - 200) + b'"}',
    "quotes": lambda: b'"' * MAX_BODY,
    "blanks": lambda: b" " * (MAX_BODY - 10) + b'{"a":1}',
    "backslashes": lambda: a_job(fail_reason="{" + "\\" * 4_000_000),
    "backslashes in 10,000 sub-jobs": lambda: a_batch(10_000, fail_reason="{" + "\\" * 300),
    "backslashes in 1,600 sub-jobs": lambda: a_batch(1600, fail_reason="{" + "\\" * 2500),
    "brackets in reasons": lambda: a_batch(1500, fail_reason="{" * 5200),
    "messages cut off": lambda: a_batch(1000, fail_reason='{"message":"' * 420),
    "task names": lambda: a_batch(1500, fail_reason="a-fail: " * 630),
    "blanks in reasons": lambda: a_batch(1500, fail_reason="x" + " " * 5000 + "y"),
    "control characters": lambda: a_batch(1300, fail_reason="\x01" * 1000),
    "10,000 that failed": lambda: a_batch(
        10_000, error_code="EVS.1042", fail_reason='T-fail:{"forbidden":{"message":"' + "Quota exceeded " * 35 + '"}}'
    ),
    "16 levels": lambda: a_job(entities={"sub_jobs": nested(13) * 700}),
    "an error of objects": lambda: json.dumps({"error": {"message": ["a,"] * 95_000, "code": [1] * 95_000}}).encode(),
}


def quickest(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the CPU seconds of the quicker of two runs, and what it gave: a busy machine makes one of them slow."""
    seconds = []
    for _ in range(2):
        started = time.thread_time()
        found = work()
        seconds.append(time.thread_time() - started)
    return min(seconds), found


def observed(content: bytes) -> Observation:
    try:
        return JobSeen(read_answer(200, {}, content, job_id=JOB_ID, where="evs.example.com", now=NOW))
    except errors.CloudError as error:
        return trouble_of(error, Redactor())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_answer_of_any_shape_is_read_and_decided_on_within_its_time_and_its_memory(shape: str) -> None:
    content = SHAPES[shape]()
    assert len(content) <= MAX_BODY
    subject = Subject(1, EvsJobSpec(job_id=JOB_ID), NOW)

    def everything() -> tuple[EvsJobStatus, list[str]]:
        found = observed(content)
        return decide(subject, {}, found, NOW), list(texts_of(found.job)) if isinstance(found, JobSeen) else []

    seconds, (status, shown) = quickest(everything)
    assert seconds < MOST_SECONDS
    assert len(json.dumps(status, ensure_ascii=False).encode()) < 256 * 1024
    assert sum(map(len, shown)) < MAX_BODY


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_refusal_of_any_shape_is_read_within_its_time(shape: str) -> None:
    content = SHAPES[shape]()
    seconds, found = quickest(lambda: error_of(401, {}, content, where="evs.example.com", now=NOW))
    assert (found.http_status, seconds < MOST_SECONDS) == (401, True)


@pytest.mark.parametrize("shape", ["sub-jobs of one number", "empty objects", "keys that are read", "16 levels"])
def test_the_largest_answer_takes_no_more_memory_than_is_stated_and_little_of_it_is_kept(shape: str) -> None:
    content = SHAPES[shape]()
    tracemalloc.start()
    try:
        found = observed(content)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * 1024 * 1024
    assert kept < 16 * 1024 * 1024
    assert found
