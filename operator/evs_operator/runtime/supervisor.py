"""Starts the parts, keeps them running, and stops them in order. `evs-operator run` is this.

Start: probes; then the Lease; then, as leader, the watch; then, once everything is listed, the workers and what runs
beside them. Shutdown: stop watching, hand over no more EvsJobs, let polls in flight finish, write what was decided,
send queued Events, stop the rest, release the Lease, exit 0. A process that loses the Lease skips all of this and
exits 1; its replacement starts as a standby. Deliberately not done here: any decision about a job.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any, Final

from evs_operator.clock import Clock
from evs_operator.cloud.endpoints import AllowList
from evs_operator.connections.credential_loader import PlatformAuth
from evs_operator.introduction import introduction
from evs_operator.kube.api import KubeApi
from evs_operator.kube.config.cluster import Cluster, ClusterError, load_cluster
from evs_operator.kube.lease import LeaseHolder
from evs_operator.observe import logs
from evs_operator.observe.health import HealthServer
from evs_operator.observe.metrics import Metrics, Snapshot
from evs_operator.observe.tracing import tracing_of
from evs_operator.observe.wording import Ours
from evs_operator.redact.redaction import Redaction
from evs_operator.settings import Settings

from .readiness import Readiness
from .schema_watch import SchemaWatch
from .snapshot import take_snapshot
from .watching import Watcher
from .wiring import Rules, Watch, lanes, wire

_POLLS_FINISH: Final = 5.0
_WRITES_FINISH: Final = 5.0
_EVENTS_FINISH: Final = 1.0
_LEASE_CONNECTIONS: Final = 2

_log = logging.getLogger(__name__)


async def run(settings: Settings) -> int:
    """Run the operator until SIGTERM or SIGINT; return the exit code."""
    redaction = Redaction()
    logs.configure(settings.log_format, settings.log_level, redaction)
    _log.info("%s", Ours(introduction(settings, os.environ)))
    try:
        cluster = await load_cluster(settings.kubeconfig, redaction.hold_own)
    except ClusterError as error:
        _log.error("%s", error)
        return 2
    operator = Operator(settings, cluster, redaction)
    try:
        return await operator.run()
    finally:
        await operator.aclose()


class Operator:
    """One process: its parts, and what starts and stops them."""

    def __init__(self, settings: Settings, cluster: Cluster, redaction: Redaction) -> None:
        self._clock = clock = Clock()
        self._stop = asyncio.Event()
        self._tracing = tracing_of(os.environ)
        self._api = KubeApi(cluster)
        self._lease = None
        if settings.leader_elect:
            self._lease = LeaseHolder(self._api.lane(_LEASE_CONNECTIONS), settings.operator_namespace, clock)
        metrics = Metrics(self._snapshot)
        self._server = lanes(self._api, clock, metrics, lambda: self._readiness.leads())
        self._watcher = Watcher(cluster, self._server, settings.namespaces, clock, metrics)
        self._schema = SchemaWatch(self._server.lists)
        self._parts = wire(
            self._server,
            _rules(settings),
            Watch(
                listing=lambda: not self._watcher.synced.is_set(),
                restart=self._watcher.restart,
                leads=lambda: self._readiness.leads(),
            ),
            clock,
            metrics,
            redaction=redaction,
            tracing=self._tracing,
        )
        self._readiness = Readiness(self._parts, self._server, self._watcher, self._schema, self._lease, clock)
        self._health = HealthServer(
            settings.http_address,
            healthy=self._readiness.unhealthy,
            ready=self._readiness.unready,
            standby=self._readiness.stands_by,
            metrics=metrics,
        )

    async def run(self) -> int:
        """Run all parts until asked to stop; return the exit code."""
        self._take_signals()
        try:
            await self._health.start()
        except OSError as error:
            _log.error("--http-address: %s", error)
            return 2
        watch, work = _task(self._watch(), "watch"), _task(self._work(), "work")
        tasks = [watch, work] if self._lease is None else [watch, work, _task(self._lease.run(), "lease")]
        stop = _task(self._stop.wait(), "stop")
        done, _ = await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task is not stop and (fault := task.exception()):
                _log.error("%s ended", task.get_name(), exc_info=fault)
        failed = stop not in done
        await self._shut_down(watch, [*tasks[1:], stop])
        return 1 if failed else 0

    async def aclose(self) -> None:
        """Close every connection."""
        await self._health.stop()
        await self._parts.registry.aclose()
        await self._api.aclose()
        self._tracing.close()

    async def _watch(self) -> None:
        if self._lease is not None:
            await self._lease.held()
        await self._watcher.run(self._parts)

    async def _work(self) -> None:
        await self._watcher.synced.wait()
        parts = self._parts
        async with asyncio.TaskGroup() as group:
            group.create_task(parts.dispatcher.run(), name="dispatcher")
            group.create_task(parts.connections.run(), name="connections")
            group.create_task(parts.resync.run(), name="resync")
            group.create_task(parts.intake.run(), name="intake")
            group.create_task(self._schema.run(), name="schema")
            group.create_task(self._server.events.run(), name="events")

    async def _shut_down(self, watch: asyncio.Task[Any], others: list[asyncio.Task[Any]]) -> None:
        _log.info("stopping")
        watch.cancel()
        self._parts.dispatcher.stop()
        await self._drained(_POLLS_FINISH)
        if any(entry.place.busy and entry.polling.pending is not None for entry in self._parts.store):
            await self._drained(_WRITES_FINISH)
        if self._readiness.leads():
            await self._server.events.flush(_EVENTS_FINISH)
        for task in others:
            task.cancel()
        await asyncio.gather(watch, *others, return_exceptions=True)
        if self._lease is not None:
            await self._lease.release()
        _log.info("stopped")

    async def _drained(self, seconds: float) -> None:
        """Wait until no worker has an EvsJob in hand, at most so long, and only while this process leads."""
        end, dispatcher = self._clock() + seconds, self._parts.dispatcher
        while dispatcher.in_flight and self._clock() < end and self._readiness.leads():  # noqa: ASYNC110  # over in seconds
            await asyncio.sleep(0.02)

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    def _snapshot(self) -> Snapshot:
        leads, works = self._readiness.leads(), self._watcher.synced.is_set()
        return take_snapshot(self._parts, self._clock, leads=leads, works=works)


def _rules(settings: Settings) -> Rules:
    return Rules(
        AllowList(settings.allow_endpoints, defaults=settings.default_endpoints),
        settings.operator_namespace,
        PlatformAuth(frozenset(settings.allow_auth), settings.oidc_token_file),
        settings.namespaces,
    )


def _task(work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    return asyncio.create_task(work, name=name)
