"""The simulated cloud on real HTTP: requests in, answers out, and the wire itself where a fault breaks it.

Built on aiohttp's low-level server, without router, middleware or access log: a poll costs about 0.2 ms of CPU. All
that a request means is decided in `routes.answer`, which never waits; only the delivery of an answer takes time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct

from aiohttp import web

from . import routes
from .clock import http_date
from .wire import AS_IT_IS, Answer, Request
from .world import World

_LARGEST_LINE = 64 * 1024  # lets headers through that are to be refused with 494
_TRICKLE_STEPS = 10


class Server:
    """Serves one world. `address` is host and port; port 0 takes a free one."""

    def __init__(self, world: World, address: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self._world = world
        self._address = address
        self._tls = tls
        server = web.Server(self._handle, max_line_size=_LARGEST_LINE, max_field_size=_LARGEST_LINE, access_log=None)
        self._runner = web.ServerRunner(server)

    async def start(self) -> str:
        """Listen; return the URL. Raises OSError where the address cannot be used."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, *self._address, ssl_context=self._tls, backlog=1024, shutdown_timeout=1.0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

    async def stop(self) -> None:
        """Close all connections and stop to listen."""
        await self._runner.cleanup()

    async def _handle(self, message: web.BaseRequest) -> web.StreamResponse:
        request = await self._read(message)
        answer = routes.answer(self._world, request)
        headers = {
            "Date": http_date(self._world.clock.now()),
            "X-Request-Id": request.request_id,
            **answer.headers,
        }
        if answer.delivery is not AS_IT_IS:
            return await _deliver(message, answer, headers)
        return web.Response(status=answer.status, reason=_reason(answer.status), body=answer.body, headers=headers)

    async def _read(self, message: web.BaseRequest) -> Request:
        path, _, query = message.raw_path.partition("?")
        return Request(
            method=message.method,
            path=path,
            query=query,
            headers=message.headers,
            header_bytes=sum(len(name) + len(value) + 4 for name, value in message.raw_headers),
            body=await message.content.read() if message.body_exists else b"",
            request_id=self._world.ids.request(),
            peer=message.remote or "",
            scheme="https" if self._tls else "http",
        )


def _reason(status: int) -> str | None:
    return "Request Header Or Cookie Too Large" if status == 494 else None


async def _deliver(message: web.BaseRequest, answer: Answer, headers: dict[str, str]) -> web.StreamResponse:
    delivery = answer.delivery
    await asyncio.sleep(delivery.delay)
    response = web.StreamResponse(status=answer.status or 200, reason=_reason(answer.status), headers=headers)
    if delivery.cut == "before_headers":
        _reset(message)
        return response
    response.content_length = len(answer.body)
    with contextlib.suppress(ConnectionError):  # the client had enough: nothing to tell it
        await response.prepare(message)
        steps = _TRICKLE_STEPS if delivery.trickle else 2
        size = len(answer.body) // steps + 1
        for start in range(0, len(answer.body), size):
            await asyncio.sleep(delivery.trickle / steps)
            await response.write(answer.body[start : start + size])
            if delivery.cut:
                _reset(message)
                break
        else:
            await response.write_eof()
    return response


def _reset(message: web.BaseRequest) -> None:
    transport = message.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:  # linger 0: the client sees a reset, not an orderly end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
