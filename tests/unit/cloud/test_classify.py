"""Which error an answer means: by code first, then by status; an HTTP error is never a job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.cloud.classify import error_of, read_answer
from evs_operator.evs import errors
from evs_operator.evs.error_codes import lookup
from evs_operator.evs.job import KEPT_CHARACTERS, Job
from support.jobs import JOB_ID, body

NOW = datetime(2026, 2, 3, 9, 15, tzinfo=UTC)
WHERE = "evs.eu-de.otc.t-systems.com"


def read(status: int, content: Any, headers: Mapping[str, str] | None = None) -> Job:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_answer(status, headers or {}, raw, job_id=JOB_ID, where=WHERE, now=NOW)


def refusal(status: int, content: Any, headers: Mapping[str, str] | None = None) -> errors.CloudError:
    with pytest.raises(errors.CloudError) as raised:
        read(status, content, headers)
    return raised.value


def e1(code: object, message: object = "said") -> dict[str, Any]:
    return {"error": {"message": message, "code": code}}


def e2(code: str, message: str = "said", request_id: str = "7f0d") -> dict[str, Any]:
    return {"error_msg": message, "error_code": code, "request_id": request_id}


def test_a_job_under_200_is_a_job() -> None:
    assert read(200, body("RUNNING")).status == "RUNNING"


def test_a_jobs_own_error_code_is_no_error_of_the_call() -> None:
    found = read(200, body("FAIL", error_code="APIGW.0301", fail_reason="AK access failed to reach the limit"))
    assert found.error_code == "APIGW.0301"


@pytest.mark.parametrize("error", [None, "", {}, []])
def test_an_empty_error_beside_a_status_does_not_hide_the_job(error: object) -> None:
    assert read(200, body("SUCCESS", error=error)).status == "SUCCESS"


def test_an_error_beside_a_status_replaces_the_job() -> None:
    assert type(refusal(200, body("SUCCESS", **e1("Common.0011")))) is errors.JobMissing


BY_CODE: list[tuple[int, str, type[errors.CloudError]]] = [
    (400, "Common.0011", errors.JobMissing),
    (404, "EVS.5404", errors.JobMissing),
    (400, "Common.0013", errors.Unauthorized),
    (400, "EVS.0002", errors.Unauthorized),
    (401, "EVS.5401", errors.Unauthorized),
    (500, "EVS.2034", errors.Unauthorized),
    (500, "EVS.2035", errors.Unauthorized),
    (500, "EVS.2036", errors.Unauthorized),
    (400, "Common.0018", errors.WrongProject),
    (400, "EVS.0001", errors.WrongProject),
    (400, "SYS.0400", errors.WrongProject),
    (403, "EVS.0003", errors.Forbidden),
    (401, "EVS.2143", errors.Forbidden),
    (403, "EVS.2144", errors.Forbidden),
    (403, "EVS.5403", errors.Forbidden),
    (404, "EVS.2265", errors.Forbidden),
    (404, "EVS.2044", errors.ServerError),
    (400, "EVS.1033", errors.ServerError),
    (500, "EVS.2002", errors.ServerError),
    (503, "EVS.5503", errors.ServerError),
    (500, "EVS.2024", errors.ServerError),
    (409, "EVS.2409", errors.ServerError),
    (400, "EVS.5400", errors.Rejected),
    (413, "EVS.5413", errors.Rejected),
    (400, "Made.0001", errors.Rejected),
    (404, "Made.0001", errors.Rejected),
    (429, "IAM.0012", errors.RateLimited),
]
GATEWAY: list[tuple[int, str, type[errors.CloudError]]] = [
    (404, "0101", errors.EndpointInvalid),
    (404, "0103", errors.ServerError),
    (400, "0106", errors.ServerError),
    (400, "0201", errors.Rejected),
    (494, "0201", errors.Rejected),
    (502, "0201", errors.ServerError),
    (504, "0201", errors.ServerError),
    (401, "0301", errors.Unauthorized),
    (403, "0302", errors.Forbidden),
    (401, "0303", errors.Unauthorized),
    (401, "0305", errors.Unauthorized),
    (403, "0306", errors.Forbidden),
    (401, "0307", errors.Unauthorized),
    (429, "0308", errors.RateLimited),
    (403, "0310", errors.Forbidden),
    (403, "0401", errors.Forbidden),
    (405, "0501", errors.Forbidden),
    (500, "0601", errors.ServerError),
    (400, "0602", errors.Rejected),
    (502, "0605", errors.ServerError),
    (500, "0612", errors.ServerError),
    (503, "0613", errors.ServerError),
    (500, "0705", errors.ServerError),
    (403, "0801", errors.Forbidden),
    (403, "9999", errors.Forbidden),
]


@pytest.mark.parametrize(("status", "code", "kind"), BY_CODE)
def test_a_code_of_evs_decides(status: int, code: str, kind: type[errors.CloudError]) -> None:
    for content in (e1(code), e2(code), {"code": code, "message": "said"}):
        found = refusal(status, content)
        assert (type(found), found.code, found.http_status) == (kind, code, status)


@pytest.mark.parametrize("prefix", ["APIGW", "APIG"])
@pytest.mark.parametrize(("status", "suffix", "kind"), GATEWAY)
def test_a_code_of_the_gateway_decides_by_its_number(
    status: int, suffix: str, kind: type[errors.CloudError], prefix: str
) -> None:
    assert type(refusal(status, e2(f"{prefix}.{suffix}"))) is kind


BY_STATUS: list[tuple[int, type[errors.CloudError]]] = [
    (400, errors.Rejected),
    (401, errors.Unauthorized),
    (403, errors.Forbidden),
    (404, errors.EndpointInvalid),
    (405, errors.Rejected),
    (407, errors.Rejected),
    (408, errors.ServerError),
    (409, errors.ServerError),
    (413, errors.Rejected),
    (429, errors.RateLimited),
    (431, errors.Rejected),
    (494, errors.Rejected),
    (500, errors.ServerError),
    (502, errors.ServerError),
    (504, errors.ServerError),
    (599, errors.ServerError),
]


@pytest.mark.parametrize(("status", "kind"), BY_STATUS)
@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"Authentication required", b"{}", b"[]", b"\xff"])
def test_without_a_code_the_status_decides(status: int, kind: type[errors.CloudError], content: bytes) -> None:
    found = refusal(status, content)
    assert (type(found), found.code) == (kind, None)
    assert found.message == f"{WHERE} answered HTTP {status}"


def test_a_job_under_an_error_status_is_an_error() -> None:
    assert type(refusal(500, body("SUCCESS"))) is errors.ServerError
    assert type(refusal(400, body("FAIL", error_code="EVS.5400"))) is errors.Rejected


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (e1("Common.0011"), errors.JobMissing),
        (e1("Common.0013"), errors.Unauthorized),
        (e1("EVS.5503"), errors.ServerError),
        (e1("EVS.5400"), errors.Rejected),
        (e1("EVS.5429"), errors.RateLimited),
        (e1(401), errors.Unauthorized),
        (e1(503), errors.ServerError),
        (e1("403"), errors.Forbidden),
        (e2("APIGW.0308"), errors.RateLimited),
        (e1("XXX", "XXXX"), errors.Rejected),
        ({"error": "it broke"}, errors.Rejected),
        ({"unauthorized": {"message": "no", "code": 401}}, errors.Unauthorized),
        ({"itemNotFound": {"message": "no such thing", "code": 404}}, errors.JobMissing),
        ({"computeFault": {"message": "down", "code": 500}}, errors.ServerError),
    ],
)
def test_an_error_under_200_counts_as_with_the_status_of_its_code(
    content: object, kind: type[errors.CloudError]
) -> None:
    found = refusal(200, content)
    assert (type(found), found.http_status) == (kind, 200)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b" ", b"null", b"[]", b"7", b'"SUCCESS"', b"<html>Sign in</html>", b'{"status":', b"{}", b"\xff\xfe"),
        *(b'{"status":""}', b'{"status":null}', b'{"status":5}', b'{"status":["SUCCESS"]}', b'{"jobs":[]}'),
        *(b'{"job_id":"x","error_code":null,"fail_reason":null}', b'{"error_msg":null,"error_code":null}'),
        *(b"[" * 100_000, b'{"status":"SUCCESS","entities":' + b'{"a":' * 100_000, b'{"status":' + b"9" * 5000 + b"}"),
    ],
)
def test_what_is_neither_job_nor_error_under_200_is_an_invalid_response(content: bytes) -> None:
    found = refusal(200, content)
    assert (type(found), found.http_status) == (errors.InvalidResponse, 200)
    assert WHERE in found.message


@pytest.mark.parametrize("depth", [100, 900, 990, 5_000, 9_990, 50_000])
def test_a_value_is_read_as_deep_as_python_can_write_it_and_is_an_invalid_response_beyond(depth: int) -> None:
    content = (
        b'{"job_id":"%b","status":"FAIL","fail_reason":' % JOB_ID.encode()
        + b'{"a":' * depth
        + b"1"
        + b"}" * (depth + 1)
    )
    try:
        job = read(200, content)
    except errors.InvalidResponse:
        assert depth >= 900  # Python 3.11 can write some 980, 3.13 some 10,000
    else:
        assert depth < 50_000
        assert job.fail_reason == ('{"a":' * depth + "1" + "}" * depth)[:KEPT_CHARACTERS]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_the_wrong_endpoint(status: int) -> None:
    found = refusal(status, body("SUCCESS"), {"location": "https://user:pw@sso.example.com/login?session=s3cr3t"})
    assert (type(found), found.message) == (errors.EndpointInvalid, f"{WHERE} redirects to sso.example.com")


@pytest.mark.parametrize("location", ["", "/login?session=s3cr3t", "https://?s3cr3t", "http://[::1", "s3cr3t://", "//"])
def test_a_redirect_shows_the_host_and_nothing_else(location: str) -> None:
    found = refusal(302, b"", {"location": location})
    assert "s3cr3t" not in found.message.removeprefix(f"{WHERE} redirects to ")
    assert len(found.message) < 80


def test_an_answer_about_another_job_is_an_invalid_response() -> None:
    found = refusal(200, body("SUCCESS", job_id="f\nf" * 60))
    assert type(found) is errors.InvalidResponse
    assert "another job" in found.message
    assert "\n" not in found.message


@pytest.mark.parametrize("own", [JOB_ID, "", None])
def test_the_id_asked_for_or_none_is_the_right_job(own: str | None) -> None:
    assert read(200, body("SUCCESS", job_id=own)).status == "SUCCESS"


def test_the_id_of_a_job_is_compared_with_regard_to_case() -> None:
    assert type(refusal(200, body("SUCCESS", job_id=JOB_ID.upper()))) is errors.InvalidResponse


@pytest.mark.parametrize("status", [200, 400, 401, 403, 429])
def test_a_locked_access_key_is_told_from_a_wrong_one(status: int) -> None:
    found = refusal(status, e2("APIGW.0301", "AK access failed to reach the limit,forbidden"))
    assert isinstance(found, errors.AccessKeyLocked)
    assert found.retry_after >= 300


def test_a_key_without_project_is_the_wrong_project() -> None:
    message = "project_id 'x' doesn't match Context's project_id 'null'"
    assert type(refusal(400, {"badRequest": {"message": message, "code": "401"}})) is errors.WrongProject


@pytest.mark.parametrize("code", ["APIGW.0308", "APIGW.0301", "EVS.5503", "Common.0011", "x"])
def test_a_429_is_a_throttle_whatever_its_code(code: str) -> None:
    assert type(refusal(429, e2(code))) is errors.RateLimited


WINDOW = "The throttling threshold has been reached: policy user over ratelimit,limit:200,time:5 minute"


@pytest.mark.parametrize(
    ("headers", "message", "expected"),
    [
        ({"retry-after": "7"}, WINDOW, 7.0),
        ({"retry-after": " 0 "}, "", 0.0),
        ({"retry-after": "999999999999"}, "", 3600.0),
        ({"retry-after": "Tue, 03 Feb 2026 09:15:30 GMT"}, "", 30.0),
        ({"retry-after": "Tue, 03 Feb 2026 09:15:30 GMT", "date": "Tue, 03 Feb 2026 09:15:20 GMT"}, "", 10.0),
        ({"retry-after": "Tue, 03 Feb 2026 09:00:00 GMT"}, "", 0.0),
        ({"retry-after": "Tue, 03 Feb 2099 09:00:00 GMT"}, "", 3600.0),
        ({"retry-after": "soon"}, WINDOW, 60.0),
        ({"retry-after": "-5"}, "", None),
        ({"retry-after": "٣"}, "", None),
        ({}, WINDOW, 60.0),
        ({}, "policy ip over ratelimit,limit:5,time:5 second", 5.0),
        ({}, "limit:100,time:1 minute", 60.0),
        ({}, "time:99999999999999999999 minute", 60.0),
        ({}, "slow down", None),
    ],
)
def test_a_throttle_tells_how_long_to_wait_where_the_answer_does(
    headers: dict[str, str], message: str, expected: float | None
) -> None:
    found = refusal(429, e2("APIGW.0308", message), headers)
    assert isinstance(found, errors.RateLimited)
    assert found.retry_after == expected


FORMS: list[tuple[object, str, str]] = [
    (e1("EVS.5400", "m"), "EVS.5400", "m"),
    (e2("IAM.0001", "m"), "IAM.0001", "m"),
    ({"error": {"message": "m", "code": 400, "title": "Bad Request"}}, "", "m"),
    ({"error": {"message": None, "code": 400, "title": "Bad Request"}}, "", "Bad Request"),
    ({"badRequest": {"message": "m", "code": 400}}, "badRequest", "m"),
    ({"badrequest": {"message": "m", "code": "400"}}, "badrequest", "m"),
    ({"overLimit": {"message": "m", "code": 413}}, "overLimit", "m"),
    ({"code": "SYS.1", "message": "m"}, "SYS.1", "m"),
    ({"errorCode": "S.1", "errorMsg": "m"}, "S.1", "m"),
    ({"errCode": "S.1", "errMsg": "m"}, "S.1", "m"),
    ({"errorCode": "S.1", "errorMessage": "m"}, "S.1", "m"),
    ({"error": {"code": "111401001", "message": "m", "ext_message": None}}, "111401001", "m"),
    ({"error_code": "S.1", "message": "m"}, "S.1", "m"),
    ({"error": {"error_code": "S.1", "error_msg": "m"}}, "S.1", "m"),
    ({"error": "m"}, "", "m"),
    (e1({"deep": ["x"]}, ["m"]), '{"deep":["x"]}', '["m"]'),
    (e1("a\nb", "c\r\n\t d\x00"), "a b", "c d\ufffd"),
]


@pytest.mark.parametrize(("content", "code", "message"), FORMS)
def test_every_form_of_error_gives_code_and_message(content: object, code: str, message: str) -> None:
    found = refusal(400, content)
    assert (found.code or "", found.message) == (code, f"{WHERE}: {message}")


def test_the_request_id_is_kept_beside_the_message() -> None:
    assert refusal(400, e2("x"), {"x-request-id": "r1"}).request_id == "r1"
    assert refusal(400, e2("x", request_id="r2")).request_id == "r2"
    assert refusal(502, b"<html>", {"x-request-id": "r3"}).request_id == "r3"
    assert refusal(400, e1("x")).request_id is None


def test_two_answers_about_the_same_trouble_give_the_same_message() -> None:
    texts = [
        f"calc aksk signature fail:signature expired, signature time:{one},server time:{two} (request {request})"
        for one, two, request in (
            ("20260203T091500Z", "20260203T093105Z", "7f0d1c2b3a495867"),
            ("20260203T091600Z", "20260203T093205Z", "80aa1c2b3a495867"),
        )
    ]
    first, second = (refusal(401, e2("APIGW.0301", text, text[-17:-1])).message for text in texts)
    assert first == second
    assert "signature expired" in first


def test_a_message_is_one_line_and_bounded() -> None:
    found = refusal(400, e1("C" * 5000, "long \n\n text " * 100_000))
    assert len(found.message) <= 512
    assert len(found.code or "") <= 64
    assert found.message.isprintable()
    assert len(errors.CloudError("x " * 5000).message) == 512


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b""])
def test_a_byte_order_mark_is_taken_off(content: bytes) -> None:
    assert read(200, content + json.dumps(body("RUNNING")).encode()).status == "RUNNING"


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    raw = json.dumps(body("FAIL", fail_reason="GROESSE")).encode().replace(b"OE", b"\xd6")
    assert read(200, raw).fail_reason == "GR\ufffdSSE"


def test_of_duplicate_keys_the_last_counts_and_nan_is_no_obstacle() -> None:
    raw = b'{"status":"RUNNING","job_id":"' + JOB_ID.encode() + b'","entities":{"size":NaN,"n":1e999},"status":"FAIL"}'
    found = read(200, raw)
    assert (found.status, found.entities) == ("FAIL", {"size": "NaN", "n": "Infinity"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["status", "error", "code", "message", "error_code", "error_msg", "errorCode", "errorMsg", "request_id"]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)
CODE = st.sampled_from([code for _, code, _ in BY_CODE] + [f"APIGW.{code}" for _, code, _ in GATEWAY])
CONTENT = (
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.builds(lambda code, text: json.dumps(e1(code, text)).encode(), CODE | JSON, JSON)
    | st.sampled_from(["RUNNING", "SUCCESS", "FAIL"]).map(lambda word: json.dumps(body(word)).encode())
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "location", "date", "x-request-id"]),
    st.text() | st.sampled_from(["Tue, 03 Feb 2026 09:15:30 +99999999999999999999", "Mon, 01 Jan 99999 00:00:00 GMT"]),
)


@given(st.integers(400, 599), CONTENT, HEADERS)
def test_a_4xx_or_5xx_is_always_an_error_and_never_a_job(status: int, content: bytes, headers: dict[str, str]) -> None:
    found = refusal(status, content, headers)
    assert found.http_status == status
    assert len(found.message) <= 512
    assert "\n" not in found.message
    found.message.encode()
    assert type(found) is not errors.InvalidResponse


@given(st.integers(100, 699), CONTENT, HEADERS)
def test_an_answer_is_a_job_or_a_cloud_error_and_nothing_else(
    status: int, content: bytes, headers: dict[str, str]
) -> None:
    try:
        found = read(status, content, headers)
    except errors.CloudError:
        return
    assert 200 <= status < 300
    assert found.status


@given(st.integers(100, 699), CONTENT, HEADERS)
def test_an_error_is_made_of_any_answer(status: int, content: bytes, headers: dict[str, str]) -> None:
    assert isinstance(error_of(status, headers, content, where=WHERE, now=NOW), errors.CloudError)


def test_every_code_that_names_the_credential_is_unauthorized_under_its_own_status() -> None:
    for code in ("EVS.0002", "EVS.2034", "EVS.2035", "EVS.2036", "EVS.5401", "Common.0013"):
        known = lookup(code)
        assert known is not None
        assert type(refusal(known.http_status, e1(code))) is errors.Unauthorized
