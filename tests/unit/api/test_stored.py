"""Whatever is stored as a status, only our fields in their types and sizes come in; what we wrote comes in whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evs_operator.api import status as types
from evs_operator.api.conditions import condition_of, parse_timestamp
from evs_operator.api.status import CONDITION_TYPES, EvsJobStatus, same_status
from evs_operator.api.stored import MOST_TEXT, connection_status, job_status
from evs_operator.core.decide import is_finished
from evs_operator.core.phase import phase_of

GOLDEN = sorted((Path(__file__).parents[2] / "golden" / "states").glob("*.json"))
GOOD = {
    "type": "Ready",
    "status": "True",
    "reason": "JobSucceeded",
    "message": "done",
    "lastTransitionTime": "2026-02-03T09:15:00Z",
    "observedGeneration": 1,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["True", "Ready"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
NAMES = [*EvsJobStatus.__annotations__, *types.SubJobStatus.__annotations__, *types.SubJobCounts.__annotations__, *GOOD]
GARBAGE = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=8) | st.lists(inner, max_size=4),
    max_leaves=20,
)


def use(status: EvsJobStatus) -> None:
    """Do what the engine does with a status that it was given; a wrong type would raise."""
    phase_of(status)
    is_finished(status)
    same_status(status, {})
    for kind in CONDITION_TYPES:
        condition_of(status.get("conditions", []), kind)
    for sub in status.get("subJobs", ()):
        parse_timestamp(sub.get("endTime"))
    assert all(isinstance(value, str) for value in status.get("entities", {}).values())
    assert all(isinstance(number, int) for number in status.get("subJobCounts", {}).values())
    status.get("failure", {}).get("category", "").upper()
    assert status.get("observedGeneration", 0) + 1


@settings(max_examples=300)
@given(raw=GARBAGE)
def test_any_status_comes_in_as_our_types_or_not_at_all(raw: Any) -> None:
    use(job_status(raw))
    for condition in connection_status(raw).get("conditions", []):
        assert set(condition) >= {"type", "status", "reason", "message", "lastTransitionTime"}


@pytest.mark.parametrize("field", get_type_hints(EvsJobStatus))
@pytest.mark.parametrize("value", [None, True, 1.5, [7], {"a": 7}, [[]], [{"type": "Ready"}], 2**70], ids=repr)
def test_a_field_of_another_type_is_absent(field: str, value: object) -> None:
    read = job_status({field: value, "jobId": "kept"} if field != "jobId" else {field: value})
    use(read)
    assert read.get(field) in (None, [], {})


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_status_that_we_write_comes_in_whole(path: Path) -> None:
    status = json.loads(path.read_text())["status"]
    if "conditions" in status:
        status["conditions"] = [item for item in status["conditions"] if item["type"] in CONDITION_TYPES]
    assert job_status(status) == status


def test_conditions_and_fields_of_others_are_not_ours() -> None:
    theirs = {**GOOD, "type": "Theirs"}
    more = {**GOOD, "theirs": "x" * 100_000}
    assert job_status({"theirs": 1, "conditions": [theirs, more, 7, None]}) == {"conditions": [GOOD]}
    assert connection_status({"theirs": 1, "conditions": [more, {**GOOD, "type": "Observed"}]}) == {
        "conditions": [GOOD]
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "true"},
        {"status": None},
        {"reason": 7},
        {"message": None},
        {"message": "x" * MOST_TEXT},
        {"lastTransitionTime": 1_770_000_000},
        {"observedGeneration": "1"},
        {"type": ["Ready"]},
    ],
    ids=repr,
)
def test_a_condition_that_is_none_is_absent(wrong: dict[str, Any]) -> None:
    assert job_status({"conditions": [{**GOOD, **wrong}]}) == {"conditions": []}


def test_a_condition_that_is_there_twice_counts_once() -> None:
    assert job_status({"conditions": [GOOD, {**GOOD, "status": "False"}]}) == {"conditions": [GOOD]}


def test_lists_maps_and_texts_are_bounded() -> None:
    ids = [str(number) for number in range(10_000)]
    read = job_status({"volumeIds": ids, "entities": dict.fromkeys(ids, "x"), "failReason": "x" * (MOST_TEXT + 1)})
    assert len(read["volumeIds"]) == len(read["entities"]) == 500
    assert "failReason" not in read
