"""What an answer may be taken for: tables of answers that were seen, and of their siblings."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from evs_operator.cloud.classify import error_of, read_answer
from evs_operator.evs import errors
from evs_operator.evs.job import Job
from evs_operator.evs.times import parse_time
from support.jobs import JOB_ID, body

NOW = datetime(2026, 2, 3, 9, 15, tzinfo=UTC)
WHERE = "evs.example.com"


def read(content: object) -> Job:
    return read_answer(200, {}, json.dumps(content).encode(), job_id=JOB_ID, where=WHERE, now=NOW)


def refusal(status: int, content: object, headers: dict[str, str] | None = None) -> errors.CloudError:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return error_of(status, headers or {}, raw, where=WHERE, now=NOW)


NO_JOBS: list[dict[str, Any]] = [
    {"status": "error", "message": "upstream down"},
    {"status": "FAILED", "reason": "maintenance"},
    {"status": "fail", "code": "500", "message": "backend"},
    {"status": "error", "error_code": "APIGW.0601", "error_msg": "internal"},
    {"id": "0f9f6d42", "name": "data", "status": "error", "size": 10},
    {"id": "0f9f6d42", "name": "vm", "status": "ERROR", "flavor": {"id": "s3"}},
    {"status": "UP"},
    {"status": "SUCCESS"},
    {"status": "ok", "components": {"db": {"status": "UP"}}},
    {"status": "SUCCESS", "data": {"job_id": JOB_ID}},
    {"status": "FAIL", "job_id": None, "job_type": "", "begin_time": None, "entities": None, "sub_jobs": None},
    {"status": "FAIL", "job_id": "", "entities": [], "sub_jobs": {}},
    {"status": "FAIL", "Job_Id": JOB_ID, "jobId": JOB_ID},
    {"status": "FAIL", "error_code": None, "fail_reason": "x", "end_time": "2026-02-03T09:15:00.118Z"},
]


@pytest.mark.parametrize("content", NO_JOBS)
def test_a_body_with_a_status_that_does_not_identify_itself_is_no_job(content: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidResponse, match="something that is no job"):
        read(content)


IDENTIFIED: list[dict[str, Any]] = [
    {"job_id": JOB_ID},
    {"job_type": "createVolume"},
    {"begin_time": "2026-02-03T09:15:00.118Z"},
    {"entities": {}},
    {"entities": {"volume_id": "v"}},
    {"sub_jobs": []},
    {"job_type": "createVolume", "begin_time": "2026-02-03T09:15:00.118Z", "end_time": "2026-02-03T09:15:09.402Z"},
]


@pytest.mark.parametrize("status", ["SUCCESS", "FAIL", "error", "RUNNING", "LISTENING"])
@pytest.mark.parametrize("fields", IDENTIFIED)
def test_a_body_with_a_status_and_one_field_of_a_job_is_a_job(fields: dict[str, Any], status: str) -> None:
    assert read({"status": status, **fields}).status == status


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"job_id": JOB_ID}, True),
        ({"job_type": "createVolume", "begin_time": "2026-02-03T09:15:00.118Z", "end_time": ""}, True),
        ({"job_type": "createVolume"}, False),
        ({"begin_time": "2026-02-03T09:15:00.118Z"}, False),
        ({"entities": {"volume_id": "v"}}, False),
        ({"job_type": "createVolume", "begin_time": "0001-01-01T00:00:00.000Z"}, False),
    ],
)
def test_an_answer_names_its_job_by_id_or_by_type_and_times(fields: dict[str, Any], named: bool) -> None:
    assert read({"status": "FAIL", **fields}).is_named is named


EMPTY_ERRORS: list[object] = [
    *(None, "", "null", "NULL", " ", "none", "0", 0, False, {}, [], [None], "{}", "[]"),
    *({"message": None, "code": None}, {"code": 0, "message": ""}, {"code": "", "message": ""}, {"code": "0"}),
    *({"code": 0, "message": "success"}, {"code": "200", "message": "OK"}, {"message": "null", "code": "null"}),
    *({"message": [], "code": {}}, [{"code": None}], {"inner": {"code": None, "message": ""}}),
]


@pytest.mark.parametrize("error", EMPTY_ERRORS)
@pytest.mark.parametrize("status", ["RUNNING", "SUCCESS", "FAIL"])
def test_an_error_whose_values_are_all_empty_is_none(error: object, status: str) -> None:
    assert read(body(status, error=error)).status == status


@pytest.mark.parametrize(
    "error",
    [{"message": "x"}, {"code": "EVS.2002"}, "it broke", [{"message": "x"}], {"code": 500, "message": ""}, True, 7],
)
def test_an_error_that_says_something_is_one(error: object) -> None:
    with pytest.raises(errors.CloudError):
        read(body("SUCCESS", error=error))


NO_TIMES = [
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z", "1970-01-01 00:00:00"),
    *("1999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z", "2200-01-01T00:00:00.000Z", "1900-01-01T00:00:00Z"),
    *(
        "1601-01-01T00:00:00.000000Z",
        "9999-12-31T23:59:59+00:00",
        "0001-01-01T00:00:00+14:00",
        "1970-01-01T01:00:00+01:00",
    ),
]


@pytest.mark.parametrize("text", NO_TIMES)
def test_a_zero_of_some_language_is_no_time(text: str) -> None:
    assert parse_time(text) is None
    found = read(body("RUNNING", begin_time=text, end_time=text))
    assert (found.begin_time, found.end_time) == (None, None)


@pytest.mark.parametrize("text", ["2000-01-01T00:00:00.000Z", "2199-12-31T23:59:59.999Z", "2026-02-03 09:15:00"])
def test_a_time_of_this_age_is_one(text: str) -> None:
    assert parse_time(text) is not None


def over_limit(code: object = 413, **more: object) -> dict[str, Any]:
    return {"overLimit": {"code": code, "message": "This request was rate-limited.", **more}}


THROTTLES: list[tuple[int, object, dict[str, str], float | None]] = [
    (413, over_limit(), {"retry-after": "7"}, 7.0),
    (413, over_limit("413"), {}, None),
    (413, over_limit(retryAfter="54"), {}, 54.0),
    (413, over_limit(retryAfter=54), {"retry-after": "7"}, 7.0),
    (413, {"error": {"code": "overLimit", "message": "x"}}, {"retry-after": "7"}, 7.0),
    (503, over_limit(503), {"retry-after": "7"}, 7.0),
    (503, {"error_code": "OverLimit", "error_msg": "x"}, {"retry-after": "7"}, 7.0),
    (429, over_limit(429), {"retry-after": "7"}, 7.0),
    (200, over_limit(), {"retry-after": "7"}, 7.0),
    (429, b"", {"retry-after": "7"}, 7.0),
    (429, b"<html>", {"retry-after": "Tue, 03 Feb 2026 09:15:07 GMT"}, 7.0),
]


@pytest.mark.parametrize(("status", "content", "headers", "wait"), THROTTLES)
def test_a_throttle_is_one_under_every_status_that_it_comes_with(
    status: int, content: object, headers: dict[str, str], wait: float | None
) -> None:
    found = refusal(status, content, headers)
    assert (type(found), found.retry_after) == (errors.RateLimited, wait)


@pytest.mark.parametrize(
    ("status", "content"),
    [(413, {"error": {"code": "EVS.5413", "message": "Insufficient volume quota."}}), (413, b""), (503, b"<html>")],
)
def test_too_large_and_out_of_service_are_no_throttles_by_themselves(status: int, content: object) -> None:
    assert not isinstance(refusal(status, content), errors.RateLimited)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 408, 409, 413, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    ("named", "wait"),
    [("120", 120.0), (" 120 ", 120.0), ("Tue, 03 Feb 2026 09:17:00 GMT", 120.0), ("86400", 3600.0), ("0", 0.0)],
)
def test_the_wait_that_an_answer_names_is_noted_under_every_status(status: int, named: str, wait: float) -> None:
    assert refusal(status, b"", {"retry-after": named}).retry_after == wait


@pytest.mark.parametrize("named", ["", "-5", "soon", "1e9", "٣", "12.5", "Tue, 99 Feb 2026 09:17:00 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_cannot_be_read_is_none(status: int, named: str) -> None:
    assert refusal(status, b"", {"retry-after": named}).retry_after is None


def test_a_lock_lasts_as_long_as_it_lasts_whatever_the_answer_names() -> None:
    locked = {"error_code": "APIGW.0301", "error_msg": "AK access failed to reach the limit,forbidden"}
    assert refusal(401, locked, {"retry-after": "1"}).retry_after == 300.0
    assert refusal(401, locked, {"retry-after": "600"}).retry_after == 600.0


@pytest.mark.parametrize("request_id", ["r", "e", "or", "APIGW", "1234567", "", None, 7, [], {"a": 1}])
def test_a_short_request_id_is_not_cut_out_of_the_message(request_id: object) -> None:
    content = {"error_code": "APIGW.0602", "error_msg": "error or 1234567 APIGW", "request_id": request_id}
    assert refusal(400, content).message == f"{WHERE}: error or 1234567 APIGW"


@pytest.mark.parametrize("request_id", ["12345678", "7f0d" * 8])
def test_a_request_id_is_cut_out_of_the_message(request_id: str) -> None:
    content = {"error_code": "APIGW.0602", "error_msg": f"see {request_id} there", "request_id": request_id}
    assert refusal(400, content).message == f"{WHERE}: see … there"


def test_a_value_nested_too_deep_to_be_written_as_text_is_no_error_of_ours() -> None:
    for key in ("request_id", "error_msg", "error_code", "error", "message", "code"):
        raw = b'{"error_code":"E","error_msg":"m","' + key.encode() + b'":' + b"[" * 950 + b"]" * 950 + b"}"
        assert isinstance(refusal(400, raw), errors.CloudError)


@pytest.mark.parametrize("code", [401, "401"])
def test_a_code_that_only_repeats_the_status_is_none(code: object) -> None:
    found = refusal(401, {"error": {"code": code, "message": "The X-Auth-Token is invalid!", "title": "Unauthorized"}})
    assert (found.code, found.message) == (None, f"{WHERE}: The X-Auth-Token is invalid!")
