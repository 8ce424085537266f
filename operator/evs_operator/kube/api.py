"""Requests to the API server other than kopf's watch: one session, one kind of error.

The status writer uses this for every observable change, so it stands on aiohttp (0.2 ms of CPU a request)
and not on the generated client (0.63 ms, design section 4).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode

import aiohttp

from .cluster import Cluster

_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
# ASCII: the API server reads an apply patch as YAML, which knows some characters as escapes alone
_encode = json.JSONEncoder(separators=(",", ":")).encode
_METADATA_ONLY = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
METADATA = _METADATA_ONLY.format("")
METADATA_LIST = _METADATA_ONLY.format("List")


class KubeError(Exception):
    """The API server did not do what was asked; `status` is the HTTP status, 0 where it did not answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class KubeApi:
    """A session with the API server. Raises KubeError, and nothing else, for what goes wrong on the way."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=cluster.tls(), limit=64),
            timeout=_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()

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
        headers = {"Accept": accept, **await self._cluster.headers()}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = _encode(body).encode()
        query = f"?{urlencode(params)}" if params else ""
        url = f"{self._cluster.server}{path}{query}"
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as response:
                content = await response.read()
                status = response.status
        except TimeoutError:
            raise KubeError(0, f"{method} {path}: the API server did not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise KubeError(0, f"{method} {path}: API server not reachable: {_brief(error)}") from error
        parsed = _object(content)
        if 200 <= status < 300:
            return parsed
        message = str(parsed.get("message") or f"HTTP {status}")
        raise KubeError(status, f"{method} {path}: {message}")


def _object(content: bytes) -> dict[str, object]:
    try:
        parsed = json.loads(content)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _brief(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
