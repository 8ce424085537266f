"""Tokens and signatures as generators: requests come out, answers go in, no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from evs_operator.cloud.auth.authentication import AccessKeyAuth, GrantedTokenAuth, TokenAuth, signing
from evs_operator.cloud.auth.credentials import AccessKey, Password, Token
from evs_operator.cloud.auth.sign_in import auth_for
from evs_operator.evs import errors

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
URL = f"https://evs.eu-de.otc.t-systems.com/v1/{PROJECT}/jobs/ff8080827e7810fb017f06338a731328"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = AccessKey("AK", "SK-TEST")
EXPIRED = {
    "error_msg": "Incorrect IAM authentication information: calc aksk signature fail:signature expired, "
    "signature time:20260102T030405Z,server time:20260102T033405Z",
    "error_code": "APIGW.0301",
}


def now() -> datetime:
    return NOW


async def sent(auth: httpx.Auth, *answers: httpx.Response, url: str = URL) -> Sequence[httpx.Headers]:
    """Return the headers of the requests that the flow makes when it gets these answers."""
    request = httpx.Request("GET", url)
    flow = auth.async_auth_flow(request)
    seen = [httpx.Headers((await anext(flow)).headers)]
    for answer in answers:
        try:
            seen.append(httpx.Headers((await flow.asend(answer)).headers))
        except StopAsyncIteration:
            break
    await flow.aclose()
    return seen


def refused(body: object = EXPIRED, date: str = "Fri, 02 Jan 2026 03:34:05 GMT", status: int = 401) -> httpx.Response:
    return httpx.Response(status, json=body, headers={"Date": date} if date else {})


async def test_a_token_goes_along_as_it_is_and_is_never_tried_twice() -> None:
    seen = await sent(TokenAuth(Token("the-token")), refused())
    assert [headers["X-Auth-Token"] for headers in seen] == ["the-token"]


async def test_a_request_is_signed_over_host_project_and_date() -> None:
    (headers,) = await sent(auth_for(KEY, PROJECT, clock=now))
    assert headers["X-Sdk-Date"] == "20260102T030405Z"
    assert headers["X-Project-Id"] == PROJECT
    assert headers["Authorization"] == (
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-project-id;x-sdk-date, "
        "Signature=1547dfe69dff9d710baea47ca05177480bd8adb06d2b791af3e70f88fff67ade"
    )
    assert "X-Security-Token" not in headers


async def test_a_security_token_goes_along_unsigned_so_that_no_error_can_echo_it() -> None:
    (headers,) = await sent(auth_for(AccessKey("AK", "SK-TEST", "temporary"), PROJECT, clock=now))
    assert headers["X-Security-Token"] == "temporary"
    assert "security" not in headers["Authorization"].lower()


async def test_a_port_and_a_query_are_part_of_what_is_signed() -> None:
    url = "http://127.0.0.1:8081/v1/a%20b/jobs/x?b=2&a=%20"
    (headers,) = await sent(auth_for(KEY, PROJECT, clock=now), url=url)
    signed = {"host": "127.0.0.1:8081", "x-project-id": PROJECT, "x-sdk-date": "20260102T030405Z"}
    canonical = signing.canonical_request("GET", "/v1/a b/jobs/x", [("a", " "), ("b", "2")], signed)
    assert headers["Authorization"].endswith(signing.signature("SK-TEST", "20260102T030405Z", canonical))


async def test_an_expired_signature_is_made_once_more_with_the_servers_time() -> None:
    auth = auth_for(KEY, PROJECT, clock=now)
    seen = await sent(auth, refused(), refused())
    assert [headers["X-Sdk-Date"] for headers in seen] == ["20260102T030405Z", "20260102T033405Z"]
    assert seen[0]["Authorization"] != seen[1]["Authorization"]


async def test_the_servers_time_is_kept_for_the_next_request() -> None:
    auth = auth_for(KEY, PROJECT, clock=now)
    await sent(auth, refused())
    (headers,) = await sent(auth)
    assert headers["X-Sdk-Date"] == "20260102T033405Z"


@pytest.mark.parametrize(
    "answer",
    [
        refused({"error_msg": "verify aksk signature fail", "error_code": "APIGW.0301"}),
        refused({"error_msg": "Get secretKey failed,ak:AK,err:ak not exist", "error_code": "APIGW.0301"}),
        refused({"error_msg": "AK access failed to reach the limit,forbidden", "error_code": "APIGW.0301"}),
        refused(date=""),
        refused(date="yesterday"),
        refused(status=403),
        refused(status=500),
        httpx.Response(200, json={"status": "RUNNING"}),
    ],
)
async def test_nothing_but_an_expired_signature_is_sent_again(answer: httpx.Response) -> None:
    assert len(await sent(auth_for(KEY, PROJECT, clock=now), answer)) == 1


@pytest.mark.parametrize("value", ["töken", "two\nlines", "a\rb", "a\x00b", "del\x7f", "卷"])
async def test_a_credential_that_no_header_can_carry_is_refused_without_its_value(value: str) -> None:
    for auth in (
        TokenAuth(Token(value)),
        auth_for(AccessKey(value, "SK"), PROJECT, clock=now),
        auth_for(AccessKey("AK", "SK", value), PROJECT, clock=now),
    ):
        with pytest.raises(errors.Unauthorized) as raised:
            await sent(auth)
        assert value not in str(raised.value)


async def test_a_secret_key_may_hold_any_text() -> None:
    assert len(await sent(auth_for(AccessKey("AK", "schlüssel 卷"), PROJECT, clock=now))) == 1


def test_each_kind_of_credential_has_its_way_to_sign_in() -> None:
    password = Password("u", "p", "d", "https://iam.example.com")
    assert isinstance(auth_for(Token("t"), PROJECT, clock=now), TokenAuth)
    assert isinstance(auth_for(KEY, PROJECT, clock=now), AccessKeyAuth)
    assert isinstance(auth_for(password, PROJECT, clock=now), GrantedTokenAuth)


def test_a_credential_never_shows_what_is_secret() -> None:
    secrets = ("s3cr3t-one", "s3cr3t-two", "s3cr3t-three")
    for credential in (
        AccessKey(*secrets),
        Token(secrets[0]),
        Password(secrets[0], secrets[1], "domain", "https://iam.example.com"),
    ):
        for text in (repr(credential), str(credential), f"{credential}"):
            assert "s3cr3t" not in text
    for auth in (TokenAuth(Token(secrets[0])), auth_for(AccessKey(*secrets), PROJECT, clock=now)):
        assert "s3cr3t" not in repr(auth)


async def test_an_answer_that_is_no_json_does_not_stop_the_flow() -> None:
    answer = httpx.Response(401, content=b"\xff signature expired", headers={"Date": "Fri, 02 Jan 2026 03:34:05 GMT"})
    assert len(await sent(auth_for(KEY, PROJECT, clock=now), answer)) == 2
    assert json.dumps(EXPIRED)


async def test_skew_is_measured_anew_when_the_servers_clock_moves() -> None:
    moment = NOW

    def clock() -> datetime:
        return moment

    auth = auth_for(KEY, PROJECT, clock=clock)
    await sent(auth, refused())
    moment += timedelta(hours=1)
    seen = await sent(auth, refused(date="Fri, 02 Jan 2026 04:04:05 GMT"))
    assert [headers["X-Sdk-Date"] for headers in seen] == ["20260102T043405Z", "20260102T040405Z"]
