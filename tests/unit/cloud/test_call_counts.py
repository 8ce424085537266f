"""Every request to the cloud is told of once, with what it was for and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import pytest

from evs_operator.cloud.auth.credentials import Credentials, Password, Token
from evs_operator.cloud.auth.sign_in import auth_for
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.endpoints import AllowList
from evs_operator.evs import errors
from support import jobs

PROJECT = "0" * 32
Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Calls:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, operation: str, code: str, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((operation, code))


async def ask(answer: Answer, credential: Credentials | None = None, timeout: float = 5.0) -> list[tuple[str, str]]:
    calls = Calls()
    auth = auth_for(credential or Token("t"), PROJECT, clock=lambda: datetime.now(UTC))
    transport = httpx.MockTransport(answer)
    async with EvsClient(
        "https://evs.example.com", auth, transport=transport, on_call=calls, total_timeout=timeout
    ) as client:
        with contextlib.suppress(errors.CloudError):
            await client.get_job(PROJECT, jobs.JOB_ID)
    return calls.seen


@pytest.mark.parametrize("status", [200, 401, 429, 503])
async def test_an_answer_counts_under_its_status(status: int) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=jobs.body())

    assert await ask(answer) == [("get_job", str(status))]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (httpx.ConnectError("refused"), "unreachable"),
        (httpx.ReadTimeout("late"), "timeout"),
        (ValueError("a header that cannot be sent"), "invalid"),
    ],
)
async def test_an_answer_that_did_not_come_counts_under_the_word_for_it(error: Exception, code: str) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        raise error

    assert await ask(answer) == [("get_job", code)]


async def test_a_call_that_our_own_limit_cuts_off_is_canceled() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    assert await ask(answer, timeout=0.05) == [("get_job", "canceled")]


async def test_a_request_for_a_token_is_an_operation_of_its_own() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(201, headers={"X-Subject-Token": "granted"}, json={"token": {}})
        return httpx.Response(200, json=jobs.body())

    user = Password("user", "secret", "domain", "https://iam.example.com/v3")
    assert await ask(answer, user) == [("create_token", "201"), ("get_job", "200")]


async def test_a_request_that_was_not_permitted_does_not_count() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError

    calls = Calls()
    auth = auth_for(Token("t"), PROJECT, clock=lambda: datetime.now(UTC))
    transport = httpx.MockTransport(answer)
    async with EvsClient(
        "https://evs.example.com", auth, transport=transport, on_call=calls, allow=AllowList()
    ) as client:
        with pytest.raises(errors.EndpointRefused):
            await client.get_job(PROJECT, jobs.JOB_ID)
    assert calls.seen == []


async def test_a_process_that_does_not_lead_any_more_neither_signs_in_nor_asks() -> None:
    asked: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(503)

    calls = Calls()
    for credential in (Token("t"), Password("user", "secret", "domain", "https://iam.example.com/v3")):
        auth = auth_for(credential, PROJECT, clock=lambda: datetime.now(UTC))
        async with EvsClient(
            "https://evs.example.com",
            auth,
            transport=httpx.MockTransport(answer),
            on_call=calls,
            may_send=lambda: False,
        ) as client:
            with pytest.raises(errors.Unreachable, match="does not hold the Lease any more"):
                await client.get_job(PROJECT, jobs.JOB_ID)
    assert (asked, calls.seen) == ([], [])
