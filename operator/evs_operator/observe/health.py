"""/healthz, /readyz and /metrics over HTTP, for the kubelet and Prometheus.

Started and stopped by the supervisor, who also says what is healthy and what is ready. Nothing is computed here
between requests and no access log is written: probes come every few seconds. Whoever reaches the address may connect:
`guarded_site` bounds what that costs.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from .guarded_site import QUIET, GuardedSite
from .metrics import CONTENT_TYPE, Metrics

Probe = Callable[[], str | None]
"""Returns None where all is well, else what is not."""

# aiohttp waits this long twice: for answers on their way, then for handlers that it cancelled.
_SHUTDOWN_SECONDS: Final = 0.25
_BODY: Final = 1024
"""Bytes of a body that are read; nothing here needs one."""


class HealthServer:
    """Answers probes and scrapes on one address, (host, port); host "" means all addresses.

    Port 0 takes a free one for each address; `port` is then that of IPv4. GET and HEAD are answered: 200 "ok", or 503
    with what is wrong; /readyz of a process that waits to lead is 200 "standby"; other paths are 404.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        healthy: Probe,
        ready: Probe,
        metrics: Metrics,
        standby: Callable[[], bool] = lambda: False,
        quiet: float = QUIET,
    ) -> None:
        self._host, self._port = address
        self._metrics = metrics
        app = web.Application(client_max_size=_BODY)
        app.router.add_get("/healthz", self._probe(healthy))
        app.router.add_get("/readyz", self._probe(ready, lambda: "standby" if standby() else "ok"))
        app.router.add_get("/metrics", self._scrape)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS, keepalive_timeout=quiet, lingering_time=0.0
        )
        self._site = GuardedSite(self._runner, quiet=quiet)

    async def start(self) -> None:
        """Listen; raise OSError with a one-line message where the address cannot be had."""
        await self._runner.setup()
        try:
            await self._site.start(self._host or None, self._port)
        except OSError as error:
            await self._runner.cleanup()
            host = f"[{self._host}]" if ":" in self._host else self._host
            raise OSError(f"cannot listen on {host}:{self._port}: {_cause(error)}") from error

    @property
    def port(self) -> int:
        """The port that is listened on, between `start` and `stop`."""
        return int(min(self._site.addresses, key=len)[1])

    async def stop(self) -> None:
        """Stop listening and close every connection, within a second; harmless where nothing was started."""
        self._site.close()
        await self._runner.cleanup()

    async def _scrape(self, request: web.Request) -> web.Response:
        self._site.answered(request)
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    def _probe(
        self, probe: Probe, good: Callable[[], str] = lambda: "ok"
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            self._site.answered(request)
            problem = probe()
            return web.Response(text=f"{problem or good()}\n", status=503 if problem else 200)

        return answer


def _cause(error: OSError) -> str:
    # The event loops wrap the system's words in words of their own; numbers below zero are the resolver's.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    if "could not bind on any address" in str(error):  # Python 3.13, which tries all that a name stands for
        return os.strerror(errno.EADDRNOTAVAIL)
    return error.strerror or str(error)
