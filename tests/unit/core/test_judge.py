"""judge(): the order of the rules, from the end of a job down to nothing known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from evs_operator.api import JobState
from evs_operator.api.reasons import Reason
from evs_operator.api.spec import parse_spec
from evs_operator.core.judge import Sight, judge
from evs_operator.core.verdict import Finding
from support.jobs import JOB_ID

T0 = datetime(2026, 2, 3, 9, 15, tzinfo=UTC)
DONE = Finding(JobState.COMPLETE, Reason.JOB_SUCCEEDED, "the job succeeded")
BROKEN = Finding(JobState.FAILED, Reason.JOB_FAILED, "the job failed")
RUNS = Finding(JobState.IN_PROGRESS, Reason.JOB_RUNNING, "the job is running")
REFUSED = Finding(JobState.ACTION_REQUIRED, Reason.UNAUTHORIZED, "HTTP 401")
BUSY = Finding(JobState.IN_PROGRESS, Reason.SERVER_ERROR, "HTTP 503")
WAITS = Finding(JobState.PENDING, Reason.PENDING, "waiting for the first call")


@pytest.mark.parametrize(
    ("job", "trouble", "waiting", "suspend", "late", "expected"),
    [
        (DONE, REFUSED, None, True, True, Reason.JOB_SUCCEEDED),
        (BROKEN, REFUSED, None, True, True, Reason.JOB_FAILED),
        (RUNS, REFUSED, None, True, True, Reason.SUSPENDED),
        (None, None, WAITS, True, True, Reason.SUSPENDED),
        (RUNS, REFUSED, None, False, True, Reason.UNAUTHORIZED),
        (RUNS, BUSY, None, False, True, Reason.DEADLINE_EXCEEDED),
        (None, None, WAITS, False, True, Reason.DEADLINE_EXCEEDED),
        (None, None, None, False, True, Reason.DEADLINE_EXCEEDED),
        (RUNS, BUSY, None, False, False, Reason.SERVER_ERROR),
        (RUNS, None, None, False, False, Reason.JOB_RUNNING),
        (None, None, WAITS, False, False, Reason.PENDING),
        (None, None, None, False, False, None),
    ],
)
def test_the_first_rule_that_applies_is_the_verdict(
    job: Finding | None,
    trouble: Finding | None,
    waiting: Finding | None,
    suspend: bool,
    late: bool,
    expected: Reason | None,
) -> None:
    spec = parse_spec({"jobId": JOB_ID, "suspend": suspend, "deadlineSeconds": 10})
    sight = Sight(T0, answered=job is not None, job=job, trouble=trouble, waiting=waiting)
    verdict = judge(spec, sight, T0 + timedelta(seconds=10 if late else 9))
    assert (verdict and verdict.found.reason) == expected


@pytest.mark.parametrize(
    ("job", "trouble", "expected"), [(RUNS, REFUSED, RUNS), (None, REFUSED, REFUSED), (None, BUSY, BUSY)]
)
def test_what_is_known_of_the_end_comes_from_the_job_itself_if_it_was_ever_seen(
    job: Finding | None, trouble: Finding, expected: Finding
) -> None:
    sight = Sight(T0, answered=job is not None, job=job, trouble=trouble)
    verdict = judge(parse_spec({"jobId": JOB_ID, "deadlineSeconds": 1}), sight, T0 + timedelta(seconds=60))
    assert verdict is not None
    assert verdict.outcome == expected
