"""The one word for how an EvsJob stands follows from the conditions that `decide()` writes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from evs_operator.api.reasons import Reason
from evs_operator.api.spec import parse_spec
from evs_operator.api.status import EvsJobStatus
from evs_operator.core.decide import Subject, decide
from evs_operator.core.observation import JobSeen, Observation, Trouble
from evs_operator.core.phase import PENDING, Phase, phase_of
from support import jobs

NOW = datetime(2026, 2, 3, 9, 15, tzinfo=UTC)


def decided(observation: Observation | None, previous: EvsJobStatus | None = None, *, suspend: bool = False) -> Phase:
    spec = parse_spec({"jobId": jobs.JOB_ID, "suspend": suspend})
    subject = Subject(
        generation=1, spec=spec, observation_start=NOW, project_id="0" * 32, requested_at=None, anew=False
    )
    status = decide(subject, previous or {}, observation, NOW, redact=lambda text: text, estimate=None)
    return PENDING if status is None else phase_of(status)


@pytest.mark.parametrize(
    ("observation", "state", "reason"),
    [
        (JobSeen(jobs.job("INIT")), "running", "JobInitializing"),
        (JobSeen(jobs.job("WAITING")), "running", "UnknownJobStatus"),
        (JobSeen(jobs.job("SUCCESS", end_time="2026-02-03T09:15:03.000Z")), "succeeded", "JobSucceeded"),
        (JobSeen(jobs.job("FAIL", error_code="EVS.5413", fail_reason="overLimit")), "failed", "JobFailed"),
        (Trouble(Reason.RATE_LIMITED, "HTTP 429"), "unobserved", "RateLimited"),
        (Trouble(Reason.UNAUTHORIZED, "HTTP 401"), "stalled", "Unauthorized"),
    ],
)
def test_the_state_is_the_row_of_the_condition_table(observation: Observation, state: str, reason: str) -> None:
    phase = decided(observation)
    assert (phase.state, phase.reason) == (state, reason)


def test_an_evsjob_without_status_is_pending() -> None:
    assert phase_of({}) is PENDING


def test_a_suspended_evsjob_is_suspended() -> None:
    assert decided(None, suspend=True).state == "suspended"


def test_equal_phases_are_one_object_however_many_evsjobs_have_it() -> None:
    assert decided(JobSeen(jobs.job())) is decided(JobSeen(jobs.job()))
