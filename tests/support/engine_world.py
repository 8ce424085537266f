"""The engine in virtual time: the real store, scheduler, dispatcher, budgets, registry, reconciler and status writer.

Only the two ends are in memory: an API server that takes every write, and a cloud whose jobs begin and end when they
were told to. A day passes in seconds, and every call is there to be counted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import httpx

from evs_operator.api.conditions import condition_of
from evs_operator.api.names import EVS_JOB, REQUESTED_AT
from evs_operator.clock import Clock
from evs_operator.cloud.auth.credentials import Token
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.endpoints import AllowList
from evs_operator.connections.clients import MakeClient
from evs_operator.connections.connection import Connection
from evs_operator.connections.credential_loader import PlatformAuth
from evs_operator.evs import errors
from evs_operator.evs.job import Job
from evs_operator.jobs.entry import Entry
from evs_operator.kube.objects import ObjectKey
from evs_operator.observe.metrics import Metrics
from evs_operator.observe.tracing import NO_TRACING, Tracing
from evs_operator.runtime.wiring import ApiServer, Rules, Watch, wire
from support.api_server import UNHEARD, InMemoryApiServer, Request
from support.lease_world import VirtualLoop

EPOCH = 1_770_000_000.0
PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
ENDPOINT = "https://evs.example.com"


@dataclass(slots=True)
class CloudJob:
    """One job of the cloud; times are seconds of virtual time."""

    begin: float
    end: float
    kind: str = "createVolume"
    sub_jobs: int = 0


@dataclass(slots=True)
class Call:
    """One call that the cloud took: when it came, with which token, for which job."""

    at: float
    token: str
    job_id: str


@dataclass
class Cloud:
    """Answers by job id after `latency`; `refuse` raises what a call gets instead, `twist` changes the job."""

    loop: VirtualLoop
    latency: float = 0.05
    jobs: dict[str, CloudJob] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    seen_end: dict[str, float] = field(default_factory=dict)
    refuse: Callable[[Call], errors.CloudError | None] = lambda call: None
    twist: Callable[[Job], Job] = lambda job: job
    hung: set[str] = field(default_factory=set)
    behind: float = 0.0

    async def answer(self, token: str, job_id: str) -> Job:
        """Take one call; a token that hangs is answered with a time-out after 30 s."""
        call = Call(self.loop.now, token, job_id)
        self.calls.append(call)
        if token in self.hung:
            await asyncio.sleep(30.0)
            raise errors.PollTimeout("evs.example.com did not answer in time")
        refused = self.refuse(call)
        await asyncio.sleep(self.latency)
        if refused is not None:
            raise refused
        job, now = self.jobs[job_id], self.loop.now
        ended = now >= job.end
        if ended:
            self.seen_end.setdefault(job_id, now)
        sub_jobs = tuple(self._told(f"{job_id}-{number}", job, ended) for number in range(job.sub_jobs))
        return self.twist(self._told(job_id, job, ended, sub_jobs))

    def _told(self, job_id: str, job: CloudJob, ended: bool, sub_jobs: tuple[Job, ...] = ()) -> Job:
        return Job(
            job_id=job_id,
            job_type=job.kind,
            status="SUCCESS" if ended else "RUNNING",
            begin_time=self._time(job.begin),
            end_time=self._time(job.end) if ended else None,
            entities={},
            error_code=None,
            fail_reason=None,
            sub_jobs=sub_jobs,
        )

    def _time(self, moment: float) -> datetime:
        return datetime.fromtimestamp(EPOCH + moment - self.behind, UTC)


@dataclass
class _Client:
    cloud: Cloud
    token: str

    async def get_job(self, project_id: str, job_id: str) -> Job:
        return await self.cloud.answer(self.token, job_id)

    async def aclose(self) -> None:
        pass


class EngineWorld:
    """One process and its surroundings; make it within a VirtualLoop."""

    def __init__(
        self,
        make_client: MakeClient | None = None,
        allow: Iterable[str] = (),
        platform: PlatformAuth | None = None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.cloud = Cloud(loop)
        self.step = 0.0
        self.clock = Clock(lambda: EPOCH + loop.now + self.step, lambda: loop.now)
        self.api = InMemoryApiServer()
        self.listing = False
        api = self.api.kube
        self.parts = parts = wire(
            ApiServer(api, api, api, UNHEARD),
            Rules(AllowList((ENDPOINT, *allow)), "evs-operator", platform or PlatformAuth()),
            Watch(listing=lambda: self.listing, restart=lambda: None),
            self.clock,
            Metrics(),
            tracing=tracing,
            make_client=make_client or self._client,
        )
        self.store, self.scheduler, self.dispatcher = parts.store, parts.scheduler, parts.dispatcher
        self.registry, self.reconciler, self.intake = parts.registry, parts.reconciler, parts.intake
        self.rescheduling = parts.rescheduling
        self.writer = parts.statuses
        self.durations, self.warm_start = parts.durations, parts.warm_start
        self.task: asyncio.Task[None] | None = None
        self.specs: dict[str, dict[str, Any]] = {}

    def _client(self, connection: Connection, auth: httpx.Auth) -> EvsClient:
        assert isinstance(connection.credentials, Token)
        return cast(EvsClient, _Client(self.cloud, connection.credentials.token))

    def connect(self, namespace: str, *, token: str, rate: int = 20, burst: int = 20) -> ObjectKey:
        """Create the connection `default` of a namespace, or change it; its Secret holds that token."""
        self.api.put_secret(namespace, "token", token=token)
        key = ObjectKey("EvsConnection", namespace, "default")
        known = self.registry.get(key)
        self.registry.apply(
            key,
            {
                "metadata": {"uid": f"uid-{namespace}", "generation": known.generation + 1 if known else 1},
                "spec": {
                    "endpoint": ENDPOINT,
                    "projectId": PROJECT,
                    "auth": {"token": {"secretRef": {"name": "token"}}},
                    "rateLimit": {"requestsPerSecond": rate, "burst": burst},
                },
            },
        )
        return key

    def add(self, name: str, job: CloudJob, namespace: str = "ns", **more: Any) -> Entry:
        """Create an EvsJob for a job of the cloud, as a watch event brings it."""
        job_id = f"{namespace}-{name}".ljust(8, "0")
        self.cloud.jobs[job_id] = job
        metadata = {"uid": job_id, "namespace": namespace, "name": name, "resourceVersion": "1", "generation": 1}
        spec = self.specs[job_id] = {"jobId": job_id, **more.pop("spec", {})}
        entry, _ = self.store.apply("ADDED", {"metadata": metadata, "spec": spec, **more})
        assert entry is not None
        self.warm_start.collect(entry)
        self.rescheduling.consider(entry)
        return entry

    def change(self, entry: Entry, *, requested_at: str | None = None, **spec: Any) -> None:
        """Change the spec of an EvsJob, or ask for a poll, as a watch event brings it."""
        self.specs[entry.uid] |= spec
        body = self.body_of(entry)
        body["metadata"]["generation"] += bool(spec)
        if requested_at is not None:
            body["metadata"]["annotations"] = {REQUESTED_AT: requested_at}
        self.store.apply("MODIFIED", body)
        self.rescheduling.changed(entry)

    def body_of(self, entry: Entry) -> dict[str, Any]:
        """Return an EvsJob as it is now, in a version of its own."""
        self.api.version += 1
        metadata = {
            "uid": entry.uid,
            "namespace": entry.namespace,
            "name": entry.name,
            "resourceVersion": str(self.api.version),
            "generation": entry.seen.generation,
        }
        written = self.status_of(entry.name, entry.namespace)
        return {"metadata": metadata, "spec": dict(self.specs[entry.uid]), "status": written[-1] if written else {}}

    async def run(self, seconds: float) -> None:
        """Let the engine work for that long."""
        if self.task is None:
            self.task = asyncio.create_task(self.dispatcher.run())
        await asyncio.sleep(seconds)
        if self.task.done():
            self.task.result()

    async def aclose(self) -> None:
        """End the process."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    def told_at(self, name: str, reason: str, namespace: str = "ns") -> float | None:
        """Return when a status first said so of an EvsJob (the reason of its condition Ready), in virtual time."""
        for write in self._writes_of(name, namespace):
            ready = condition_of(write.status["conditions"], "Ready")
            if ready is not None and ready["reason"] == reason:
                return write.at
        return None

    def status_of(self, name: str, namespace: str = "ns") -> list[Mapping[str, Any]]:
        """Return what was written to an EvsJob, oldest first."""
        return [write.status for write in self._writes_of(name, namespace)]

    def deleted_at(self, name: str, namespace: str = "ns") -> float:
        """Return when an EvsJob was deleted, in virtual time."""
        path = ObjectKey(EVS_JOB, namespace, name).path
        return next(write.at for write in self.api.writes if (write.method, write.path) == ("DELETE", path))

    def _writes_of(self, name: str, namespace: str) -> list[Request]:
        path = f"{ObjectKey(EVS_JOB, namespace, name).path}/status"
        return [write for write in self.api.writes if write.path == path]


