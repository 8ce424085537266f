"""What other programs read from an EvsJob: right in every state, and unmoved by what they do not know."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator import api
from evs_operator.api import JobState
from support import states
from support.states import GoldenState, golden_states

_STATES = list(golden_states())
_STATE_OF_ROW = {
    states.CREATED: JobState.PENDING,
    states.NOT_ASKED: JobState.PENDING,
    states.IN_PROGRESS: JobState.IN_PROGRESS,
    states.UNSEEN: JobState.IN_PROGRESS,
    states.ACTION_REQUIRED: JobState.ACTION_REQUIRED,
    states.SUCCEEDED: JobState.COMPLETE,
    states.FAILED: JobState.FAILED,
    states.SUSPENDED: JobState.SUSPENDED,
    states.OUTDATED: JobState.PENDING,
}


@pytest.mark.parametrize("golden", _STATES, ids=lambda golden: golden.name)
def test_every_state_of_the_table_is_read_as_one_word(golden: GoldenState) -> None:
    obj = golden.manifest
    word = api.state(obj)
    assert word is _STATE_OF_ROW[golden.row]
    assert api.is_complete(obj) == api.is_ready(obj) == (word is JobState.COMPLETE)
    assert api.is_failed(obj) == (word is JobState.FAILED)
    assert api.is_finished(obj) == (word in (JobState.COMPLETE, JobState.FAILED))
    assert api.needs_action(obj) == (word is JobState.ACTION_REQUIRED)
    assert api.is_current(obj) == (golden.row not in (states.CREATED, states.OUTDATED))
    assert obj["status"]["state"] == word or golden.row == states.OUTDATED


def _golden(name: str) -> Any:
    return next(dict(golden.manifest) for golden in _STATES if golden.name == name)


def test_what_a_program_goes_on_with_is_typed() -> None:
    obj = _golden("job-failed-batch")
    assert api.reason(obj) == api.Reason.JOB_FAILED
    assert api.reason(obj, "Observed") == api.Reason.POLL_SUCCEEDED
    assert api.message(obj).startswith("1 of 2 sub-jobs failed: EVS.1042")
    assert api.volume_ids(obj) == ("00000001-0000-4000-8000-000000000000",)
    assert api.job_status(obj) == "FAIL"
    assert [sub.get("status") for sub in api.sub_jobs(obj)] == ["FAIL", "SUCCESS"]
    assert (api.failure(obj) or {}).get("category") == "Quota"
    assert api.begin_time(obj) == datetime(2026, 2, 3, 9, 15, 0, 118000, UTC)
    assert api.end_time(obj) == datetime(2026, 2, 3, 9, 15, 31, 208000, UTC)
    assert api.completion_time(obj) == datetime(2026, 2, 3, 9, 15, 2, tzinfo=UTC)


def test_the_result_of_another_job_is_not_taken_for_this_ones() -> None:
    obj = _golden("succeeded-then-job-id-changed")
    assert api.reason(obj) == "JobSucceeded"
    assert not api.is_complete(obj)
    assert not api.is_finished(obj)


def test_an_object_without_a_generation_is_read_by_its_conditions() -> None:
    obj = _golden("job-succeeded")
    assert api.is_complete({"status": obj["status"]})


def test_a_connection_is_read_with_the_same_functions() -> None:
    ready = {"type": "Ready", "status": "False", "reason": "SecretNotFound", "message": "no", "observedGeneration": 1}
    obj = {
        "metadata": {"generation": 1},
        "status": {"observedGeneration": 1, "conditions": [ready, {**ready, "type": "Stalled", "status": "True"}]},
    }
    assert api.needs_action(obj)
    assert not api.is_ready(obj)
    assert api.reason(obj) == api.ConnectionReason.SECRET_NOT_FOUND


def test_fields_conditions_and_reasons_of_a_newer_version_are_passed_over() -> None:
    obj = _golden("job-succeeded")
    newer = {"type": "Archived", "status": "Maybe", "reason": "Other", "extra": [1]}
    obj["status"] = {**obj["status"], "phase": {"a": 1}, "conditions": [newer, *obj["status"]["conditions"], "odd"]}
    assert api.state(MappingProxyType(obj)) is JobState.COMPLETE
    assert api.condition(obj, "Archived") == newer


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "status",
                    "metadata",
                    "generation",
                    "observedGeneration",
                    "conditions",
                    "type",
                    "reason",
                    "volumeIds",
                    "subJobs",
                    "failure",
                    "completionTime",
                    "Ready",
                    "True",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["status", "metadata", "spec"]), _JSON))
def test_no_object_whatever_it_holds_makes_a_reader_fail(obj: dict[str, Any]) -> None:
    assert isinstance(api.state(obj), JobState)
    assert isinstance(api.reason(obj), str)
    assert isinstance(api.message(obj), str)
    assert isinstance(api.volume_ids(obj), tuple)
    assert isinstance(api.sub_jobs(obj), tuple)
    assert api.failure(obj) is None or isinstance(obj["status"]["failure"], dict)
    assert api.completion_time(obj) is None or api.completion_time(obj)


def test_importing_it_imports_nothing_that_is_not_in_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import evs_operator.api;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['evs_operator']"


def test_every_public_name_is_there_and_documented() -> None:
    assert len(set(api.__all__)) == len(api.__all__)
    for name in api.__all__:
        member = getattr(api, name)
        if callable(member) and getattr(member, "__module__", "").startswith("evs_operator"):
            assert (member.__doc__ or "").strip().endswith((".", ")")), name
