"""Passes requests on to the API server, less what the faults take: the asynchronous half of `proxy`.

Everything here runs on one event loop, that of the proxy's thread. A request is matched against the faults once, when
it arrives; an open watch is passed on event by event, so that it can be cut, muted or expired between two events. Only
HTTP/1.1 is spoken, and upgrades (exec, port-forward) are not passed on.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

from controlplane.faults import Fault, Seen, expired_event, status_body, verb_of

_PER_CONNECTION = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"}
_LONGEST_EVENT = 4 * 1024 * 1024


@dataclass(slots=True)
class Watch:
    """One open watch; a mute one stays open and says nothing."""

    path: str
    request: web.Request
    response: web.StreamResponse
    mute: bool = False

    def reset(self) -> None:
        """Cut it without a goodbye."""
        if self.request.transport is not None:
            self.request.transport.abort()

    async def expire(self) -> None:
        """Tell the client that its resource version is too old, and end as an API server does."""
        self.mute = True
        await self.response.write(expired_event())
        await self.response.write_eof()
        if self.request.transport is not None:
            self.request.transport.close()


class Relay:
    """The proxy proper: `handle` answers every request; `faults` and `watches` may be changed between two of them."""

    def __init__(self, upstream: str, trust: ssl.SSLContext, record: Callable[[Seen], None]) -> None:
        """Pass on to the origin `upstream`, and tell `record` of every request once its fate is known."""
        self.faults: list[Fault] = []
        self.watches: list[Watch] = []
        self._record = record
        self._upstream = upstream
        self._connector = TCPConnector(ssl=trust, limit=0)
        self._session = ClientSession(
            connector=self._connector,
            timeout=ClientTimeout(total=None),
            auto_decompress=False,
            read_bufsize=_LONGEST_EVENT,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections to the API server, without the goodbye of TLS that would outlast the event loop."""
        await self._connector.close(abort_ssl=True)
        await self._session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Break it, or pass it on."""
        watch = request.query.get("watch", "").lower() in ("1", "true")
        verb, path = verb_of(request.method, request.path, watch=watch), request.path_qs

        def seen(status: int | None) -> None:
            agent = request.headers.get("User-Agent", "")
            self._record(Seen(time.monotonic(), verb, path, status, agent))

        fault = self._hit(verb, path)
        if fault is not None:
            broken = await _break(fault, request, seen)
            if broken is not None:
                return broken
        try:
            return await self._pass_on(request, watch, seen)
        except ClientError:  # the API server is away or ended in the middle: the client shall see just that
            seen(None)
            return _reset(request)

    def _hit(self, verb: str, path: str) -> Fault | None:
        """Find the first fault that matches, and use up one of its hits."""
        for position, fault in enumerate(self.faults):
            if fault.matches(verb, path):
                if fault.times is not None:
                    rest = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                    self.faults[position : position + 1] = rest
                return fault
        return None

    async def _pass_on(
        self, request: web.Request, watch: bool, seen: Callable[[int | None], None]
    ) -> web.StreamResponse:
        async with self._asked(request) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in _PER_CONNECTION:
                    response.headers.add(name, value)
            seen(answer.status)
            await response.prepare(request)
            with self._listed(request, response) if watch else contextlib.nullcontext() as listed:
                async for part in _parts(answer):
                    if listed is None or not listed.mute:
                        await response.write(part)
                if listed is not None and listed.mute:
                    await asyncio.Event().wait()  # half-open: its end is not heard either
            await response.write_eof()
            return response

    @contextlib.asynccontextmanager
    async def _asked(self, request: web.Request) -> AsyncIterator[ClientResponse]:
        """Ask the API server; a connection left in the middle of an answer is aborted, for TLS would say goodbye."""
        body = await request.read() if request.can_read_body else None
        url = URL(f"{self._upstream}{request.raw_path}", encoded=True)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _PER_CONNECTION]
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            try:
                yield answer
            finally:
                if answer.connection is not None and answer.connection.transport is not None:
                    answer.connection.transport.abort()

    @contextlib.contextmanager
    def _listed(self, request: web.Request, response: web.StreamResponse) -> Iterator[Watch]:
        watch = Watch(request.path_qs, request, response)
        self.watches.append(watch)
        try:
            yield watch
        finally:
            self.watches.remove(watch)


async def _break(fault: Fault, request: web.Request, seen: Callable[[int | None], None]) -> web.StreamResponse | None:
    """Do what the fault says; None where the request goes on after its delay."""
    await asyncio.sleep(fault.delay)
    if fault.hang:
        seen(None)
        await asyncio.Event().wait()  # until the client gives up or the proxy stops, which cancels this
    if fault.drop:
        seen(None)
        return _reset(request)
    if fault.status is None:
        return None
    seen(fault.status)
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return web.json_response(status_body(fault.status), status=fault.status, headers=headers)


def _reset(request: web.Request) -> web.StreamResponse:
    """Reset the connection; the response that the handler owes goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _parts(answer: ClientResponse) -> AsyncIterator[bytes]:
    """Read event by event where the answer is lines of JSON, so that a fault falls between two; else as it comes."""
    parts = answer.content if answer.content_type == "application/json" else answer.content.iter_any()
    async for part in parts:
        yield part
