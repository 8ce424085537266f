"""What a job of the API becomes, whatever the body looks like."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.evs.errors import InvalidResponse
from evs_operator.evs.job import KEPT_CHARACTERS, MAX_DEPTH, MAX_ENTITIES, MAX_SUB_JOBS, Job, JobOutcome, parse_job
from evs_operator.evs.times import parse_time
from support.jobs import JOB_ID, VOLUME_ID, batch, body, job, sub

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "status",
        "entities",
        "job_id",
        "job_type",
        "begin_time",
        "end_time",
        "error_code",
        "fail_reason",
        "sub_jobs",
        "error",
        "volume_id",
    ]
)
ODD_JOBS = st.recursive(
    JSON,
    lambda inner: st.dictionaries(FIELDS, inner | st.lists(inner, max_size=4), max_size=9),
    max_leaves=25,
)


def every_text(found: Job) -> list[str]:
    own = [found.job_id, found.job_type, found.status, found.error_code or "", found.fail_reason or ""]
    own += [text for pair in found.entities.items() for text in pair]
    return own + [text for inner in found.sub_jobs for text in every_text(inner)]


def test_the_first_documented_example_is_read_field_by_field() -> None:
    found = parse_job(
        {
            "status": "RUNNING",
            "entities": {"volume_id": "bdf1bb37-f20f-4266-9a04-f43e0a127376"},
            "job_id": "4010a32d535527910153552b492c0002",
            "job_type": "createVolume",
            "begin_time": "2016-03-08T07:40:13.219Z",
            "end_time": "",
            "error_code": None,
            "fail_reason": None,
        }
    )
    assert found == Job(
        job_id="4010a32d535527910153552b492c0002",
        job_type="createVolume",
        status="RUNNING",
        begin_time=datetime(2016, 3, 8, 7, 40, 13, 219000, UTC),
        end_time=None,
        entities={"volume_id": "bdf1bb37-f20f-4266-9a04-f43e0a127376"},
        error_code=None,
        fail_reason=None,
        sub_jobs=(),
    )


def test_sub_jobs_are_read_from_entities_in_the_order_of_the_api() -> None:
    found = parse_job(batch("SUCCESS", sub(2, "SUCCESS"), sub(1, "FAIL"), sub(3, "RUNNING")))
    assert [inner.job_id[-1] for inner in found.sub_jobs] == ["2", "1", "3"]
    assert found.entities == {}


def test_sub_jobs_are_read_from_beside_entities_too() -> None:
    assert len(parse_job(body("RUNNING", sub_jobs=[sub(1, "INIT")])).sub_jobs) == 1
    assert len(parse_job(body("RUNNING", entities={"sub_jobs": []}, sub_jobs=[sub(1, "INIT")])).sub_jobs) == 1


@pytest.mark.parametrize("blank", ["", None, [], {}, 0, "x", {"status": "FAIL"}])
def test_sub_jobs_that_are_no_list_are_none(blank: object) -> None:
    found = parse_job(body("RUNNING", entities={"sub_jobs": blank, "volume_id": VOLUME_ID}))
    assert found.sub_jobs == ()
    assert found.entities == {"volume_id": VOLUME_ID}


def test_items_that_say_nothing_are_not_sub_jobs() -> None:
    phantom = dict.fromkeys(body(), None)
    found = parse_job(batch("RUNNING", phantom, {}, {"other": 1}, sub(1, "INIT")))
    assert [inner.status for inner in found.sub_jobs] == ["INIT"]
    assert parse_job(body(entities={"sub_jobs": [None, "x", 3, [], True]})).sub_jobs == ()


def test_an_item_that_holds_nothing_but_sub_jobs_is_kept_for_their_sake() -> None:
    found = parse_job(batch("SUCCESS", {"sub_jobs": [sub(1, "FAIL")]}))
    assert [inner.outcome for inner in found.descendants()] == [JobOutcome.IN_PROGRESS, JobOutcome.FAILED]


def test_descendants_come_depth_first_without_the_job_itself() -> None:
    found = parse_job(batch("RUNNING", batch("RUNNING", sub(1, "INIT"), job_id="a" * 32), sub(2, "INIT")))
    assert [inner.job_id for inner in found.descendants()] == ["a" * 32, f"{1:032x}", f"{2:032x}"]


def test_a_failure_below_the_deepest_level_that_is_read_is_never_taken_for_a_success() -> None:
    nested = sub(9, "FAIL")
    for number in range(MAX_DEPTH):
        nested = batch("SUCCESS", nested, job_id=f"{number:032x}")
    outcomes = [inner.outcome for inner in parse_job(nested).descendants()]
    assert len(outcomes) == MAX_DEPTH == 16
    assert outcomes[-1] is JobOutcome.FAILED
    with pytest.raises(InvalidResponse, match="nested too deep"):
        parse_job(batch("SUCCESS", nested, job_id="a" * 32))


@pytest.mark.parametrize("status", [None, "", "  ", 5, True, [], {}, ["SUCCESS"]])
def test_a_job_without_a_status_word_is_no_job(status: object) -> None:
    with pytest.raises(InvalidResponse):
        parse_job(body(status=status))  # type: ignore[arg-type]
    without = body()
    del without["status"]
    with pytest.raises(InvalidResponse):
        parse_job(without)


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        *((word, JobOutcome.SUCCEEDED) for word in ("SUCCESS", "success", "Success", " SUCCESS ")),
        *((word, JobOutcome.FAILED) for word in ("FAIL", "fail", "FAILED", "Error", "ERROR")),
        *(
            (word, JobOutcome.IN_PROGRESS)
            for word in ("INIT", "RUNNING", "WAITING_EXECUTE", "LISTENING", "FOO", "SUCCES")
        ),
        *((word, JobOutcome.IN_PROGRESS) for word in ("SUCCESSFUL", "FAILING", "NOT FAILED", "0")),
    ],
)
def test_only_the_words_for_success_and_failure_are_terminal_in_any_case(word: str, outcome: JobOutcome) -> None:
    found = job(word)
    assert (found.outcome, found.status) == (outcome, word)


def test_entities_keep_scalars_as_json_prints_them_and_drop_the_rest() -> None:
    entities = {"name": "pvc", "size": 40, "ratio": 1.5, "encrypted": True, "no": False, "gone": None, "deep": {"a": 1}}
    assert job(entities=entities).entities == {
        "name": "pvc",
        "size": "40",
        "ratio": "1.5",
        "encrypted": "true",
        "no": "false",
    }


@pytest.mark.parametrize("entities", [None, [], [{"volume_id": "x"}], "", "text", 3])
def test_entities_of_another_type_are_none(entities: object) -> None:
    assert job(entities=entities).entities == {}


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_error_that_is_null_or_empty_is_none(nothing: object) -> None:
    assert job("FAIL", error_code=nothing, fail_reason=nothing).error_code is None
    assert job("FAIL", error_code=nothing, fail_reason=nothing).fail_reason is None


def test_numbers_and_objects_as_errors_become_text() -> None:
    found = job("FAIL", error_code=2024, fail_reason={"forbidden": {"code": 403, "message": "Größe"}})
    assert found.error_code == "2024"
    assert found.fail_reason == '{"forbidden":{"code":403,"message":"Größe"}}'


def test_fields_of_other_types_never_hide_the_status() -> None:
    found = job("SUCCESS", job_id=5, job_type=["x"], begin_time=17, end_time={}, error_code=[], fail_reason=0)
    assert (found.outcome, found.job_id, found.begin_time, found.end_time) == (JobOutcome.SUCCEEDED, "5", None, None)


def test_text_that_cannot_be_written_as_utf8_is_replaced_at_the_boundary() -> None:
    found = parse_job(json.loads('{"status":"R\\ud800","fail_reason":"a\\u0000b","entities":{"k\\udfff":"v\\ud834"}}'))
    assert (found.status, found.fail_reason, dict(found.entities)) == ("R\ufffd", "a\ufffdb", {"k\ufffd": "v\ufffd"})


def test_a_pair_of_surrogates_is_a_character_and_stays() -> None:
    assert (
        parse_job(json.loads('{"status":"RUNNING","fail_reason":"\\ud834\\udd1e 卷"}')).fail_reason == "\U0001d11e 卷"
    )


def test_a_reason_nested_too_deep_to_be_written_is_an_invalid_response() -> None:
    reason: Any = {}
    for _ in range(100_000):
        reason = {"a": reason}
    with pytest.raises(InvalidResponse):
        job("FAIL", fail_reason=reason)


@given(ODD_JOBS)
def test_any_json_is_read_or_refused_as_an_invalid_response(value: object) -> None:
    odd = value if isinstance(value, dict) else {"status": "RUNNING", "entities": value}
    try:
        found = parse_job(odd)
    except InvalidResponse:
        return
    for text in every_text(found):
        text.encode()
        assert "\x00" not in text
    assert found.status.strip()
    assert "sub_jobs" not in found.entities


@given(st.dictionaries(FIELDS, JSON, max_size=9), st.text(min_size=1).filter(str.strip))
def test_a_status_word_makes_it_a_job_whatever_the_other_fields_hold(fields: dict[str, object], word: str) -> None:
    assert parse_job({**fields, "status": word}).status


def test_ten_thousand_sub_jobs_are_read_well_under_half_a_second() -> None:
    entities = {"volume_id": VOLUME_ID, "name": "data-0001", "size": 100, "volume_type": "SSD"}
    end = "2026-02-03T09:20:24.870Z"
    raw = json.dumps(
        batch("RUNNING", *(sub(number, "SUCCESS", entities=entities, end_time=end) for number in range(10_000)))
    )
    assert len(raw) > 2_600_000
    started = time.thread_time()
    assert len(parse_job(json.loads(raw)).sub_jobs) == 10_000
    assert time.thread_time() - started < 0.5


BEGIN = datetime(2026, 2, 3, 9, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-03T09:15:00.118Z", BEGIN + timedelta(milliseconds=118)),
        ("2026-02-03T09:15:00Z", BEGIN),
        ("2026-02-03 09:15:00", BEGIN),
        ("2026-02-03T09:15:00", BEGIN),
        ("2026-02-03T09:15:00.Z", BEGIN),
        ("2026-02-03T09:15:00.512000Z", BEGIN + timedelta(milliseconds=512)),
        ("2026-02-03T09:15:00.123456789Z", BEGIN + timedelta(microseconds=123456)),
        ("2026-02-03T09:15:00.5", BEGIN + timedelta(milliseconds=500)),
        ("2026-02-03T10:15:00+01:00", BEGIN),
        ("2026-02-03T04:15:00-0500", BEGIN),
        (" 2026-02-03T09:15:00z ", BEGIN),
    ],
)
def test_the_time_forms_of_the_stack_are_read_as_utc(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected
    assert parse_time(text).tzinfo is UTC  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "value",
    [
        *("", None, 0, 1700000000, [], {}, True, "yesterday", "2026-02-03", "2026-13-03T09:15:00.000Z"),
        *("2026-02-30T09:15:00Z", "2026-02-03T25:15:00.000Z", "2026-02-03T09:15:61Z", "0000-01-01T00:00:00Z"),
        *("0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00", "2026-02-03T09:15:00+99:99"),
        *("２０２６-02-03T09:15:00.000Z", "2026-W06-2T09:15:00.00Z", "2026-02-03T09:15:00.000Z\n\nx"),
    ],
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert parse_time(value) is None


@given(st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)))
def test_a_time_of_the_api_comes_back_to_the_millisecond(moment: datetime) -> None:
    text = moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    assert parse_time(text) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@given(st.text())
def test_no_text_makes_the_reading_of_times_fail(text: str) -> None:
    parse_time(text)


def test_an_absent_error_is_the_same_as_a_null_one() -> None:
    bare = {key: value for key, value in body("SUCCESS").items() if key not in ("error_code", "fail_reason")}
    assert parse_job(bare) == parse_job(body("SUCCESS"))
    assert parse_job(bare).job_id == JOB_ID


def test_a_job_of_more_sub_jobs_than_are_read_is_refused_for_one_of_them_may_have_failed() -> None:
    subs = [{"job_id": number} for number in range(1, MAX_SUB_JOBS + 1)]
    assert len(parse_job(batch("SUCCESS", *subs)).sub_jobs) == MAX_SUB_JOBS
    with pytest.raises(InvalidResponse, match="more than the 10000 sub-jobs"):
        parse_job(batch("SUCCESS", *subs, sub(1, "FAIL")))


def test_sub_jobs_are_counted_over_all_levels() -> None:
    inner = [batch("SUCCESS", *(sub(number, "SUCCESS") for number in range(100))) for _ in range(100)]
    with pytest.raises(InvalidResponse, match="sub-jobs"):
        parse_job(batch("SUCCESS", *inner))
    assert len(list(parse_job(batch("SUCCESS", *inner[:-1])).descendants())) == 99 * 101


def test_of_a_text_no_more_is_kept_than_can_be_shown() -> None:
    long = "ä" * 100_000
    found = parse_job(batch(long, sub(1, long, error_code=long, fail_reason=[long]), job_type=long))
    assert max(map(len, every_text(found))) == KEPT_CHARACTERS


def test_of_the_entities_as_many_are_kept_as_are_shown_and_those_that_name_volume_and_failure() -> None:
    entities = {f"{number}{'k' * 10_000}": "v" * 10_000 for number in range(1000)}
    found = parse_job(body(entities={**entities, "errorcode_message": "no", "volume_id": VOLUME_ID, "name": "data"}))
    assert len(found.entities) == MAX_ENTITIES + 3
    assert (found.entities["volume_id"], found.entities["errorcode_message"]) == (VOLUME_ID, "no")
    assert max(map(len, [*found.entities, *found.entities.values()])) == KEPT_CHARACTERS