def in_world(main: Callable[[Any], Any], make: Callable[[], EngineWorld] = EngineWorld) -> None:
    """Run a test in a world of its own; virtual time costs none."""

    async def within() -> None:
        world = make()
        await main(world)
        await world.aclose()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(within())


def most_in_any_window(times: list[float], seconds: float) -> int:
    """Return the largest number of calls within any window of that length."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


RATE, BURST = 5, 10
_KINDS = (("createVolume", 0.5, 9.0, 0.2), ("deleteVolume", 0.42, 6.0, 0.2), ("retypeVolume", 0.08, 900.0, 1.0))
"""Type, share, median in seconds, spread."""


async def live(world: EngineWorld, jobs: int, hours: float) -> None:
    """Let jobs of two namespaces with one credential begin and end over some hours.

    Three in ten begin at once at the next full two hours: more than the budget can serve when they are due.
    """
    draw = random.Random(20)
    for namespace in ("one", "two"):
        world.connect(namespace, token="same", rate=RATE, burst=BURST)
    drawn = []
    for number in range(jobs):
        begin = draw.uniform(0.0, hours * 3600.0)
        if draw.random() < 0.3:
            begin -= begin % 7200.0
        kind, _, median, spread = draw.choices(_KINDS, [share for _, share, _, _ in _KINDS])[0]
        job = CloudJob(begin, begin + median * draw.lognormvariate(0.0, spread), kind)
        drawn.append((begin + draw.random(), number, job))
    for seen, number, job in sorted(drawn, key=lambda item: item[0]):
        if seen > world.loop.now:
            await world.run(seen - world.loop.now)
        world.add(f"job-{number}", job, ("one", "two")[number % 2])
    await world.run(max(job.end for _, _, job in drawn) - world.loop.now + 120.0)


def judge(world: EngineWorld, jobs: int) -> dict[str, float]:
    """Check that every end was seen, no window held more calls than the budget, and nobody starved; return figures."""
    calls = world.cloud.calls
    times = [call.at for call in calls]
    for window in (0.2, 1.0, 10.0, 60.0, 3600.0):
        assert most_in_any_window(times, window) <= BURST + RATE * window + 1
    assert len(world.cloud.seen_end) == jobs
    last: dict[str, float] = {}
    longest = 0.0
    for call in calls:
        longest = max(longest, call.at - last.get(call.job_id, call.at))
        last[call.job_id] = call.at
    most_waiting = 0.3 * jobs  # a burst and what runs beside it
    assert longest <= 66.0 + 16 * most_waiting / RATE
    late = [at - world.cloud.jobs[job_id].end for job_id, at in world.cloud.seen_end.items()]
    return {"calls per job": len(calls) / jobs, "mean latency": sum(late) / jobs, "longest without a call": longest}
