"""A stream of one kind: what ends early is tried again, seldom, counted and told; what is mute is given up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from evs_operator.api.names import EVS_JOB
from evs_operator.kube.watch import source
from evs_operator.kube.watch.pauses import Pauses
from evs_operator.kube.watch.pulse import SILENT, Pulse
from evs_operator.kube.watch.stream import RESTORED, USUAL, Pace
from support.fake_api_server import FakeApiServer, evsjob, fake_api_server, lines


class Seen:
    """What a source brought, and what it said of its watches."""

    def __init__(self) -> None:
        self.events: list[tuple[str | None, str]] = []
        self.listed = 0
        self.failed = 0
        self.pulse = Pulse(time.monotonic)
        self.task: asyncio.Task[None] | None = None

    def take(self, kind: str, event_type: str | None, body: Mapping[str, Any]) -> None:
        self.events.append((event_type, body["metadata"]["name"]))

    def on_listed(self) -> None:
        self.listed += 1

    def on_failed(self) -> None:
        self.failed += 1

    async def until(self, condition: Callable[[], object], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  # conditions of many kinds
                await asyncio.sleep(0.01)


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with fake_api_server() as server:
        yield server


@asynccontextmanager
async def _following(server: FakeApiServer, pace: Pace = USUAL) -> AsyncIterator[Seen]:
    seen, api = Seen(), server.api()
    seen.task = asyncio.create_task(
        source.watch(server.cluster(), api, (EVS_JOB,), (), seen.take, seen.on_listed, seen.on_failed, seen.pulse, pace)
    )
    try:
        yield seen
    finally:
        seen.task.cancel()
        await asyncio.wait({seen.task}, timeout=5)
        await api.aclose()


HURRIED = Pace(life=1.0, silence=0.3, short=0.2, connect=1.0, longest=3.0)
"""The lives of watches, shortened; the proportions stay."""


async def _forever() -> None:
    await asyncio.Event().wait()


async def test_a_watch_goes_on_where_the_list_or_the_last_event_was(server: FakeApiServer) -> None:
    server.objects, server.version = [evsjob("old")], "7"
    server.watch = lines(("ADDED", evsjob("new", 9)), ("BOOKMARK", {"metadata": {"resourceVersion": "12"}}))
    async with _following(server) as seen:
        await seen.until(lambda: len(server.asked_for(watch="true")) == 2)
    assert [asked.query["resourceVersion"] for asked in server.asked_for(watch="true")] == ["7", "12"]
    assert seen.events[:2] == [(None, "old"), ("ADDED", "new")]


async def _nothing(request: web.Request) -> web.StreamResponse:
    return web.Response(status=200, content_type="application/json")


async def _no_content(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _html(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>\nmaintenance\n</html>", content_type="text/html")


async def _no_watch(request: web.Request) -> web.StreamResponse:
    return web.Response(text='"ok"\n', content_type="application/json")


async def _one_bookmark(request: web.Request) -> web.StreamResponse:
    return await lines(("BOOKMARK", {"metadata": {"resourceVersion": "100"}}))(request)


async def _unavailable(request: web.Request) -> web.StreamResponse:
    return web.json_response({"kind": "Status", "message": "not now", "code": 503}, status=503)


async def _forbidden(request: web.Request) -> web.StreamResponse:
    return web.json_response({"kind": "Status", "message": "no", "code": 403}, status=403)


@pytest.mark.parametrize(
    "answer",
    [_nothing, _no_content, _html, _no_watch, _one_bookmark, _unavailable, _forbidden],
    ids=lambda f: f.__name__,
)
async def test_a_watch_that_ends_at_once_is_asked_for_once_a_second_and_then_less_often(
    server: FakeApiServer, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.watch = answer
    with caplog.at_level(logging.WARNING):
        async with _following(server) as seen:
            await asyncio.sleep(4.0)
    watches = server.asked_for(watch="true")
    assert 2 <= len(watches) <= 5
    assert all(later.at - earlier.at > 0.7 for earlier, later in pairwise(watches))
    assert seen.failed in (len(watches), len(watches) - 1)
    assert len(seen.events) == 0
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert told[0].startswith("watch of evsjobs: ")


def test_the_waits_grow_to_ten_seconds_and_begin_anew_after_a_watch_that_lasted() -> None:
    pauses = Pauses(10.0, draw=lambda low, high: 1.0)
    waits = [pauses.after(0.0) for _ in range(8)]
    assert waits == pytest.approx([1.0, 1.5, 2.25, 3.375, 5.0625, 7.59375, 10.0, 10.0])
    assert pauses.after(12.0) == 0.0
    assert pauses.after(0.2) == pytest.approx(0.8)
    assert pauses.after(0.0, at_least=7.0) == 7.0


async def test_a_mute_watch_is_given_up_and_what_it_hid_is_seen(server: FakeApiServer) -> None:
    told = lines(("ADDED", evsjob("unheard", 101)), then=_forever)
    mute, unanswered = lines(then=_forever), lambda request: _forever()

    async def watch(request: web.Request) -> web.StreamResponse:
        number = len(server.asked_for(watch="true"))
        return await (mute, unanswered, told)[min(number, 3) - 1](request)  # type: ignore[no-any-return]

    server.watch = watch
    async with _following(server, HURRIED) as seen:
        await seen.until(lambda: ("ADDED", "unheard") in seen.events, 3)
    assert seen.failed == 2
    assert seen.listed == 1


def test_a_half_open_watch_is_given_up_within_35_seconds() -> None:
    assert USUAL.life < USUAL.silence < 35.0, "the API server ends it first, in good order"
    assert USUAL.connect < 35.0


async def test_a_watch_that_lives_as_long_as_it_should_is_no_failure(server: FakeApiServer) -> None:
    server.watch = lines(then=lambda: asyncio.sleep(0.3))
    async with _following(server, replace(HURRIED, silence=2.0)) as seen:
        await seen.until(lambda: len(server.asked_for(watch="true")) >= 3, 5)
    assert seen.failed == 0
    assert seen.listed == 1


_EXPIRED = {"kind": "Status", "code": 410, "message": "too old resource version"}
_AHEAD = {
    "kind": "Status",
    "code": 504,
    "message": "Timeout: Too large resource version: 1000, current: 500",
    "details": {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
}


@pytest.mark.parametrize("how", ["expired, as an event", "expired", "of a store that was restored"])
async def test_a_version_that_the_api_server_does_not_know_lists_anew(server: FakeApiServer, how: str) -> None:
    said = _AHEAD if "restored" in how else _EXPIRED

    async def refused(request: web.Request) -> web.StreamResponse:
        return web.json_response(said, status=int(str(said["code"])))

    server.watch = lines(("ERROR", said)) if "event" in how else refused
    async with _following(server) as seen:
        await seen.until(lambda: seen.listed >= 2)


async def test_a_watch_that_brings_nothing_because_the_store_went_back_is_found_out(server: FakeApiServer) -> None:
    server.objects, server.version = [evsjob("old", 90)], "1000"
    server.watch = lines(then=lambda: asyncio.sleep(0.3))
    async with _following(server, replace(HURRIED, silence=2.0)) as seen:
        await seen.until(lambda: len(server.asked_for(watch="true")) >= 3, 5)
        assert seen.listed == 1, "a quiet cluster is not listed again and again"
        server.version = "500"
        await seen.until(lambda: seen.listed == 2, 5)
    assert seen.events == [(None, "old"), (RESTORED, "old")]


async def test_a_list_that_is_refused_or_is_none_is_tried_again_and_forgets_nothing(server: FakeApiServer) -> None:
    answers = [_unavailable, _forbidden, _html]
    server.objects, server.watch = [evsjob("old")], lines(then=_forever)

    async def listed(request: web.Request) -> web.StreamResponse:
        return await (answers.pop(0) if answers else server.page)(request)

    server.list = listed
    async with _following(server) as seen:
        await seen.until(lambda: seen.listed == 1, 20)
    assert seen.events == [(None, "old")]


@pytest.mark.parametrize(("status", "said"), [(404, "not found"), (401, "refuses our credential")])
async def test_a_kind_that_is_not_served_and_a_refused_credential_end_the_source(
    server: FakeApiServer, status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def refused(request: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "message": "not found", "code": status}, status=status)

    server.list = refused
    async with _following(server) as seen:
        assert seen.task is not None
        await asyncio.wait_for(asyncio.shield(seen.task), 10)
    assert said in caplog.text


async def test_a_silent_watch_is_a_problem_until_it_speaks_again() -> None:
    now = 1000.0
    pulse = Pulse(lambda: now)
    assert pulse.problem() == ""
    pulse.begin(["evsjobs", "evsconnections"])
    now += SILENT + 1
    pulse.beat("evsconnections")
    assert pulse.problem() == "the watch of evsjobs has brought nothing for 91 s"
    pulse.beat("evsjobs")
    assert pulse.problem() == ""
    now += SILENT + 1
    pulse.begin(["evsconnections"])
    assert "evsjobs" not in pulse.problem()
