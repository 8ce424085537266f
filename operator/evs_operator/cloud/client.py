"""The client of the jobs API: one GET, one Job, or one CloudError. Called by the engine's workers.

Every limit is ours: connect, read and total time, size of the body, no redirects, trust only in what the
connection names (environment variables such as SSL_CERT_FILE or HTTPS_PROXY change nothing). Retries are the caller's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import certifi
import httpx
from httpx_aiohttp import AiohttpTransport

from . import errors
from .classify import read_answer
from .endpoints import EndpointNotAllowed, origin
from .job import Job

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of an answer that are read; 10,000 sub-jobs are 2.6 MB."""

_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "X-Language": "en-us",
    "User-Agent": "evs-operator",
}


class _TooLargeError(Exception):
    """An answer is larger than we read."""


class EvsClient:
    """Asks one endpoint with one authentication. Use as a context manager, or call `aclose()`.

    `permit` is called with the origin of every request, those to IAM included, before it goes; it raises
    EndpointNotAllowed. Times are seconds, `max_body` is bytes.
    """

    def __init__(
        self,
        endpoint: str,
        auth: httpx.Auth,
        *,
        tls: ssl.SSLContext | None = None,
        connect_timeout: float = 5.0,
        read_timeout: float = 20.0,
        total_timeout: float = 30.0,
        max_body: int = MAX_BODY,
        permit: Callable[[str], None] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._origin = origin(endpoint)
        self._where = self._origin.split("://", 1)[1]
        self._total_timeout = total_timeout
        self._max_body = max_body
        context = tls or ssl.create_default_context(cafile=certifi.where())
        self._http = httpx.AsyncClient(
            auth=auth,
            headers=_HEADERS,
            timeout=httpx.Timeout(read_timeout, connect=connect_timeout),
            transport=_Limited(transport or AiohttpTransport(verify=context, trust_env=False), max_body, permit),
            follow_redirects=False,
            trust_env=False,
        )

    async def get_job(self, project_id: str, job_id: str) -> Job:
        """Query one job (`GET /v1/{project_id}/jobs/{job_id}`); raises CloudError and nothing else."""
        url = f"{self._origin}/v1/{quote(project_id, safe='')}/jobs/{quote(job_id, safe='')}"
        try:
            async with asyncio.timeout(self._total_timeout):
                response = await self._http.get(url, headers={"X-Project-Id": project_id})
        except (TimeoutError, httpx.TimeoutException) as error:
            raise errors.PollTimeout(f"{self._where} did not answer in time") from error
        except (_TooLargeError, httpx.DecodingError) as error:
            raise errors.InvalidResponse(f"{self._where} answered more than {self._max_body} bytes") from error
        except EndpointNotAllowed as error:
            raise errors.EndpointInvalid(str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise errors.Unreachable(f"{self._where} is not reachable: {_cause(error)}") from error
        return read_answer(
            response.status_code,
            response.headers,
            response.content,
            job_id=job_id,
            where=self._where,
            now=datetime.now(UTC),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Limited(httpx.AsyncBaseTransport):
    """Ends an answer that is longer than allowed, whoever reads it; asks `permit` before each request goes."""

    def __init__(self, inner: httpx.AsyncBaseTransport, most: int, permit: Callable[[str], None] | None) -> None:
        self._inner = inner
        self._most = most
        self._permit = permit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._permit is not None:
            self._permit(f"{request.url.scheme}://{request.url.netloc.decode()}")
        response = await self._inner.handle_async_request(request)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _LimitedStream(response.stream, self._most)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _LimitedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, most: int) -> None:
        self._inner = inner
        self._left = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._left -= len(chunk)
            if self._left < 0:
                raise _TooLargeError
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _cause(error: BaseException) -> str:
    """Name the cause of a failed connection without addresses or numbers that differ between tries."""
    text = f"{error} {error.__cause__ or ''}".lower()
    for clue, said in (
        ("certificate", "its TLS certificate is not trusted"),
        ("ssl", "the TLS handshake failed"),
        ("name or service not known", "its name is not known to DNS"),
        ("getaddrinfo", "its name is not known to DNS"),
        ("name resolution", "its name is not known to DNS"),
        ("no address associated", "its name is not known to DNS"),
        ("refused", "connection refused"),
        ("cannot connect", "connection refused or no route"),
        ("reset", "connection reset"),
        ("disconnected", "connection closed before the answer"),
        ("payload", "connection closed within the answer"),
    ):
        if clue in text:
            return said
    return type(error).__name__
