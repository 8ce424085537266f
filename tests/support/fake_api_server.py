"""An API server in the test's hand, over real HTTP: it lists what it was given and watches as the test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from evs_operator.kube.api import KubeApi
from evs_operator.kube.config.cluster import Cluster
from evs_operator.kube.config.way import Way

Object = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """One request: when, on the loop's clock, and what."""

    at: float
    method: str
    path: str
    query: dict[str, str]


@dataclass
class FakeApiServer:
    """`objects` are listed in pages; `watch` answers a watch, `answer` all else; without them it is 404."""

    objects: list[Object] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    list: Handler | None = None
    watch: Handler | None = None
    answer: Handler | None = None
    version: str = "100"
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        query = dict(request.query)
        self.asked.append(Asked(asyncio.get_running_loop().time(), request.method, request.path, query))
        if "watch" in query:
            return await self.watch(request) if self.watch else web.Response(status=404)
        if request.method == "GET" and request.path.endswith(("evsjobs", "connections")):
            return await (self.list or self.page)(request)
        return await self.answer(request) if self.answer else web.Response(status=404)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Answer a list with the page that was asked for, object by object: a large page is never held whole here."""
        query = request.query
        first, limit = int(query.get("continue", 0)), int(query.get("limit", len(self.objects) or 1))
        metadata = {"resourceVersion": self.version}
        if first + limit < len(self.objects):
            metadata["continue"] = str(first + limit)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        head = f'{{"kind":"EvsJobList","metadata":{json.dumps(metadata)},"items":['
        with contextlib.suppress(ConnectionError):  # whoever asked has read enough
            await response.write(head.encode())
            for number, body in enumerate(self.objects[first : first + limit]):
                await response.write(b"," * (number > 0) + json.dumps(body).encode())
            await response.write(b"]}")
        return response

    def asked_for(self, **query: str) -> list[Asked]:
        """Return the requests with that in their query."""
        return [asked for asked in self.asked if query.items() <= asked.query.items()]

    def api(self, **more: Any) -> KubeApi:
        """Return what asks this server."""
        return KubeApi(self.cluster(), **more)

    def cluster(self) -> Cluster:
        """Return where this server is."""

        async def authorize() -> tuple[str, str]:
            return "Bearer t0ken-of-the-test", "t0ken-of-the-test"

        return Cluster(Way(server=self.url, authorize=authorize))


@asynccontextmanager
async def fake_api_server() -> AsyncIterator[FakeApiServer]:
    """Run one until the end of the block."""
    server = FakeApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def lines(*events: tuple[str, Object], then: Callable[[], Awaitable[None]] | None = None) -> Handler:
    """Return a watch that brings these events and ends, after `then` where that is given."""

    async def watch(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for kind, body in events:
            await response.write(json.dumps({"type": kind, "object": body}).encode() + b"\n")
        if then is not None:
            await then()
        return response

    return watch


def evsjob(name: str, version: int = 1, **metadata: Any) -> Object:
    """Return an EvsJob as an API server shows it."""
    fixed = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": str(version), "generation": 1}
    return {"kind": "EvsJob", "metadata": fixed | metadata, "spec": {"jobId": "0123456789abcdef"}}
