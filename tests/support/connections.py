"""Connections for tests of the engine: an API server in memory, a cloud in the test's hand, and a clock that stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from evs_operator.api.names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION
from evs_operator.api.spec import EvsJobSpec, parse_spec
from evs_operator.clock import Clock
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.endpoints import AllowList
from evs_operator.connections.connection import Connection
from evs_operator.connections.registry import ConnectionRegistry
from evs_operator.evs import errors
from evs_operator.evs.job import Job
from evs_operator.kube.objects import ObjectKey
from evs_operator.redact.redaction import Redaction

from .api_server import InMemoryApiServer
from .jobs import JOB_ID, job

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
ENDPOINT = "https://evs.eu-de.otc.t-systems.com"
TOKEN_AUTH = {"token": {"secretRef": {"name": "evs-credentials"}}}


class FakeCloud:
    """Stands in for the client: counts calls and answers what `answer` says."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.closed = 0
        self.answer: Callable[[str], Job | Exception] = lambda job_id: job("RUNNING")
        self.slow = False
        self.hung: set[str] = set()
        """Projects about which no call is answered within its 30 s."""
        self.at_once = self.most_at_once = 0

    async def get_job(self, project_id: str, job_id: str) -> Job:
        self.calls.append(job_id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for _ in range(10 if self.slow else 1):
                await asyncio.sleep(0)
            if project_id in self.hung:
                await asyncio.sleep(30.0)
                raise errors.PollTimeout("evs did not answer in time")
            answer = self.answer(job_id)
        finally:
            self.at_once -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def prove(self, project_id: str | None, proof: object) -> None:
        await self.get_job(project_id or "no-project", "proof")

    async def aclose(self) -> None:
        self.closed += 1


class ConnectionsWorld:
    """A registry with all that it needs."""

    def __init__(self, **registry: Any) -> None:
        self.now = 1_770_110_100.0
        self.api = InMemoryApiServer()
        self.cloud = FakeCloud()
        self.changed: list[ObjectKey] = []
        self.healed: list[ObjectKey] = []
        allow = registry.pop("allow", None) or AllowList()
        self.clock: Clock = registry.pop("clock", None) or Clock(lambda: self.now, lambda: self.now)
        self.redaction = Redaction(self.clock)
        listeners = {
            "on_change": lambda connection: self.changed.append(connection.key),
            "on_healed": lambda key, project_id: self.healed.append(key),
        }
        self.registry = ConnectionRegistry(
            self.api.kube,
            allow,
            "evs-operator",
            self.clock,
            redaction=self.redaction,
            make_client=lambda connection, auth: cast(EvsClient, self.cloud),
            **(listeners | registry),
        )

    def connect(
        self, namespace: str = "team-a", name: str = "default", *, uid: str = "u", generation: int = 1, **spec: Any
    ) -> Connection:
        """Apply a connection; namespace "" makes a ClusterEvsConnection."""
        key = self.key(namespace, name)
        self.registry.apply(key, self.body(uid=uid, generation=generation, **spec))
        connection = self.registry.get(key)
        assert connection is not None
        return connection

    def body(self, *, uid: str = "u", generation: int = 1, **spec: Any) -> dict[str, Any]:
        """Return a connection object as the watch brings it."""
        self.api.version += 1
        metadata = {"uid": uid, "generation": generation, "resourceVersion": str(self.api.version)}
        return {"metadata": metadata, "spec": {"endpoint": ENDPOINT, "projectId": PROJECT, "auth": TOKEN_AUTH, **spec}}

    @staticmethod
    def key(namespace: str = "team-a", name: str = "default") -> ObjectKey:
        return ObjectKey(EVS_CONNECTION if namespace else CLUSTER_EVS_CONNECTION, namespace, name)

    async def poll(self, namespace: str = "team-a", job_id: str = JOB_ID, **spec: Any) -> Job:
        """Do what the reconciler does for an EvsJob."""
        _, project, client = await self.registry.client_for(namespace, self.spec(job_id, **spec))
        return await client.get_job(project, job_id)

    @staticmethod
    def spec(job_id: str = JOB_ID, **spec: Any) -> EvsJobSpec:
        return parse_spec({"jobId": job_id, **spec})

    def reads(self, namespace: str = "team-a", name: str = "evs-credentials") -> int:
        """Return how often a Secret was read."""
        return self.api.asked(f"/api/v1/namespaces/{namespace}/secrets/{name}")


def conditions(status: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return status and reason of each condition by type."""
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def moment(seconds: float) -> datetime:
    """Return a moment of the epoch as an aware time."""
    return datetime.fromtimestamp(seconds, UTC)
