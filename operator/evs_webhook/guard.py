"""An HTTP server that anybody may connect to: uvicorn, with bounds on what a connection may cost.

uvicorn has no time limit for the head of a request and none for an answer that nobody reads. Here a connection that has
no request in flight and makes no progress for some seconds is closed, half a head and an unread answer included. If all
places are taken, the one that has been quiet longest gives way. What is no HTTP is answered as all errors are.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import ssl
from collections.abc import Iterator
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .problems import MEDIA_TYPE, bad_request

QUIET: Final = 10.0
"""Seconds without progress after which a connection without a request is closed, give or take one."""
MOST_HEAD: Final = 32 * 1024
"""Bytes of request line and headers."""
_LOOK_EVERY: Final = 1.0
_HANDSHAKE: Final = 10.0
_KEEP_ALIVE: Final = 5
_END_WITHIN: Final = 10
_BACKLOG: Final = 512


class GuardedProtocol(H11Protocol):
    """One connection; `quiet_since` is when it last made progress, on the clock of the loop."""

    def __init__(self, config: uvicorn.Config, server_state: ServerState, most: int) -> None:
        super().__init__(config, server_state, {})
        self._most = most
        self._unsent = 0
        self.quiet_since = self.loop.time()

    @property
    def busy(self) -> bool:
        """Whether a request is in flight."""
        return self.cycle is not None and not self.cycle.response_complete and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take the connection, in the place of another one if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            idle = [one for one in self.connections if isinstance(one, GuardedProtocol) and not one.busy]
            min(idle, key=lambda one: one.quiet_since, default=self).transport.abort()

    def on_response_complete(self) -> None:
        """Count the seconds from here on."""
        self.quiet_since = self.loop.time()
        super().on_response_complete()

    def look(self, now: float) -> None:
        """Close the connection if it was quiet for too long."""
        size = self.transport.get_write_buffer_size()
        if self.busy or 0 < size < self._unsent:
            self.quiet_since = now
        self._unsent = size
        if now - self.quiet_since > QUIET:
            self.transport.abort()  # what waits to be sent would outlast a goodbye

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        body = bad_request("this is no request of HTTP/1.1, or its head is too large").body()
        headers = [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(body))), ("Connection", "close")]
        try:
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()
        except h11.LocalProtocolError:  # in the midst of another answer
            self.transport.abort()


class GuardedServer(uvicorn.Server):
    """Serves an application on one address, (host, port); signals are its owner's business."""

    def __init__(self, app: ASGIApp, address: tuple[str, int], *, most: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=GuardedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_END_WITHIN,
                h11_max_incomplete_event_size=MOST_HEAD,
            )
        )
        self._address = address
        self._most = most
        self._tls = tls
        self._end = asyncio.Event()
        self.config.load()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def listen(self) -> None:
        """Listen; raise OSError with a one-line message if the address cannot be had."""
        host, port = self._address
        loop = asyncio.get_running_loop()
        more: dict[str, Any] = {"ssl": self._tls, "ssl_handshake_timeout": _HANDSHAKE} if self._tls else {}
        try:
            self._listening = await loop.create_server(self._protocol, host or None, port, backlog=_BACKLOG, **more)
        except OSError as error:
            number = error.errno if error.errno is not None and error.errno > 0 else errno.EADDRNOTAVAIL
            shown = f"[{host}]" if ":" in host else host
            raise OSError(f"cannot listen on {shown}:{port}: {os.strerror(number)}") from error

    @property
    def port(self) -> int:
        """The port that is listened on; with port 0, that of IPv4."""
        return int(min((one.getsockname() for one in self._listening.sockets), key=len)[1])

    def end(self) -> None:
        """Listen no more, and return from `serve` once all answers are sent, or after some seconds."""
        self.should_exit = True
        self._end.set()

    async def startup(self, sockets: object = None) -> None:
        """Take over what `listen` made."""
        self.lifespan = self.config.lifespan_class(self.config)
        self.servers = [self._listening]
        self.started = True

    async def main_loop(self) -> None:
        """Look at all connections every second until the end."""
        loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._end.wait()
            for connection in list(self.server_state.connections):
                if isinstance(connection, GuardedProtocol):
                    connection.look(loop.time())

    def _protocol(self) -> asyncio.Protocol:
        return GuardedProtocol(self.config, self.server_state, self._most)
