"""How a body is read: bytes, UTF-8, JSON, and nothing that the answer says of itself."""

from __future__ import annotations

import encodings.aliases
import gc
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.cloud.auth.authentication import Signer
from evs_operator.cloud.auth.credentials import AccessKey, Password
from evs_operator.cloud.auth.sign_in import auth_for
from evs_operator.cloud.body import MOST_VALUES, has_too_many_values, object_of, text_of
from evs_operator.cloud.classify import read_answer
from evs_operator.cloud.client import EvsClient
from evs_operator.evs import errors
from support.body_reading import all_faults, faults
from support.jobs import JOB_ID, body

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
CODECS = sorted({*encodings.aliases.aliases, *encodings.aliases.aliases.values(), "idna", "undefined", "nonsense"})
ANSWERS = [
    (200, json.dumps(body("FAIL", fail_reason="größer 卷")).encode()),
    (401, b"x-" + b"a" * 200_000),
    (401, b'{"error_msg":"signature expired","error_code":"APIGW.0301"}'),
]


def heads(codec: str) -> dict[str, str]:
    return {"Content-Type": f"application/json; charset={codec}", "Date": "Tue, 03 Feb 2026 09:15:00 GMT"}


async def outcome(status: int, content: bytes, headers: dict[str, str]) -> object:
    """Return what a call with an access key makes of an answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))

    auth = auth_for(AccessKey("key-id", "secret"), PROJECT, clock=lambda: datetime(2026, 2, 3, 9, tzinfo=UTC))
    async with EvsClient("https://evs.example.com", auth, transport=httpx.MockTransport(answer)) as client:
        try:
            return await client.get_job(PROJECT, JOB_ID)
        except errors.CloudError as error:
            return type(error), error.message, error.code


@pytest.mark.parametrize(("status", "content"), ANSWERS)
async def test_no_charset_that_an_answer_names_changes_how_it_is_read(status: int, content: bytes) -> None:
    expected = await outcome(status, content, {"Date": heads("")["Date"]})
    for codec in CODECS:
        started = time.thread_time()
        assert await outcome(status, content, heads(codec)) == expected, codec
        assert time.thread_time() - started < 0.5, codec


@pytest.mark.parametrize("codec", ["punycode", "idna", "utf-16", "rot13", "hex", "zlib", "unicode_escape"])
async def test_no_charset_that_iam_names_changes_what_its_refusal_means(codec: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        content = b'{"error":{"message":"The username or password is wrong.","code":401}}'
        return httpx.Response(401, headers=heads(codec), stream=httpx.ByteStream(content))

    auth = auth_for(Password("u", "p", "d", "https://iam.example.com"), PROJECT, clock=lambda: datetime.now(UTC))
    async with EvsClient("https://evs.example.com", auth, transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(errors.Unauthorized, match="username or password is wrong"):
            await client.get_job(PROJECT, JOB_ID)


async def test_a_large_refusal_in_a_codec_that_takes_hours_is_looked_at_in_no_time() -> None:
    response = httpx.Response(401, headers=heads("punycode"), stream=httpx.ByteStream(b"x-" + b"a" * 2_000_000))
    response.read()
    started = time.thread_time()
    assert not await Signer(clock=lambda: datetime.now(UTC)).is_off(response)
    assert time.thread_time() - started < 0.1


def test_bodies_are_read_in_one_place() -> None:
    assert all_faults() == []


@pytest.mark.parametrize(
    "line",
    [
        *("response.text", "response.json()", "answer.encoding", "await answer.text()", "await answer.json()"),
        *("response.charset_encoding", "answer.get_encoding()", "json.loads(content)", "json.load(file)"),
        *("content.decode(charset)", "content.decode(encoding=charset)", "codecs.lookup(charset)"),
        *("async_iterator = response.aiter_text()", "from json import loads", "json.JSONDecoder()"),
    ],
)
def test_the_linter_finds_who_reads_a_body_in_a_way_of_its_own(line: str) -> None:
    assert list(faults(f"async def read() -> None:\n    {line}\n"))


def test_the_linter_lets_fixed_codecs_and_written_json_be() -> None:
    assert not list(faults('content.decode("utf-8", "replace")\njson.dumps(value)\nhttpx.Request("GET", u, json=a)\n'))


def test_text_is_utf_8_with_replacement_and_without_a_mark_of_byte_order() -> None:
    assert text_of(b"\xef\xbb\xbfgr\xc3\xb6\xff\xed\xa0\x80") == "grö" + "\ufffd" * 4


def values(number: int) -> Iterator[bytes]:
    """Yield bodies with that number of values or a little more, each in another shape."""
    yield b'{"a":[' + b",".join([b"1"] * number) + b"]}"
    yield b'{"a":[' + b",".join([b"[]"] * (number // 2)) + b"]}"
    yield b'{"a":[' + b",".join([b'{"job_id":1}'] * (number // 2)) + b"]}"
    yield b"{" + b",".join(b'"%x":1' % key for key in range(number)) + b"}"
    yield b'{"a":[' + b",".join([b'"\\\\"'] * number) + b"]}"
    yield b'{"a":[' + b",".join([b'",[{\\",[{"'] * number) + b"]}"


def test_an_answer_with_more_values_than_are_read_is_refused_before_they_are_made() -> None:
    for content in values(MOST_VALUES + 5):
        assert has_too_many_values(content)
        assert object_of(content) is None


def test_an_answer_with_as_many_values_as_are_read_is_read() -> None:
    for content in values(MOST_VALUES - 5):
        assert object_of(content) is not None


@given(st.text(alphabet='[{,"\\a}', max_size=300), st.integers(1, 3))
def test_what_stands_in_a_text_is_no_value(text: str, times: int) -> None:
    content = json.dumps({"fail_reason": text * times, "a": text}).encode()
    outside = json.dumps({"fail_reason": "", "a": ""}).encode()
    padding = b" " * 10 + b",[{" * 200_000
    assert not has_too_many_values(content)
    assert has_too_many_values(content + padding) == has_too_many_values(outside + padding)


def test_a_reason_of_eight_mebibytes_of_commas_is_read() -> None:
    content = json.dumps({"status": "FAIL", "fail_reason": ',[{"\\' * 1_300_000}).encode()
    found = object_of(content)
    assert found is not None
    assert found["status"] == "FAIL"


@pytest.mark.parametrize("content", [json.dumps(body("RUNNING", x="a" * 100_000)).encode(), b"[" * 100_000])
def test_the_collector_of_cycles_goes_on_after_a_large_answer(content: bytes) -> None:
    with suppress(errors.CloudError):
        read_answer(200, {}, content, job_id=JOB_ID, where="", now=datetime.now(UTC))
    assert gc.isenabled()


def test_a_number_of_any_length_is_read_in_no_time() -> None:
    content = b'{"status":"RUNNING","n":[' + b",".join([b"9" * 4299] * 1900) + b',1,"%b"]}' % (b"9" * 5000)
    started = time.thread_time()
    assert object_of(content) is not None
    assert time.thread_time() - started < 0.1
    assert object_of(b'{"n":' + b"9" * 300_000 + b"}") is not None
    assert object_of(b'{"n":12345678901234567890123}') == {"n": 12345678901234567890123}
