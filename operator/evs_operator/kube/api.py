"""Requests to the API server other than kopf's watch: one session, one kind of error, answers of bounded size.

The status writer uses this for every observable change, so it stands on aiohttp (0.2 ms of CPU a request)
and not on the generated client (0.63 ms). Statuses, Events, Secrets, lists and the Lease have a `lane` each: requests
that hang in one of them leave the connections of all others alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import aiohttp
from multidict import CIMultiDict

from evs_operator.kube.config.cluster import Cluster
from evs_operator.kube.config.sockets import Sockets
from evs_operator.observe.wording import Ours

from .encoding import encoded

_SECONDS: Final = 30.0
_CONNECT: Final = 10.0
_CONNECTIONS: Final = 64
ANSWER_BYTES: Final = 8 * 1024 * 1024
"""The largest answer that is read; etcd holds no object of more than 1.5 MiB."""
_MESSAGE: Final = 2048
_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
METADATA = _METADATA_ONLY.format("")
METADATA_LIST = _METADATA_ONLY.format("List")


class KubeError(Exception):
    """The API server did not do what was asked; `status` is the HTTP status, 0 where it did not answer.

    `message` is a sentence of our own (`Ours`) with the API server's words at its end. `retry_after` is in seconds, 0
    where the API server named none.
    """

    def __init__(self, status: int, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """True where the API server did not answer, asks to wait or has trouble of its own."""
        return self.status in (0, 429) or self.status >= 500


class AnswerTooLargeError(KubeError):
    """The answer was larger than the caller can hold; it was not read to its end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON object of a 2xx answer, and how many bytes it was."""

    body: dict[str, object]
    size: int


class KubeApi:
    """Connections to the API server. Raises KubeError, and nothing else, for what goes wrong on the way.

    `answered_at` is when it last answered a request with anything but 401 or 5xx, on the monotonic clock. `may_send` is
    asked before each request: a process that was frozen and has lost its Lease meanwhile sends nothing.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        connections: int = _CONNECTIONS,
        seconds: float = _SECONDS,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        self._cluster = cluster
        self._may_send = may_send
        timeout = aiohttp.ClientTimeout(total=seconds, connect=_CONNECT)
        self._sockets = Sockets(cluster, lambda: cluster.session(connections=connections, timeout=timeout))
        self._lanes: list[KubeApi] = []
        self._answered_at = time.monotonic()

    def lane(self, connections: int, seconds: float = _SECONDS, may_send: Callable[[], bool] = lambda: True) -> KubeApi:
        """Return the same with connections of its own; a request may take so many seconds, the wait for one included.

        It is closed with this one.
        """
        lane = KubeApi(self._cluster, connections=connections, seconds=seconds, may_send=may_send)
        self._lanes.append(lane)
        return lane

    @property
    def answered_at(self) -> float:
        """When a request of any lane last succeeded or was refused for a reason of its own."""
        return max([self._answered_at, *(lane.answered_at for lane in self._lanes)])

    async def aclose(self) -> None:
        """Close all connections."""
        for lane in self._lanes:
            await lane.aclose()
        await self._sockets.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, object]:
        """Send one request and return the JSON object of a 2xx answer."""
        answer = await self.answer(method, path, params=params, body=body, content_type=content_type, accept=accept)
        return answer.body

    async def answer(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        most: int = ANSWER_BYTES,
    ) -> Answer:
        """Send one request; raises AnswerTooLargeError where a 2xx answer has more than `most` bytes."""
        headers = await self._headers(f"{method} {path}")
        headers["Accept"] = accept
        session = await self._sockets.session()
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = encoded(body)
        url = f"{self._cluster.server}{path}" + (f"?{urlencode(params)}" if params else "")
        ask = session.request(method, url, data=data, headers=headers, allow_redirects=False)
        try:
            async with ask as response:
                content = await read_content(response, most)
                status, retry_after = response.status, response.headers.get("Retry-After", "")
        except TimeoutError:
            raise KubeError(0, Ours(f"{method} {path}: the API server did not answer in time")) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an answer that is no HTTP
            raise KubeError(0, Ours(f"{method} {path}: API server not reachable:", _brief(error))) from error
        if status == 401:
            self._cluster.refused()
        elif status < 500:
            self._answered_at = time.monotonic()
        if not 200 <= status < 300:
            said = _said(content) or f"HTTP {status}"
            raise KubeError(status, Ours(f"{method} {path}:", said, path.split("/")), retry_seconds(retry_after))
        if content is None:
            raise AnswerTooLargeError(status, Ours(f"{method} {path}: the answer has more than {most} bytes"))
        return Answer(object_of(content, f"{method} {path}"), len(content))

    async def _headers(self, what: str) -> CIMultiDict[str]:
        try:
            headers = await self._cluster.headers()
        except (OSError, ValueError) as error:  # a token that cannot be read
            raise KubeError(0, Ours(f"{what}: no credential for the API server:", _brief(error))) from error
        if not self._may_send():
            raise KubeError(0, Ours(f"{what}: not sent: this process does not hold the Lease any more"))
        return headers


async def read_content(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """Read an answer; None where it has more bytes than that, unpacked, and then the rest is not read."""
    if response.content_length is not None and "Content-Encoding" not in response.headers:
        if response.content_length <= most:
            return await response.read()
        response.close()
        return None
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > most:
            response.close()
            return None
        parts.append(part)
    return b"".join(parts)


def object_of(content: bytes, what: str) -> dict[str, object]:
    """Return the JSON object that an answer is; raises KubeError."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        what += ": the answer is no object: something else answers in place of the API server"
        raise KubeError(0, Ours(what))
    return parsed


def _said(content: bytes | None) -> str:
    """Return the message of an answer that refuses, on one line."""
    try:
        parsed = json.loads(content or b"")
    except (ValueError, RecursionError):
        return ""
    message = parsed.get("message") if isinstance(parsed, dict) else None
    return " ".join(message.split())[:_MESSAGE] if isinstance(message, str) else ""


def retry_seconds(retry_after: str) -> float:
    """Return the seconds that a Retry-After header names, 0 if it names none or has more than five digits."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 6 else 0.0


def _brief(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
