"""What the operators are put through. Each scenario has a control plane and a jobs API of its own.

A scenario returns one `Row` per measurement; what was not measured is None.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engine.cloud import job_id
from benchmarks.engine.cluster import NAMESPACE, Cluster, late
from benchmarks.engine.operators import OURS, Cloud, Operator, Process, connection, jobs_api, running
from controlplane import ControlPlane

ROOT = Path(__file__).resolve().parents[2]
_SERIAL = itertools.count(1)


@dataclass(slots=True)
class Row:
    """One measurement. `cpu` is in CPU seconds, memory in MB, the rest in seconds or counts."""

    scenario: str
    operator: str
    jobs: int = 0
    ended: int = 0
    wall: float | None = None
    cpu: float | None = None
    status_writes: int | None = None
    other_writes: int | None = None
    polls: int | None = None
    latency: list[float] = field(default_factory=list)
    rss: float | None = None
    peak: float | None = None
    ready: float | None = None
    ready_cpu: float | None = None
    idle: float | None = None
    by_second: list[int] = field(default_factory=list)

    @property
    def cpu_ms_per_job(self) -> float | None:
        """CPU milliseconds for each job that ended."""
        return None if self.cpu is None or not self.ended else 1000 * self.cpu / self.ended


@dataclass(slots=True)
class Bench:
    """What one scenario works with."""

    cluster: Cluster
    cloud: Cloud
    directory: Path

    def run(self, operator: Operator) -> contextlib.AbstractContextManager[Process]:
        """Start an operator."""
        config = self.cluster.plane.admin_kubeconfig
        return running(operator, config, self.cloud.url, self.directory / f"{operator.name}.log")


@contextlib.asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Give a fresh control plane and a fresh jobs API."""
    with (
        tempfile.TemporaryDirectory(prefix="evs-bench-") as directory,
        ControlPlane.start() as plane,
        jobs_api() as cloud,
    ):
        crds = str(ROOT / "crds")
        plane.kubectl("apply", "--server-side", "-f", crds)
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", crds)
        plane.kubectl("create", "namespace", NAMESPACE)
        items = {"apiVersion": "v1", "kind": "List", "items": connection(cloud.url)}
        plane.kubectl("apply", "-f", "-", input=json.dumps(items))
        async with Cluster(plane) as cluster:
            yield Bench(cluster, cloud, Path(directory))


async def lifecycle(
    name: str, operator: Operator, count: int, seconds: float, *, subs: int = 0, within: float = 100.0
) -> Row:
    """Create jobs as fast as it goes and follow them to their end, or until `within` seconds have passed."""
    async with bench() as b:
        with b.run(operator) as process:
            await process.wait_ready()
            await asyncio.sleep(1.0)
            return await _follow(b, process, Row(name, operator.name), count, seconds, subs, within)


async def _follow(b: Bench, process: Process, row: Row, count: int, seconds: float, subs: int, within: float) -> Row:
    b.cloud.stats(anew=True)
    writes, cpu, started = await b.cluster.writes(), process.cpu(), time.monotonic()
    run = f"run-{next(_SERIAL)}"

    async def watch() -> None:
        async for identity, seen in b.cluster.ends():
            row.latency.append(late(identity, seen))
            if len(row.latency) == count:
                return

    def make(number: int) -> str:
        return job_id(number, begin=time.time(), seconds=seconds, init=min(1.0, seconds / 4), subs=subs)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.2)
    await b.cluster.create(run, make, count)
    await _ended(watching, within - (time.monotonic() - started))
    row.wall = time.monotonic() - started
    await asyncio.sleep(1.0)
    after = await b.cluster.writes()
    row.jobs, row.ended, row.cpu = count, len(row.latency), process.cpu() - cpu
    row.status_writes, row.other_writes = after[0] - writes[0], after[1] - writes[1]
    row.polls = int(b.cloud.stats()["polls"])
    row.rss, row.peak = process.memory()
    return row


