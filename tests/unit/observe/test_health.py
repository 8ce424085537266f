"""The health server, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvloop

from evs_operator.observe.guarded_site import PLACES, QUIET
from evs_operator.observe.health import HealthServer
from evs_operator.observe.metrics import Metrics


class Operator:
    """What the supervisor says of itself."""

    def __init__(self) -> None:
        self.sick: str | None = None
        self.unready: str | None = None
        self.metrics = Metrics()

    def server(self, host: str = "127.0.0.1", port: int = 0, quiet: float = QUIET) -> HealthServer:
        return HealthServer(
            (host, port), healthy=lambda: self.sick, ready=lambda: self.unready, metrics=self.metrics, quiet=quiet
        )


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
async def client(operator: Operator) -> AsyncIterator[httpx.AsyncClient]:
    server = operator.server()
    await server.start()
    base = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        yield client
    await server.stop()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_where_all_is_well_a_probe_is_answered_with_ok(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_what_is_wrong_is_a_503_that_says_what(client: httpx.AsyncClient, operator: Operator) -> None:
    operator.sick = "the scheduler stands still for 90 s"
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.text) == (503, "the scheduler stands still for 90 s\n")
    assert (await client.get("/readyz")).status_code == 200


async def test_readiness_follows_the_operator_from_request_to_request(
    client: httpx.AsyncClient, operator: Operator
) -> None:
    operator.unready = "waiting: no CRDs"
    waiting = await client.get("/readyz")
    assert (waiting.status_code, waiting.text) == (503, "waiting: no CRDs\n")
    assert (await client.get("/healthz")).status_code == 200
    operator.unready = None
    assert (await client.get("/readyz")).status_code == 200


async def test_metrics_are_those_of_the_moment_in_prometheus_text(
    client: httpx.AsyncClient, operator: Operator
) -> None:
    operator.metrics.throttled.inc(41)
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "evs_operator_throttled_total 41.0\n" in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_head_is_answered_as_get_without_the_body(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/", "/healthz/", "/health", "/debug", "/metrics/x"])
async def test_every_other_path_is_404(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_changed(client: httpx.AsyncClient, method: str) -> None:
    assert (await client.request(method, "/healthz")).status_code == 405


async def test_probes_leave_no_line_in_the_log(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await client.get("/healthz")
    await client.get("/nowhere")
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_stopping_takes_less_than_a_second_whoever_is_still_connected(operator: Operator) -> None:
    server = operator.server()
    await server.start()
    idle_reader, idle = await asyncio.open_connection("127.0.0.1", server.port)
    idle.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await idle_reader.readline()).startswith(b"HTTP/1.1 200")
    half_reader, half = await asyncio.open_connection("127.0.0.1", server.port)
    half.write(b"GET /healthz HT")
    await half.drain()

    async with asyncio.timeout(1.0):
        await server.stop()
        await idle_reader.read()
        await half_reader.read()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", idle.get_extra_info("peername")[1])
    for writer in (idle, half):
        writer.close()


async def test_stopping_does_not_wait_for_a_client_that_does_not_read(operator: Operator) -> None:
    class Endless(Metrics):
        def render(self) -> bytes:
            return bytes(64 << 20)  # more than the sockets of both sides hold

    operator.metrics = Endless()
    server = operator.server()
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    async with asyncio.timeout(1.0):
        await server.stop()
    writer.transport.abort()


async def test_stopping_what_never_started_is_harmless(operator: Operator) -> None:
    await operator.server().stop()


async def _fail_to_start(port: int, host: str = "127.0.0.1") -> str:
    server = Operator().server(host, port)
    with pytest.raises(OSError, match="cannot listen") as caught:
        await server.start()
    await server.stop()
    return str(caught.value)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_address_in_use_is_an_error_of_one_clear_line_on_either_loop(new_loop: object) -> None:
    assert callable(new_loop)
    with socket.create_server(("127.0.0.1", 0)) as taken, asyncio.Runner(loop_factory=new_loop) as runner:
        port = taken.getsockname()[1]
        message = runner.run(_fail_to_start(port))
    assert message == f"cannot listen on 127.0.0.1:{port}: Address already in use"


async def test_an_address_of_another_machine_is_an_error_that_names_it() -> None:
    assert await _fail_to_start(8080, "2001:db8::1") in {
        "cannot listen on [2001:db8::1]:8080: Cannot assign requested address",
        "cannot listen on [2001:db8::1]:8080: Address family not supported by protocol",
    }


async def test_an_empty_host_means_all_addresses(operator: Operator) -> None:
    server = operator.server("")
    await server.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{server.port}/healthz")).status_code == 200
    await server.stop()


async def _asked(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


HALVES = {
    "nothing": b"",
    "half a line": b"GET /healthz HT",
    "half a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1000,
    "half a body": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
    "half a chunk": b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\nhalf",
}


@pytest.mark.parametrize("half", HALVES)
async def test_half_a_request_is_given_up_within_ten_seconds(operator: Operator, half: str) -> None:
    assert QUIET * 9 / 8 < 10.0
    server = operator.server(quiet=0.5)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(HALVES[half])
    async with asyncio.timeout(5.0):
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing() and await reader.read(4096):
                writer.write(b"y")  # a byte now and then is no request
                await asyncio.sleep(0.05)
    writer.close()
    await server.stop()


async def test_who_asks_again_and_again_keeps_the_connection(operator: Operator) -> None:
    server = operator.server(quiet=0.5)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for _ in range(6):
        await asyncio.sleep(0.2)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
    writer.close()
    await server.stop()


async def test_beside_thousands_that_do_not_ask_a_probe_is_answered_and_few_stay_open(operator: Operator) -> None:
    server = operator.server()
    await server.start()
    idle = []
    for number in range(600):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: half")
        idle.append(writer)
        if number % 100 == 99:
            assert (await _asked(server.port)).startswith(b"HTTP/1.1 200")
    assert server._runner.server is not None
    assert len([c for c in server._runner.server.connections if c.transport]) <= PLACES
    for writer in idle:
        writer.close()
    await server.stop()
