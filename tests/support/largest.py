"""The largest status that decide() makes, for tests of bounds: the schema's, and that of the whole object."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from evs_operator.api.spec import EvsJobSpec
from evs_operator.api.status import EvsJobStatus
from evs_operator.core.decide import Subject, decide
from evs_operator.core.observation import JobSeen
from evs_operator.evs.job import parse_job
from support import jobs

_NOW = datetime(2026, 2, 3, 9, 15, 30, tzinfo=UTC)


def largest_status(*, generation: int = 1) -> EvsJobStatus:
    """Return the status of a failed batch: every text too long, 10,000 sub-jobs on two levels."""
    long = "ä" * 5000
    texts = {"job_type": long, "error_code": long, "fail_reason": long}
    entities = {f"{number}{long}": long for number in range(60)}
    leaves = [jobs.sub(n, "FAIL", **texts, entities={"volume_id": f"{n}{long}", **entities}) for n in range(200)]
    middle = jobs.sub(9_999_999, "SUCCESS", entities={"sub_jobs": leaves})
    others = [jobs.sub(n, "SUCCESS") for n in range(1000, 10_799)]
    body = jobs.batch("FAIL", middle, *others, **texts, end_time="2026-02-03T09:15:29.007Z")
    body["entities"] |= entities
    subject = Subject(
        generation=generation,
        spec=EvsJobSpec(job_id=jobs.JOB_ID),
        observation_start=_NOW - timedelta(days=1),
        project_id="0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6",
        requested_at="2026-02-03 once more",
    )
    return decide(subject, {}, JobSeen(parse_job(body)), _NOW)
