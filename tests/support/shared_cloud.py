"""IAM, EVS and a metadata service under httpx, shared by tenants who ask with one credential about projects of theirs.

A project is answered for as `answers` and `grants` say; what is not said there is the right answer. Used with the
engine in virtual time, by way of the real client.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.endpoints import AllowList
from evs_operator.connections.connection import Connection
from evs_operator.connections.credential_loader import PlatformAuth
from evs_operator.connections.status_writer import verdict_of
from evs_operator.jobs.entry import Entry
from evs_operator.kube.objects import ObjectKey

from .engine_world import ENDPOINT, CloudJob, EngineWorld

IAM = "https://iam.example.com"
METADATA = "http://169.254.169.254"
VICTIM = "a" * 32
KINDS = ("password", "oidc", "accessKey", "token", "instanceMetadata")
TENANTS = ("attacker", "victim", "other")
Reply = Callable[[], httpx.Response]

_SECRETS = {
    "password": {"username": "user", "password": "the-password", "domainName": "domain"},
    "accessKey": {"accessKey": "AKID", "secretKey": "the-secret-key"},
    "token": {"token": "the-token"},
}


def foreign(number: int) -> str:
    """Return the id of a project that is not the credential's."""
    return f"f{number:031x}"


@dataclass
class SharedCloud:
    """`requests` are those for tokens and keys, by scope; `calls` those to EVS, by project, with their times."""

    answers: dict[str, Reply] = field(default_factory=dict)
    grants: dict[str, Reply] = field(default_factory=dict)
    every_answer: Reply | None = None
    every_grant: Reply | None = None
    calls: list[tuple[float, str]] = field(default_factory=list)
    requests: list[tuple[float, str]] = field(default_factory=list)
    latency: float = 0.05
    issued: Counter[str] = field(default_factory=Counter)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        now = asyncio.get_running_loop().time()
        url = str(request.url)
        if url.startswith(METADATA):
            self.requests.append((now, ""))
            await asyncio.sleep(self.latency)
            return self._of_metadata(url)
        if url.startswith(IAM):
            scope = json.loads(request.content)["auth"].get("scope", {}).get("project", {}).get("id", "")
            self.requests.append((now, scope))
            await asyncio.sleep(self.latency)
            return self._token(scope)
        project, job_id = request.url.path.split("/")[2], request.url.path.split("/")[-1]
        self.calls.append((now, project))
        await asyncio.sleep(self.latency)
        if reply := self.answers.get(project) or self.every_answer:
            return reply()
        if set(job_id) == {"0"}:
            return httpx.Response(400, json={"error": {"code": "Common.0011", "message": "query job fail."}})
        return httpx.Response(200, json={"status": "RUNNING", "job_id": job_id, "job_type": "createVolume"})

    def _token(self, scope: str) -> httpx.Response:
        if reply := self.grants.get(scope) or self.every_grant:
            return reply()
        self.issued[scope] += 1
        token = f"token-{scope}-{self.issued[scope]}"
        return httpx.Response(201, headers={"X-Subject-Token": token}, json={"token": {}})

    def _of_metadata(self, url: str) -> httpx.Response:
        if self.every_grant:
            return self.every_grant()
        if url.endswith("/api/token"):
            return httpx.Response(200, text="metadata-token")
        key = {"access": "AK", "secret": "SK", "securitytoken": "ST", "expires_at": "2099-01-01T00:00:00Z"}
        return httpx.Response(200, json={"credential": key})

    def asked_about(self, project: str, since: float = 0.0) -> list[float]:
        """Return when EVS was asked about a project."""
        return [at for at, whose in self.calls if whose == project and at >= since]


class SharedWorld(EngineWorld):
    """A ClusterEvsConnection that tenants share, with the engine around it."""

    def __init__(self, token_file: Path) -> None:
        token_file.write_text("e30.e30.c2ln")
        platform = PlatformAuth(frozenset({"oidc", "instanceMetadata"}), str(token_file))
        self.shared = SharedCloud()
        super().__init__(self._evs_client, allow=(IAM, METADATA), platform=platform)

    def _evs_client(self, connection: Connection, auth: httpx.Auth) -> EvsClient:
        if connection.wire is not None:
            return connection.wire.with_auth(auth)
        allow = AllowList((ENDPOINT, IAM, METADATA))
        return EvsClient(ENDPOINT, auth, transport=httpx.MockTransport(self.shared.answer), allow=allow)

    def share(self, kind: str, *, rate: int = 100, burst: int = 100, project: str | None = None) -> Connection:
        """Create the ClusterEvsConnection `default` that signs in that way."""
        ref = {"secretRef": {"name": "shared"}}
        auth: dict[str, Any] = {
            "password": {**ref, "iamEndpoint": IAM},
            "oidc": {"iamEndpoint": IAM, "identityProvider": "kubernetes"},
            "instanceMetadata": {"endpoint": METADATA},
        }.get(kind, ref)
        self.api.put_secret("evs-operator", "shared", **_SECRETS.get(kind, {}))
        spec: dict[str, Any] = {
            "endpoint": ENDPOINT,
            "auth": {kind: auth},
            "rateLimit": {"requestsPerSecond": rate, "burst": burst},
            "allowedNamespaces": {"names": list(TENANTS)},
        }
        if project is not None:
            spec["projectId"] = project
        key = self.shared_key
        self.registry.apply(key, {"metadata": {"uid": "shared", "generation": 1}, "spec": spec})
        connection = self.registry.get(key)
        assert isinstance(connection, Connection)
        return connection

    @property
    def shared_key(self) -> ObjectKey:
        """The connection's key."""
        return ObjectKey("ClusterEvsConnection", "", "default")

    def follow(self, name: str, namespace: str, project: str, every: int = 2) -> Entry:
        """Create an EvsJob of a tenant that is asked about at a fixed pace."""
        polling = {"minIntervalSeconds": every, "maxIntervalSeconds": every}
        spec = {"projectId": project, "polling": polling}
        return self.add(name, CloudJob(0.0, 1e9), namespace, spec=spec)

    def ready(self) -> str:
        """Return what the connection says of itself: the reason of its condition Ready."""
        connection = self.registry.get(self.shared_key)
        assert connection is not None
        return str(verdict_of(connection, self.clock())[0])
