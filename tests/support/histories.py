"""Arbitrary job bodies and histories of an EvsJob, for tests of what must hold in all of them.

`STEPS` is a hypothesis strategy of what happens to an EvsJob: spec edits, answers and errors in any order. Bodies hold
words, texts and times that no API would send, and a secret that nobody may see.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from evs_operator.api.reasons import Reason
from evs_operator.api.spec import parse_spec
from evs_operator.core.decide import Subject
from evs_operator.core.observation import JobSeen, Observation, Trouble
from evs_operator.evs.job import parse_job
from evs_operator.redact.redactor import Redactor

from .jobs import JOB_ID

T0 = datetime(2026, 2, 3, 9, 15, tzinfo=UTC)
SECRET = "s3cret/Value+that-nobody=may-see"
WORDS = st.one_of(
    st.sampled_from(["INIT", "RUNNING", "SUCCESS", "FAIL", "success", "Failed", "ERROR", "LISTENING", "RETRY"]),
    st.text(min_size=1, max_size=12).filter(str.strip),
)
TEXTS = st.one_of(st.none(), st.just(""), st.text(max_size=40), st.just(f"token {SECRET} refused"), st.integers())
TIMES = st.sampled_from([None, "", "2026-02-03T09:15:09.402Z", "2026-02-03 09:15:10", "no time"])
ENTITIES = st.dictionaries(
    st.sampled_from(["volume_id", "name", "size", "nested", SECRET]),
    st.one_of(st.none(), st.text(max_size=20), st.integers(), st.booleans(), st.just({"a": 1}), st.just(SECRET)),
    max_size=4,
)


def _fields(status: st.SearchStrategy[Any], entities: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"status": status, "entities": entities},
        optional={
            "job_id": st.sampled_from(["a" * 32, "b" * 32, "", None]),
            "job_type": TEXTS,
            "begin_time": TIMES,
            "end_time": TIMES,
            "error_code": st.one_of(TEXTS, st.sampled_from(["EVS.2024", "EVS.1042"])),
            "fail_reason": TEXTS,
        },
    )


def _with_subs(sub: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    subs = st.lists(sub, max_size=4)
    return _fields(WORDS, st.one_of(ENTITIES, subs.map(lambda items: {"sub_jobs": items})))


BODIES = st.recursive(_fields(WORDS, ENTITIES), _with_subs, max_leaves=8)
TROUBLES = st.builds(
    Trouble,
    st.sampled_from(list(Reason)),
    st.sampled_from(["HTTP 401 APIGW.0301", "HTTP 503"]),
    TEXTS.map(str).map(Redactor([SECRET])),
)
OBSERVATIONS: st.SearchStrategy[Observation | None] = st.one_of(
    st.none(), TROUBLES, BODIES.map(lambda body: JobSeen(parse_job(body)))
)


@dataclass(frozen=True)
class Step:
    """One call of decide(): what changed in the spec, what was observed, how much later."""

    observation: Observation | None
    seconds: int
    suspend: bool
    deadline: int | None
    edited: bool
    requested_at: str | None


STEPS = st.lists(
    st.builds(
        Step,
        OBSERVATIONS,
        st.integers(0, 90),
        st.booleans(),
        st.sampled_from([None, None, 30]),
        st.booleans(),
        st.sampled_from([None, None, "once"]),
    ),
    min_size=1,
    max_size=8,
)


def subject(step: Step, generation: int) -> Subject:
    spec: dict[str, Any] = {"jobId": JOB_ID, "suspend": step.suspend}
    if step.deadline is not None:
        spec["deadlineSeconds"] = step.deadline
    return Subject(generation, parse_spec(spec), T0, "0" * 32, step.requested_at)
