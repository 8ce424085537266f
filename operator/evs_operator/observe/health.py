"""/healthz, /readyz and /metrics over HTTP. What is healthy and what is ready, the supervisor says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from .metrics import Metrics

Probe = Callable[[], str | None]
"""Returns None where all is well, else what is not."""


class HealthServer:
    """Answers probes and scrapes on one address, (host, port); port 0 takes a free one."""

    def __init__(self, address: tuple[str, int], *, healthy: Probe, ready: Probe, metrics: Metrics) -> None:
        self._host, self._port = address
        self._metrics = metrics
        app = web.Application()
        app.router.add_get("/healthz", _probe(healthy))
        app.router.add_get("/readyz", _probe(ready))
        app.router.add_get("/metrics", self._scrape)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start(self) -> None:
        """Listen; raise OSError with one line where the address cannot be had."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host or None, self._port)
        try:
            await site.start()
        except OSError as error:
            raise OSError(f"cannot listen on {self._host}:{self._port}: {error.strerror or error}") from error

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _scrape(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )


def _probe(probe: Probe) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        problem = probe()
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)

    return answer
