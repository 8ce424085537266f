"""The view of an EvsJob: over all golden states, and over whatever else an object may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator import api
from evs_operator.api.view import StateWord

STATES = sorted((Path(__file__).parents[2] / "golden" / "states").glob("*.json"))
REQUIRED = {"namespace", "name", "uid", "state", "ended"}
FACTS = {"reason", "message", "jobId"}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("path", STATES, ids=lambda path: path.stem)
def test_the_view_says_what_the_readers_say_and_no_field_is_empty(path: Path) -> None:
    obj = json.loads(path.read_text())
    view = api.job_view(obj)
    assert view["state"] == api.state(obj).value
    assert view["ended"] == api.is_finished(obj)
    assert REQUIRED <= view.keys() <= api.JobView.__annotations__.keys()
    assert all(value not in ("", [], {}, None) for value in view.values())
    if api.is_current(obj):
        assert view.get("message", "") == api.message(obj)
        assert tuple(view.get("volumeIds", ())) == api.volume_ids(obj)
        assert view.get("failure") == api.failure(obj)
    else:
        assert view.keys() <= REQUIRED | FACTS


def test_a_status_of_another_job_is_no_result_even_if_it_claims_the_generation() -> None:
    obj = json.loads((STATES[0].parent / "job-succeeded.json").read_text())
    assert api.job_view(obj)["ended"]
    obj["spec"]["jobId"] = "f" * 32
    view = api.job_view(obj)
    assert (view["state"], view["ended"], view["jobId"]) == ("Pending", False, "f" * 32)
    assert view.keys() <= REQUIRED | FACTS


def test_the_words_of_the_view_are_the_states() -> None:
    assert set(get_args(StateWord)) == {state.value for state in api.JobState}


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status", "kind"]), _JSON, max_size=4))
def test_no_object_makes_it_raise(obj: dict[str, Any]) -> None:
    assert not api.job_view(obj)["ended"]
