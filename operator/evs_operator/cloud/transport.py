"""How a request gets to the cloud: aiohttp under the httpx API, within our limits and with our names for failures.

Built by the client and used for EVS and IAM alike, so that every failure names the host it happened at. An answer is
cut off at `max_body`, the allow-list is asked before each request goes and for each address that its host stands for,
`on_call` is told of each that went, and what aiohttp or httpx raise becomes the CloudError that a caller decides on.
Status codes and bodies are not looked at here (`classify`).
"""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Final

import aiohttp
import certifi
import httpx

from . import errors
from .addresses import GuardedResolver
from .endpoints import AllowList, EndpointNotAllowed

_MAX_HEADER: Final = 64 * 1024
"""Bytes of one header; a token of IAM has up to 20 kB (evs-api 6), aiohttp takes 8 kB."""
_KEEPALIVE: Final = 50.0
"""Seconds that an idle connection is kept; load balancers close it after 60."""

_JOB_PATH: Final = "/jobs/"
_UNANSWERED: Final[tuple[tuple[type[errors.CloudError], str], ...]] = (
    (errors.PollTimeout, "timeout"),
    (errors.Unreachable, "unreachable"),
    (errors.InvalidResponse, "invalid"),
)

OnCall = Callable[[str, str, float], None]
"""Called with the operation (get_job, create_token), the HTTP status or what kept it away, and seconds it took."""

_CLUES: Final = (
    ("certificate", "its TLS certificate is not trusted"),
    ("refused", "connection refused"),
    ("errno 111", "connection refused"),
    ("unreachable", "no route to it"),
    ("errno 101", "no route to it"),
    ("errno 113", "no route to it"),
    ("connect call failed", "no connection"),
    ("no route", "no route to it"),
    ("reset", "connection reset"),
    ("broken pipe", "connection reset"),
    ("disconnected", "connection closed before the answer"),
    ("payload", "connection closed within the answer"),
)


class CloudTransport(httpx.AsyncBaseTransport):
    """Sends requests; raises CloudError where no answer comes or the answer is too long."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None,
        max_body: int,
        allow: AllowList | None,
        inner: httpx.AsyncBaseTransport | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        self._inner = inner or _Wire(tls, max_body, allow)
        self._max_body = max_body
        self._allow = allow
        self._allowed: set[tuple[str, str]] = set()
        self._on_call = on_call

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return the answer with its body read; `on_call` is told once, however it ends."""
        where = request.url.netloc.decode()
        started, code = time.monotonic(), "canceled"
        try:
            response = await self._answer(request, where)
            code = str(response.status_code)
        except errors.CloudError as error:
            # one that was not allowed was not made
            code = "" if isinstance(error, errors.EndpointRefused) else _code_of(error)
            raise
        finally:
            if self._on_call is not None and code:
                operation = "get_job" if _JOB_PATH in request.url.path else "create_token"
                self._on_call(operation, code, time.monotonic() - started)
        return response

    async def _answer(self, request: httpx.Request, where: str) -> httpx.Response:
        try:
            self._check(request.url.scheme, where)
            response = await self._inner.handle_async_request(request)
            response.request = request
            if not response.is_closed and isinstance(response.stream, httpx.AsyncByteStream):
                _refuse_compressed(response.headers.get("content-encoding"), where)
                response.stream = _Limited(response.stream, self._max_body, where)
                await response.aread()
        except EndpointNotAllowed as error:
            raise errors.EndpointRefused(str(error)) from error
        except aiohttp.ClientResponseError:
            # its text quotes what came, which may be a header with a token
            raise errors.InvalidResponse(f"{where} answered something that is not HTTP") from None
        except (TimeoutError, httpx.TimeoutException) as error:
            raise errors.PollTimeout(f"{where} did not answer in time") from error
        except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, ValueError) and not isinstance(error, OSError):
                raise errors.InvalidResponse(f"the request to {where} cannot be sent: {type(error).__name__}") from None
            raise errors.Unreachable(f"{where} is not reachable: {_cause(error)}") from error
        return response

    def _check(self, scheme: str, where: str) -> None:
        """Ask the allow-list, which does not change, once for each of the two or three origins of a client."""
        if self._allow is not None and (scheme, where) not in self._allowed:
            self._allow.check(f"{scheme}://{where}")
            self._allowed.add((scheme, where))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class _Limited(httpx.AsyncByteStream):
    """A body that ends with an error where it is longer than allowed."""

    def __init__(self, inner: AsyncIterable[bytes], most: int, where: str) -> None:
        self._inner = inner
        self._most = most
        self._where = where

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise errors.InvalidResponse(f"{self._where} answered more than {self._most} bytes")
            yield chunk


def _refuse_compressed(encoding: str | None, where: str) -> None:
    """Raise where a small answer could unpack to a huge one."""
    if encoding is not None and encoding.strip().lower() not in ("", "identity"):
        raise errors.InvalidResponse(f"{where} answered in a compressed form that was not asked for")


@functools.cache
def public_trust() -> ssl.SSLContext:
    """Return the trust in public authorities, read once; the environment does not change it."""
    return ssl.create_default_context(cafile=certifi.where())


class _Wire(httpx.AsyncBaseTransport):
    """aiohttp's session as an httpx transport: one connection pool, a third of the CPU of httpx's own."""

    def __init__(self, tls: ssl.SSLContext | None, max_body: int, allow: AllowList | None) -> None:
        self._tls = tls
        self._max_body = max_body
        self._allow = allow
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read the whole answer."""
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
            body = await self._body(answer, url.netloc.decode())
        return _Answer(answer.status, answer.raw_headers, body)

    async def _body(self, answer: aiohttp.ClientResponse, where: str) -> bytes:
        _refuse_compressed(answer.headers.get("content-encoding"), where)
        length = answer.content_length
        if length is not None and length <= self._max_body:
            return await answer.read()  # no more than it says is read
        return b"".join([chunk async for chunk in _Limited(answer.content.iter_any(), self._max_body, where)])

    async def aclose(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()

    def _open(self, scheme: str) -> aiohttp.ClientSession:
        """Open a session, not before there is an event loop; the public authorities take 0.1 s and 1 MB to read."""
        tls = self._tls or (public_trust() if scheme == "https" else True)
        resolver = None if self._allow is None else GuardedResolver(self._allow.check_address)
        session = self._sessions[scheme] = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, keepalive_timeout=_KEEPALIVE, resolver=resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_field_size=_MAX_HEADER,
            auto_decompress=False,
            trust_env=False,
        )
        return session


class _Answer(httpx.Response):
    """An answer whose body is there: httpx takes longer to read one than aiohttp takes for the request's headers."""

    def __init__(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        super().__init__(status, headers=headers, stream=httpx.ByteStream(body))
        self._body = body
        self.is_closed = True

    @property
    def content(self) -> bytes:
        """Return the body."""
        return self._body

    def read(self) -> bytes:
        """Return the body."""
        return self._body

    async def aread(self) -> bytes:
        """Return the body."""
        return self._body


def _code_of(error: errors.CloudError) -> str:
    """Name what kept an answer away, as metrics count it."""
    return next((word for kind, word in _UNANSWERED if isinstance(error, kind)), "invalid")


def _cause(error: BaseException) -> str:
    """Name the cause of a failed connection without addresses or numbers that differ between tries."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known to DNS"
    text = str(error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error).lower()
    for clue, said in _CLUES:
        if clue in text:
            return said
    return "the TLS handshake failed" if isinstance(error, aiohttp.ClientSSLError) else type(error).__name__
