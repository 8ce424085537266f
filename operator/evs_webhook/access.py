"""Requests to the API server on behalf of a caller, with the caller's token and with nothing of ours.

Nothing of the caller's request is passed on but the token: no other header, no cookie, no address. The token is checked
for its form, put into one header, and forgotten with the request. Redirects are not followed, so it goes to the API
server alone. Whatever the API server refuses becomes the Problem that the caller gets, with the API server's own words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import aiohttp
from starlette.datastructures import Headers

from evs_operator import __version__
from evs_operator.api.stored import mapping
from evs_operator.kube.api import ANSWER_BYTES, AnswerTooLargeError, KubeError, object_of, read_content, retry_seconds
from evs_operator.kube.config.cluster import Cluster
from evs_operator.kube.config.sockets import Sockets

from .problems import Problem, not_now, unauthorized

_CONNECTIONS: Final = 256
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0, connect=10.0)
_AUTHORIZATION = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]{1,24576}=*)", re.IGNORECASE)
_AGENT: Final = f"evs-operator-webhook/{__version__}"
_RETRY: Final = 5.0
_ABSENT: Final = "the API server did not answer in time"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: a bearer token, which is shown nowhere."""

    token: str = field(repr=False)


class Conflict(Problem):
    """The API server said 409; `reason` is its word for why."""

    def __init__(self, detail: str, reason: str) -> None:
        super().__init__(409, detail)
        self.reason = reason


def caller_of(headers: Headers) -> Caller:
    """Return who sends a request; a Problem without a bearer token, or with two."""
    found = headers.getlist("authorization")
    match = _AUTHORIZATION.fullmatch(found[0]) if len(found) == 1 else None
    if match is None:
        raise unauthorized("send one header `Authorization: Bearer TOKEN` with a token of the cluster's API server")
    return Caller(match["token"])


class CallerApi:
    """Connections to the API server for all callers. Raises Problem, and nothing else, for what goes wrong."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._sockets = Sockets(cluster, lambda: cluster.session_for_others(connections=_CONNECTIONS, timeout=_TIMEOUT))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._sockets.aclose()

    async def request(
        self,
        caller: Caller,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        content_type: str = "application/json",
    ) -> dict[str, object]:
        """Send one request and return the JSON object of a 2xx answer; AnswerTooLargeError for one beyond 8 MiB."""
        session = await self._sockets.session()
        headers = {"Authorization": f"Bearer {caller.token}", "Accept": "application/json", "User-Agent": _AGENT}
        if content is not None:
            headers["Content-Type"] = content_type
        url = f"{self._cluster.server}{path}{f'?{urlencode(params)}' if params else ''}"
        try:
            async with session.request(method, url, data=content, headers=headers, allow_redirects=False) as response:
                body = await read_content(response, ANSWER_BYTES)
                status, retry_after = response.status, response.headers.get("Retry-After", "")
        except TimeoutError:
            raise not_now(503, _ABSENT, _RETRY) from None
        except (aiohttp.ClientError, OSError, ValueError):  # its words name addresses, which are not the caller's
            raise not_now(503, "the API server is out of reach", _RETRY) from None
        if not 200 <= status < 300:
            raise _problem_of(status, body, retry_seconds(retry_after))
        if body is None:
            raise AnswerTooLargeError(status, f"the answer has more than {ANSWER_BYTES} bytes")
        try:
            return object_of(body, method)
        except KubeError:
            raise not_now(503, "something else answers in place of the API server", _RETRY) from None


def _problem_of(status: int, body: bytes | None, retry_after: float) -> Problem:
    """Return what a caller is answered if the API server refuses."""
    said, reason = _said(body)
    words = said or f"the API server answered HTTP {status}"
    if status == 401:
        return unauthorized(
            "the API server refuses this token: it has expired, or is for another audience", refused=True
        )
    if status == 409:
        return Conflict(words, reason)
    if status == 429:
        return not_now(429, words, retry_after)
    if status in (403, 404, 413):
        return Problem(status, words)
    if 400 <= status < 500 and status != 410:
        return Problem(422, words)
    return not_now(503, words, retry_after or _RETRY)


def _said(body: bytes | None) -> tuple[str, str]:
    """Return message and reason of a Status, each on one line."""
    try:
        parsed = mapping(json.loads(body or b""))
    except (ValueError, RecursionError):
        return "", ""
    return tuple(" ".join(str(parsed.get(key) or "").split()) for key in ("message", "reason"))  # type: ignore[return-value]  # two of them