async def _ended(watching: asyncio.Task[None], within: float) -> None:
    """Wait for the watch to see all ends; time over is no error, a broken watch is."""
    await asyncio.wait({watching}, timeout=max(within, 1.0))
    if watching.done():
        watching.result()
    watching.cancel()


async def idle(operators: tuple[Operator, ...], counts: tuple[int, ...], *, jobs: int, watch_for: float) -> list[Row]:
    """Start beside finished EvsJobs and do nothing; then follow `jobs` jobs of 10 s beside them."""
    rows = []
    async with bench() as b:
        name = await _finish_one(b)
        there = 0
        for count in counts:
            await b.cluster.seed(name, count, _old)
            there = count
            await asyncio.sleep(2.0)
            for operator in operators:
                rows += await _idle(b, operator, there, jobs, watch_for)
    return rows


async def _idle(b: Bench, operator: Operator, count: int, jobs: int, watch_for: float) -> list[Row]:
    row = Row(f"{count} finished, idle", operator.name, jobs=count)
    with b.run(operator) as process:
        row.ready = await process.wait_ready()
        row.ready_cpu = process.cpu()
        await asyncio.sleep(5.0)
        before, started = process.cpu(), time.monotonic()
        await asyncio.sleep(watch_for)
        row.idle = (process.cpu() - before) / (time.monotonic() - started)
        row.rss, row.peak = process.memory()
        if not jobs:
            return [row]
        busy = Row(f"{jobs} × 10 s beside {count} finished", operator.name)
        return [row, await _follow(b, process, busy, jobs, 10.0, 0, 60.0)]


async def _finish_one(b: Bench) -> str:
    """Let our operator finish one EvsJob, as the original of all copies; return its name."""
    with b.run(OURS) as process:
        await process.wait_ready()
        row = await _follow(b, process, Row("", ""), 1, 2.0, 0, 60.0)
        if row.ended != 1:
            raise RuntimeError((b.directory / f"{OURS.name}.log").read_text()[-2000:])
    jobs = await b.cluster.call("GET", f"/apis/evs-operator.dev/v1alpha1/namespaces/{NAMESPACE}/evsjobs")
    return str(jobs["items"][0]["metadata"]["name"])


def _old(number: int) -> str:
    return job_id(number, begin=1_700_000_000.0, seconds=2.0, init=0.5)


async def restart(operator: Operator, count: int, seconds: float) -> Row:
    """Kill the operator while it follows jobs, start it again, and see calls, writes and ends from then on."""
    row = Row(f"restart with {count} running", operator.name, jobs=count)
    async with bench() as b:
        begin = time.time()
        make: Callable[[int], str] = lambda n: job_id(n, begin=begin, seconds=seconds + n % 20, init=0.5)  # noqa: E731
        with b.run(operator) as process:
            await process.wait_ready()
            await b.cluster.create("running", make, count)
            await asyncio.sleep(8.0)
            process.end(signal.SIGKILL)
        b.cloud.stats(anew=True)
        writes, again = await b.cluster.writes(), time.time()
        row.jobs = count - await b.cluster.ended()

        async def watch() -> None:
            async for identity, seen in b.cluster.ends():
                row.latency.append(late(identity, seen))
                if len(row.latency) == row.jobs:
                    return

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.2)
        with b.run(operator) as process:
            row.ready = await process.wait_ready()
            await _ended(watching, begin + seconds + 80.0 - time.time())
            row.cpu = process.cpu()
            row.rss, row.peak = process.memory()
        after, stats = await b.cluster.writes(), b.cloud.stats()
    row.ended, row.polls = len(row.latency), int(stats["polls"])
    row.status_writes, row.other_writes = after[0] - writes[0], after[1] - writes[1]
    first = int(again)
    row.by_second = [int(stats["by_second"].get(str(first + at), 0)) for at in range(30)]
    return row
