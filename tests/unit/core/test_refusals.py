"""A spec that cannot be read for a while costs nothing of what is known of the job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from evs_operator.api.reasons import Reason
from evs_operator.api.spec import parse_spec
from evs_operator.api.status import EvsJobStatus
from evs_operator.core.decide import Subject, decide, refuse
from evs_operator.core.observation import JobSeen, Observation, Trouble
from evs_operator.evs.job import parse_job
from support.jobs import JOB_ID, batch, body, sub

T0 = datetime(2026, 2, 3, 9, 15, 2, tzinfo=UTC)
WHO = Subject(1, parse_spec({"jobId": JOB_ID}), T0)
ENDED = {"end_time": "2026-02-03T09:15:31.208Z"}
JOBS = [
    body("INIT", entities={}),
    body("RUNNING"),
    body("FOO"),
    body("SUCCESS", **ENDED),
    body("FAIL", error_code="EVS.2024", fail_reason="volume is error!"),
    batch("SUCCESS", sub(1, "SUCCESS"), sub(2, "FAIL", error_code="EVS.1042"), **ENDED),
]
OBSERVATIONS: st.SearchStrategy[Observation] = st.one_of(
    st.sampled_from([JobSeen(parse_job(job)) for job in JOBS]),
    st.sampled_from([Trouble(reason, "HTTP 4xx") for reason in (Reason.TIMEOUT, Reason.UNAUTHORIZED)]),
)


def _said(status: EvsJobStatus) -> dict[str, Any]:
    """Return what a status says, without when it began to be so, and without the words for people."""
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions", [])}
    return {**status, "conditions": conditions}


@given(st.lists(st.tuples(OBSERVATIONS, st.booleans()), min_size=1, max_size=6))
def test_after_its_repair_everything_is_as_if_it_had_never_been_broken(
    history: list[tuple[Observation, bool]],
) -> None:
    unharmed: EvsJobStatus = {}
    harmed: EvsJobStatus = {}
    for number, (observation, breaks) in enumerate(history):
        now = T0 + timedelta(seconds=number)
        unharmed = decide(WHO, unharmed, observation, now)
        harmed = decide(WHO, harmed, observation, now)
        if breaks:
            harmed = refuse(1, harmed, "spec.polling: write …", now)
            rows = {c["type"]: c["status"] for c in harmed["conditions"]}
            assert (rows["Ready"], rows["Complete"], rows["Failed"], rows["Stalled"]) == (*["False"] * 3, "True")
            harmed = decide(WHO, harmed, None, now)
        assert _said(harmed) == _said(unharmed)
