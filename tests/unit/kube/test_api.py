"""Requests to the API server: one kind of error, bounded answers, and lanes that do not hold each other up."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from evs_operator.kube import objects
from evs_operator.kube.api import ANSWER_BYTES, AnswerTooLargeError, KubeApi, KubeError
from evs_operator.kube.objects import ObjectKey
from support.fake_api_server import FakeApiServer

LEASE = "/apis/coordination.k8s.io/v1/namespaces/evs-operator/leases/evs-operator"
JOB = ObjectKey("EvsJob", "ns", "job")


async def test_statuses_that_hang_leave_the_lease_and_events_alone(server: FakeApiServer, api: KubeApi) -> None:
    hanging = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/status"):
            await hanging.wait()
        return web.json_response({"metadata": {"resourceVersion": "1"}})

    server.answer = answer
    statuses, lease, events = api.lane(8), api.lane(2), api.lane(2)
    writes = [asyncio.create_task(objects.apply_status(statuses, JOB, {}, "1")) for _ in range(150)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        for lane in (api, lease, events):
            assert await lane.request("GET", LEASE)
    assert sum(1 for asked in server.asked if asked.path.endswith("/status")) == 8, "the others wait in their lane"
    hanging.set()
    await asyncio.gather(*writes)


async def test_a_request_in_a_lane_is_given_up_after_its_time_and_so_is_one_that_waits_for_its_turn(
    server: FakeApiServer, api: KubeApi
) -> None:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    server.answer = answer
    lane = api.lane(1, seconds=0.3)
    began = time.monotonic()
    results = await asyncio.gather(*(lane.request("GET", LEASE) for _ in range(3)), return_exceptions=True)
    assert time.monotonic() - began < 5.0
    assert all(isinstance(result, KubeError) and result.status == 0 for result in results)


async def test_a_lane_that_may_not_send_sends_nothing_and_the_others_go_on(server: FakeApiServer, api: KubeApi) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"metadata": {"resourceVersion": "1"}})

    server.answer = answer
    leads = [True]
    statuses = api.lane(2, may_send=lambda: leads[0])
    await objects.apply_status(statuses, JOB, {}, "1")
    leads[0] = False
    for write in (objects.apply_status(statuses, JOB, {}, "1"), objects.delete(statuses, JOB, "uid")):
        with pytest.raises(KubeError, match="not sent: this process does not hold the Lease any more") as refused:
            await write
        assert refused.value.status == 0
    assert await api.request("GET", LEASE)
    assert [asked.method for asked in server.asked] == ["PATCH", "GET"]


NO_OBJECTS = ["", "<html>\nWelcome\n</html>", "[]", "null", "1", '"ok"', "[" * 100_000, "{", "\xff"]


@pytest.mark.parametrize("text", NO_OBJECTS, ids=lambda text: repr(text[:8]))
async def test_what_is_no_object_is_no_success_whatever_its_status(
    server: FakeApiServer, api: KubeApi, text: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=text.encode("latin-1"), content_type="application/json")

    server.answer = answer
    for call in (objects.apply_status(api, JOB, {}, "1"), objects.read(api, JOB), objects.delete(api, JOB, "uid")):
        with pytest.raises(KubeError, match="in place of the API server"):
            await call


@pytest.mark.parametrize("text", ["{}", '{"status":"ok"}', '{"kind":"Status","metadata":{}}', '{"metadata":[]}'])
async def test_an_object_that_is_not_ours_is_no_written_status_and_no_read_object(
    server: FakeApiServer, api: KubeApi, text: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    server.answer = answer
    for call in (objects.apply_status(api, JOB, {}, "1"), objects.read(api, JOB)):
        with pytest.raises(KubeError, match="in place of the API server"):
            await call


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_beyond_all_bounds_is_not_read_to_its_end(
    server: FakeApiServer, api: KubeApi, packed: bool
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=b'{"a":"' + b"x" * (ANSWER_BYTES + 10) + b'"}', content_type="application/json")
        if packed:
            response.enable_compression()
        return response

    server.answer = answer
    with pytest.raises(AnswerTooLargeError):
        await objects.read(api, JOB)


async def test_a_refusal_says_what_the_api_server_says_on_one_line_and_how_long_to_wait(
    server: FakeApiServer, api: KubeApi
) -> None:
    async def answer(request: web.Request) -> web.Response:
        said = {"kind": "Status", "message": "too many\nrequests " + "x" * 10_000}
        return web.json_response(said, status=429, headers={"Retry-After": "7"})

    server.answer = answer
    with pytest.raises(KubeError) as raised:
        await objects.read(api, JOB)
    assert raised.value.status == 429
    assert raised.value.retry_after == 7.0
    assert "too many requests" in raised.value.message
    assert len(raised.value.message) < 2200


@pytest.mark.parametrize("status", [200, 404, 409, 422, 429])
async def test_an_answer_of_the_api_server_is_a_sign_of_life_whatever_it_says(
    server: FakeApiServer, api: KubeApi, status: int
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"metadata": {}}, status=status)

    server.answer = answer
    lane = api.lane(1)
    before = api.answered_at
    await asyncio.sleep(0.01)
    await asyncio.gather(lane.request("GET", LEASE), return_exceptions=True)
    assert api.answered_at > before


@pytest.mark.parametrize("status", [401, 500, 503, 0])
async def test_a_refused_credential_a_fault_and_silence_are_no_sign_of_life(
    server: FakeApiServer, api: KubeApi, status: int
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if not status and request.transport is not None:
            request.transport.abort()
        return web.json_response({}, status=status or 200)

    server.answer = answer
    before = api.answered_at
    await asyncio.gather(api.request("GET", LEASE), return_exceptions=True)
    assert api.answered_at == before
