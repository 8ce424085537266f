"""An address that anybody in the cluster may connect to: few connections at a time, none for long without a request.

`health` listens with it. A connection on which no request was answered for some seconds is closed, half a request and
an answer that nobody reads included; where all places are taken, the one that has waited longest gives way to the next,
so that a probe, which asks at once, is answered beside thousands that do not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

PLACES: Final = 128
"""Connections at a time; each takes about 11 kB."""
QUIET: Final = 8.0
"""Seconds without an answered request after which a connection is closed, or an eighth more."""
_BACKLOG: Final = 128


class GuardedSite:
    """Listens for a runner that is set up. `quiet` and `now` are in seconds."""

    def __init__(
        self, runner: web.AppRunner, now: Callable[[], float] = time.monotonic, *, quiet: float = QUIET
    ) -> None:
        self._quiet = quiet
        self._look_every = quiet / 8
        self._runner = runner
        self._now = now
        self._server: asyncio.Server | None = None
        self._quiet_since: dict[web.RequestHandler, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, host: str | None, port: int) -> None:
        """Listen; raises OSError."""
        self._server = await asyncio.get_running_loop().create_server(self._connected, host, port, backlog=_BACKLOG)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """What is listened on; an address of IPv6 has two items more."""
        return [listening.getsockname() for listening in self._server.sockets] if self._server else []

    def close(self) -> None:
        """Stop listening; connections that are open are the runner's to close."""
        if self._server is not None:
            self._server.close()
        if self._timer is not None:
            self._timer.cancel()
        self._quiet_since.clear()

    def answered(self, request: web.Request) -> None:
        """Take note of a request that is answered."""
        if request.protocol in self._quiet_since:
            self._quiet_since[request.protocol] = self._now()

    def _connected(self) -> asyncio.Protocol:
        """Return what speaks on a new connection, and close another one where there are too many."""
        if len(self._quiet_since) >= PLACES:
            self._close(min(self._quiet_since, key=self._quiet_since.__getitem__))
        if self._runner.server is None:
            raise RuntimeError("the runner is not set up")
        protocol = self._runner.server()
        self._quiet_since[protocol] = self._now()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._look_every, self._look)
        return protocol

    def _look(self) -> None:
        """Forget connections that are closed, and close those that are quiet for too long."""
        now, self._timer = self._now(), None
        there = set(self._runner.server.connections) if self._runner.server else set()
        for protocol, since in list(self._quiet_since.items()):
            if now - since >= self._quiet:
                self._close(protocol)
            elif protocol not in there and now - since >= self._look_every:
                del self._quiet_since[protocol]
        if self._quiet_since:
            self._timer = asyncio.get_running_loop().call_later(self._look_every, self._look)

    def _close(self, protocol: web.RequestHandler) -> None:
        del self._quiet_since[protocol]
        if protocol.transport is not None:
            protocol.transport.abort()  # what waits to be sent would outlast a goodbye
