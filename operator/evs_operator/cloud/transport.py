"""How a request gets to the cloud: over a `wire` under the httpx API, with our names for failures.

Built by the client and used for EVS and IAM alike, so that every failure names the host it happened at. The allow-list
is asked before each request goes, `on_call` is told of each that went, and what aiohttp or httpx raise becomes the
CloudError that a caller decides on. Status codes and bodies are not looked at here (`classify`).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Final

import aiohttp
import httpx

from evs_operator.evs import errors

from .endpoints import AllowList, EndpointNotAllowed
from .names import is_unknown
from .network import Network
from .unpack import unpacked
from .wire import Answer, Wire, public_trust, read_within, too_long

__all__ = ["CloudTransport", "OnCall", "public_trust"]

_JOB_PATH: Final = "/jobs/"

OnCall = Callable[[str, str, float], None]
"""Called with the operation (get_job, create_token), the HTTP status or what kept it away, and seconds it took."""

ADVICE_ON_NAME: Final = (
    "Correct the host name in the connection's endpoint, or its iamEndpoint: write that of the region, "
    "for example https://evs.eu-de.otc.t-systems.com."
)
ADVICE_ON_TRUST: Final = (
    "Put the certificate of the authority that issued it into spec.tls.caBundle or spec.tls.caSecretRef of the "
    "connection, or correct the host name in its endpoint."
)
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
    ("too many chunks", "its answer comes in too many chunks"),
    ("payload", "connection closed within the answer"),
)


class CloudTransport(httpx.AsyncBaseTransport):
    """Sends requests; raises CloudError if no answer comes.

    `may_send` is asked before each: a process that was frozen and has lost its Lease meanwhile sends nothing.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None,
        max_body: int,
        allow: AllowList | None,
        inner: httpx.AsyncBaseTransport | None = None,
        on_call: OnCall | None = None,
        network: Network | None = None,
        turn: str = "",
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        self._may_send = may_send
        self._inner = inner or Wire(tls, max_body, allow, network or Network(), turn)
        self._max_body = max_body
        self._allow = allow
        self._allowed: set[tuple[str, str]] = set()
        self._on_call = on_call

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return the answer with its body read; `on_call` is told once, however it ends."""
        where = request.url.netloc.decode()
        if not self._may_send():
            raise errors.Unreachable(f"{where} was not asked: this process does not hold the Lease any more")
        started, code = time.monotonic(), "canceled"
        try:
            response = await self._answer(request, where)
            code = str(response.status_code)
        except errors.CloudError as error:
            code = error.counted_as
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
            if not response.is_closed and isinstance(response.stream, httpx.AsyncByteStream):
                response = await self._read(response, response.stream)
            response.request = request
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
            raise _unreachable(where, error) from error
        return response

    async def _read(self, response: httpx.Response, stream: httpx.AsyncByteStream) -> Answer:
        """Read the answer of a transport that is not ours; httpx would unpack it without a limit."""
        packed = await read_within(stream, self._max_body)
        await response.aclose()
        named = response.headers.get_list("content-encoding")
        body = None if packed is None else unpacked(packed, named, self._max_body)
        fault = too_long(self._max_body) if body is None else ""
        return Answer(response.status_code, response.headers.raw, body or b"", fault)

    def _check(self, scheme: str, where: str) -> None:
        """Ask the allow-list, which does not change, once for each of the two or three origins of a client."""
        if self._allow is not None and (scheme, where) not in self._allowed:
            self._allow.check(f"{scheme}://{where}")
            self._allowed.add((scheme, where))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


def _unreachable(where: str, error: BaseException) -> errors.Unreachable:
    """Say what kept a connection from being made, and what to do where it may be what was written."""
    found = errors.Unreachable(f"{where} is not reachable: {_cause(error)}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        found.mistaken, found.advice = is_unknown(error.os_error), ADVICE_ON_NAME
    elif isinstance(getattr(error, "os_error", error), ssl.SSLCertVerificationError) or isinstance(
        error, aiohttp.ClientConnectorCertificateError
    ):
        found.mistaken, found.advice = True, ADVICE_ON_TRUST
    if not found.mistaken:
        found.advice = ""
    return found


def _cause(error: BaseException) -> str:
    """Name the cause of a failed connection without addresses or numbers that differ between tries."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known to DNS" if is_unknown(error.os_error) else "DNS does not tell its address"
    text = str(error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error).lower()
    for clue, said in _CLUES:
        if clue in text:
            return said
    return "the TLS handshake failed" if isinstance(error, aiohttp.ClientSSLError) else type(error).__name__
