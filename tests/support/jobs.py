"""Job bodies as the API writes them, for tests; and the documented examples, byte for byte."""

from __future__ import annotations

from typing import Any

from evs_operator.evs.job import Job, parse_job

JOB_ID = "ff80808292ab11f50193d0c1a5e40b17"
VOLUME_ID = "5d0c3c7e-6a1f-4f0e-9b7a-0a6a0b1c2d3e"


def body(status: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    """Return the body of a job query with fields replaced; `None` for a field leaves it null."""
    return {
        "status": status,
        "entities": {"volume_id": VOLUME_ID},
        "job_id": JOB_ID,
        "job_type": "createVolume",
        "begin_time": "2026-02-03T09:15:00.118Z",
        "end_time": "",
        "error_code": None,
        "fail_reason": None,
        **fields,
    }


def sub(number: int, status: str, **fields: Any) -> dict[str, Any]:
    """Return a sub-job's body."""
    entities = {"volume_id": f"{number:08x}-0000-4000-8000-000000000000"}
    return body(status, **{"job_id": f"{number:032x}", "entities": entities, **fields})


def batch(status: str, *subs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the body of a batch with these sub-jobs."""
    return body(status, **{"job_type": "batchCreateVolume", "entities": {"sub_jobs": list(subs)}, **fields})


def job(status: str = "RUNNING", **fields: Any) -> Job:
    """Return a parsed job."""
    return parse_job(body(status, **fields))
