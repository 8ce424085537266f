"""One pool of connections to the outside: aiohttp as an httpx transport, at a third of the CPU of httpx's own.

Built by `transport`. The status line comes before the body: an answer whose body is too large, stops midway or never
ends is handed out without it and with `fault_of` saying why, so that a refusal or a throttle keeps its meaning and its
headers. Only under HTTP 200, where the body is what was asked for, is a broken one the failure of the call.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing
from typing import Final

import aiohttp
import certifi
import httpx

from .addresses import GuardedResolver
from .endpoints import AllowList
from .network import Network
from .unpack import unpacked

_MAX_HEADER: Final = 64 * 1024
"""Bytes of one header; a token of IAM has up to 20 kB (docs/reference/jobs-api.md#signing-in), aiohttp takes 8 kB."""
_KEEPALIVE: Final = 50.0
"""Seconds that an idle connection is kept; load balancers close it after 60."""
_MOST_CHUNKS: Final = 65_536
"""Chunks of a body: 8 MiB in chunks of one byte would take 9 s of CPU."""
_TOO_MANY_CHUNKS: Final = "too many chunks"
_SMALL: Final = 64 * 1024
"""Bytes of an answer that is read whatever else is being read; 200 sub-jobs have less."""
_AT_ONCE: Final = 64
"""Connections of a client; the budget lets 32 calls wait for their answers together, and sign-ins come on top."""
_REFUSAL_TIME: Final = 5.0
"""Seconds that the body of an answer other than 200 may take: it only explains what the status line says."""
_FAULT: Final = "fault"


@functools.cache
def public_trust() -> ssl.SSLContext:
    """Return the trust in public authorities, read once; the environment does not change it."""
    return ssl.create_default_context(cafile=certifi.where())


def fault_of(response: httpx.Response) -> str:
    """Say why the body of an answer is not there, "" where it is."""
    return str(response.extensions.get(_FAULT, ""))


class Answer(httpx.Response):
    """An answer whose body is there: httpx takes longer to read one than aiohttp takes for the request's headers."""

    def __init__(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, fault: str = "") -> None:
        extensions = {_FAULT: fault} if fault else None
        super().__init__(status, headers=headers, stream=httpx.ByteStream(body), extensions=extensions)
        self._body = body
        self.is_closed = True

    @property
    def content(self) -> bytes:
        """Return the body, out of its compression."""
        return self._body

    def read(self) -> bytes:
        """Return the body."""
        return self._body

    async def aread(self) -> bytes:
        """Return the body."""
        return self._body


class Wire(httpx.AsyncBaseTransport):
    """Sends requests and reads whole answers of at most `max_body` bytes, packed and unpacked.

    Raises what aiohttp raises, TimeoutError, and what `allow` says of the addresses of a host. A `network.Pool`: its
    connections are closed where others need the sockets, and opened again with the next request.
    """

    def __init__(
        self, tls: ssl.SSLContext | None, max_body: int, allow: AllowList | None, network: Network, turn: str
    ) -> None:
        self.turn = turn
        self.opened = 0
        self.busy = 0
        self._tls = tls
        self._max_body = max_body
        self._small = min(_SMALL, max_body)
        self._allow = allow
        self._network = network
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read the whole answer."""
        self._network.sockets.used(self)
        try:
            return await self._exchange(request)
        finally:
            self.busy -= 1

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        session = self._sessions.get(url.scheme) or self._open(url.scheme)
        wait = request.extensions["timeout"]
        async with session.request(
            request.method,
            str(url),
            headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
            data=request.content or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(sock_connect=wait["connect"], sock_read=wait["read"]),
        ) as answer:
            body, fault = await self._body(answer)
        return Answer(answer.status, answer.raw_headers, body, fault)

    async def _body(self, answer: aiohttp.ClientResponse) -> tuple[bytes, str]:
        """Return the body and "", or nothing and why."""
        length = answer.content_length
        if answer.status != httpx.codes.OK:
            packed = await self._of_refusal(answer)
        elif length is not None and length <= self._small:
            packed = await answer.read()  # no more than it says is read
        else:
            packed = await self._large(answer)
        if packed is None:
            return b"", too_long(self._max_body)
        if "content-encoding" not in answer.headers:
            return packed, ""
        found = unpacked(packed, answer.headers.getall("content-encoding"), self._max_body)
        return (b"", too_long(self._max_body)) if found is None else (found, "")

    async def _large(self, answer: aiohttp.ClientResponse) -> bytes | None:
        """Return a body that may be large, None where it is too large; few of them are read at a time."""
        async with aclosing(_pieces(answer.content)) as pieces:
            start = b""
            async for piece in pieces:
                start += piece
                if len(start) > self._small:
                    break
            else:
                return start
            if len(start) > self._max_body:
                return None
            async with self._network.large.room(self.turn):
                rest = await read_within(pieces, self._max_body - len(start))
            return None if rest is None else start + rest

    async def _of_refusal(self, answer: aiohttp.ClientResponse) -> bytes | None:
        try:
            async with asyncio.timeout(_REFUSAL_TIME):
                return await self._large(answer)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return b""

    def close_idle(self) -> None:
        """Close the connections, none of which is in use."""
        for session in self._sessions.values():
            task = asyncio.ensure_future(session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._sessions.clear()

    async def aclose(self) -> None:
        """Close all connections."""
        self._network.sockets.left(self)
        self.close_idle()
        await asyncio.gather(*self._closing)

    def _open(self, scheme: str) -> aiohttp.ClientSession:
        """Open a session, not before there is an event loop; the public authorities take 0.1 s and 1 MB to read."""
        tls = self._tls or (public_trust() if scheme == "https" else True)
        names = self._network.names.of_turn(self.turn)
        resolver = names if self._allow is None else GuardedResolver(self._allow.check_address, names)
        session = self._sessions[scheme] = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=tls, keepalive_timeout=_KEEPALIVE, limit=_AT_ONCE, use_dns_cache=False, resolver=resolver
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_field_size=_MAX_HEADER,
            auto_decompress=False,
            trust_env=False,
        )
        return session


async def _pieces(content: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    """Yield a body as it comes; raises ClientPayloadError if it has too many chunks, each of which costs time."""
    left = _MOST_CHUNKS
    async for piece, ends in content.iter_chunks():
        left -= ends
        if left < 0:
            raise aiohttp.ClientPayloadError(_TOO_MANY_CHUNKS)
        yield piece


async def read_within(chunks: AsyncIterable[bytes], most: int) -> bytes | None:
    """Return what comes, None where it is more than `most` bytes."""
    parts, left = [], most
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            return None
        parts.append(chunk)
    return b"".join(parts)


def too_long(most: int) -> str:
    """Say that a body has more than `most` bytes."""
    return f"more than {most} bytes"
