"""The API server as the benchmark uses it: makes EvsJobs, sees when they end, counts what operators write.

Everything goes through the API server except `seed`: ten thousand finished EvsJobs are put into etcd as
copies of one that the operator finished, which takes a second and not minutes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from benchmarks.engine.cloud import Life
from controlplane import ControlPlane

GROUP = "evs-operator.dev"
NAMESPACE = "bench"
JOBS = f"/apis/{GROUP}/v1alpha1/namespaces/{NAMESPACE}/evsjobs"
_CREATORS = 16
_TXN = 100
_WRITES = re.compile(
    r'^apiserver_request_total\{(?=[^}]*resource="evsjobs")(?=[^}]*verb="(?:PATCH|APPLY|PUT)")[^}]*'
    r'subresource="(?P<subresource>[a-z]*)"[^}]*\} (?P<count>\S+)$',
    re.MULTILINE,
)


class Cluster:
    """A control plane with our CRDs and one namespace; a context manager."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Cluster:
        import ssl

        config = json.loads(self.plane.admin_kubeconfig.read_text())
        trust = ssl.create_default_context(cafile=self.plane.ca_file)
        self._session = aiohttp.ClientSession(
            self.plane.server,
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Make one request; raise on an error."""
        assert self._session is not None
        async with self._session.request(method, path, json=body) as response:
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {(await response.text())[:300]}")
            return await response.json()

    async def create(self, prefix: str, make_id: Callable[[int], str], count: int, **spec: object) -> list[str]:
        """Create so many EvsJobs as fast as it goes; `make_id` is called at the moment of each. Return the ids."""
        numbers = iter(range(count))
        ids: list[str] = []

        async def creator() -> None:
            for number in numbers:
                identity = make_id(number)
                ids.append(identity)
                body = {
                    "apiVersion": f"{GROUP}/v1alpha1",
                    "kind": "EvsJob",
                    "metadata": {"name": f"{prefix}-{number}"},
                    "spec": {"jobId": identity, **spec},
                }
                await self.call("POST", JOBS, body)

        await asyncio.gather(*(creator() for _ in range(_CREATORS)))
        return ids

    async def writes(self) -> tuple[int, int]:
        """Return how many status writes and how many other writes of EvsJobs the API server has seen."""
        assert self._session is not None
        async with self._session.get("/metrics") as response:
            text = await response.text()
        counted = {"status": 0, "": 0}
        for match in _WRITES.finditer(text):
            counted[match["subresource"]] += int(float(match["count"]))
        return counted["status"], counted[""]

    async def ends(self) -> AsyncIterator[tuple[str, float]]:
        """Yield job id and time (epoch) whenever an EvsJob is first seen with the status SUCCESS."""
        assert self._session is not None
        version = (await self.call("GET", f"{JOBS}?limit=1"))["metadata"]["resourceVersion"]
        seen: set[str] = set()
        while True:  # the API server ends a watch that it finds slow
            path = f"{JOBS}?watch=true&allowWatchBookmarks=true&resourceVersion={version}"
            async with self._session.get(path, read_bufsize=2**24) as response:
                response.raise_for_status()
                async for line in response.content:
                    now = time.time()
                    found = json.loads(line)["object"]
                    version = found["metadata"]["resourceVersion"]
                    if found.get("status", {}).get("jobStatus") != "SUCCESS":
                        continue
                    identity = found["spec"]["jobId"]
                    if identity not in seen:
                        seen.add(identity)
                        yield identity, now

    async def ended(self) -> int:
        """Return how many EvsJobs have the status SUCCESS."""
        items = (await self.call("GET", JOBS))["items"]
        return sum(1 for item in items if item.get("status", {}).get("jobStatus") == "SUCCESS")

    async def seed(self, name: str, count: int, make_id: Callable[[int], str]) -> None:
        """Put copies of a finished EvsJob into etcd."""
        key = f"/registry/{GROUP}/evsjobs/{NAMESPACE}/{name}"
        async with aiohttp.ClientSession(self.plane.etcd_url) as etcd:
            found = await _etcd(etcd, "range", {"key": _base64(key)})
            text = base64.b64decode(found["kvs"][0]["value"]).decode()
            original = json.loads(text)
            uid, identity = original["metadata"]["uid"], original["spec"]["jobId"]
            for start in range(0, count, _TXN):
                puts = []
                for number in range(start, min(start + _TXN, count)):
                    other = f"idle-{number:05d}"
                    copy = text.replace(uid, f"{uid[:-12]}{number:012x}").replace(identity, make_id(number))
                    copy = copy.replace(f'"name":"{name}"', f'"name":"{other}"')
                    at = f"/registry/{GROUP}/evsjobs/{NAMESPACE}/{other}"
                    puts.append({"request_put": {"key": _base64(at), "value": _base64(copy)}})
                await _etcd(etcd, "txn", {"success": puts})


async def _etcd(etcd: aiohttp.ClientSession, call: str, body: object) -> Any:
    async with etcd.post(f"/v3/kv/{call}", json=body) as response:
        response.raise_for_status()
        return await response.json()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def late(identity: str, seen: float) -> float:
    """Return the seconds from the end of a job to when it was seen."""
    return max(seen - Life.of(identity).end, 0.0)
