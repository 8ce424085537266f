"""Starts the parts, keeps them running, and ends them in order. `evs-operator run` is this.

Order of the end: stop watching, stop taking due EvsJobs, let polls in flight finish, write what was decided,
release the Lease, exit 0. Who loses the Lease drops all of it at once and exits 1, to be started anew as standby.
Deliberately not done here: any decision about a job.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from typing import Final

from evs_operator.clock import Clock
from evs_operator.cloud.endpoints import AllowList
from evs_operator.cloud.network import Network
from evs_operator.connections.controller import ConnectionController
from evs_operator.connections.credential_loader import PlatformAuth
from evs_operator.connections.registry import ConnectionRegistry
from evs_operator.connections.status_writer import ConnectionStatusWriter
from evs_operator.core.schedule.durations import Durations
from evs_operator.introduction import introduction
from evs_operator.jobs.queue.dispatcher import Dispatcher
from evs_operator.jobs.queue.scheduler import Scheduler
from evs_operator.jobs.reconciler import JobReconciler
from evs_operator.jobs.resync import Resync
from evs_operator.jobs.status_writer import StatusWriter
from evs_operator.jobs.store import Store
from evs_operator.jobs.warm_start import WarmStart
from evs_operator.kube.access import Access, missing_access
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.config.cluster import Cluster, ClusterError, load_cluster
from evs_operator.kube.events import EventRecorder
from evs_operator.kube.lease import LeaseHolder
from evs_operator.kube.watch import source
from evs_operator.kube.watch.pauses import Pauses
from evs_operator.kube.watch.pulse import Pulse
from evs_operator.observe import logs
from evs_operator.observe.health import HealthServer
from evs_operator.observe.metrics import Metrics
from evs_operator.observe.tracing import tracing_of
from evs_operator.observe.wording import Ours
from evs_operator.redact.redaction import Redaction
from evs_operator.settings import Settings

from .intake import Intake
from .schema_watch import SchemaWatch
from .snapshot import Measure

_POLLS_FINISH: Final = 5.0
_WRITES_FINISH: Final = 5.0
_EVENTS_FINISH: Final = 1.0
_LIST_CONNECTIONS: Final = 8
_STATUS_CONNECTIONS: Final = 64
_STATUS_SECONDS: Final = 15.0
_EVENT_CONNECTIONS: Final = 4
_LEASE_CONNECTIONS: Final = 2
_LOOP_LATE: Final = 90.0
_POLL_LATE: Final = 600.0
_WATCH_LASTED: Final = 10.0
"""Seconds after which a watch that ended is begun anew at once."""
_UNANSWERED: Final = 240.0
"""Seconds without a good answer after which a new process is the last thing to try; an upgrade takes less."""

_log = logging.getLogger(__name__)


async def run(settings: Settings) -> int:
    """Run the operator until SIGTERM or SIGINT; return the exit code."""
    redaction = Redaction()
    logs.configure(settings.log_format, settings.log_level, redaction)
    _log.info("%s", Ours(introduction(settings, os.environ)))
    try:
        cluster = await load_cluster(settings.kubeconfig)
    except ClusterError as error:
        _log.error("%s", error)
        return 2
    cluster.on_secret = redaction.hold_own
    operator = Operator(settings, cluster, redaction)
    try:
        return await operator.run()
    finally:
        await operator.aclose()


class Operator:
    """All parts of one process."""

    def __init__(self, settings: Settings, cluster: Cluster, redaction: Redaction) -> None:
        self._settings = settings
        self._cluster = cluster
        self._clock = Clock()
        self._metrics = Metrics()
        self._api = KubeApi(cluster)
        self._lists = self._api.lane(_LIST_CONNECTIONS)
        self._statuses = self._api.lane(_STATUS_CONNECTIONS, _STATUS_SECONDS)
        self._pulse = Pulse(self._clock)
        self._lease: LeaseHolder | None = None
        if settings.leader_elect:
            self._lease = LeaseHolder(self._api.lane(_LEASE_CONNECTIONS), settings.operator_namespace, self._clock)
        self._store = Store(self._clock)
        self._scheduler = Scheduler()
        self._registry = ConnectionRegistry(
            self._api,
            AllowList(settings.allow_endpoints, defaults=settings.default_endpoints),
            settings.operator_namespace,
            self._clock,
            platform=PlatformAuth(frozenset(settings.allow_auth), settings.oidc_token_file),
            redaction=redaction,
            on_call=self._metrics.called,
            network=Network(),
        )
        self._events = EventRecorder(
            self._api.lane(_EVENT_CONNECTIONS), self._clock, lambda result: self._metrics.events.labels(result).inc()
        )
        self._tracing = tracing_of(os.environ)
        writer = StatusWriter(
            self._statuses,
            self._store,
            self._metrics,
            self._clock,
            self._events,
            self._tracing,
            list_soon=lambda: self._resync.ask(),
        )
        self._durations = Durations()
        self._warm_start = WarmStart()
        self._reconciler = JobReconciler(
            store=self._store,
            scheduler=self._scheduler,
            registry=self._registry,
            writer=writer,
            durations=self._durations,
            metrics=self._metrics,
            clock=self._clock,
            tracing=self._tracing,
        )
        self._dispatcher = Dispatcher(
            self._scheduler,
            self._reconciler.work,
            self._reconciler.route_of,
            self._reconciler.due.patience_of,
            self._clock,
            look_at=self._reconciler.due.look_at,
            on_fault=self._reconciler.stumbled,
        )
        self._connections = ConnectionController(
            api=self._api,
            registry=self._registry,
            jobs=self._reconciler,
            clock=self._clock,
            writer=ConnectionStatusWriter(self._statuses, self._registry, self._clock, self._events, self._metrics),
            namespaces=settings.namespaces,
            wake=self._dispatcher.wake,
        )
        self._resync = Resync(self._lists, self._store, self._clock, settings.namespaces, self._restart_watch)
        self._schema = SchemaWatch(self._lists)
        self._intake = Intake(
            api=self._api,
            store=self._store,
            reconciler=self._reconciler,
            dispatcher=self._dispatcher,
            warm_start=self._warm_start,
            take_connection=self._connections.on_event,
            clock=self._clock,
            listing=lambda: not self._synced.is_set(),
        )
        self._health = HealthServer(
            settings.http_address,
            healthy=self._unhealthy,
            ready=self._unready,
            standby=self._stands_by,
            metrics=self._metrics,
        )
        self._measure = self._metrics.take = Measure(
            store=self._store,
            scheduler=self._scheduler,
            dispatcher=self._dispatcher,
            registry=self._registry,
            resync=self._resync,
            clock=self._clock,
            leads=self._leads,
            works=lambda: self._synced.is_set(),
        )
        self._stop = asyncio.Event()
        self._restart = asyncio.Event()
        self._waiting_for = "starting"
        self._synced = asyncio.Event()

    async def run(self) -> int:
        """Run all parts until asked to stop; return the exit code."""
        self._take_signals()
        try:
            await self._health.start()
        except OSError as error:
            _log.error("--http-address: %s", error)
            return 2
        tasks = [
            asyncio.create_task(self._watch(), name="watch"),
            asyncio.create_task(self._work(), name="work"),
        ]
        if self._lease is not None:
            tasks.append(asyncio.create_task(self._lease.run(), name="lease"))
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        done, _ = await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task is not stop and (fault := task.exception()):
                _log.error("%s ended", task.get_name(), exc_info=fault)
        failed = stop not in done
        await self._shut_down(tasks[0], tasks[1:], stop)
        return 1 if failed else 0

    async def aclose(self) -> None:
        """Close every connection."""
        await self._health.stop()
        await self._registry.aclose()
        await self._api.aclose()
        self._tracing.close()

    async def _shut_down(
        self, watch: asyncio.Task[None], tasks: list[asyncio.Task[None]], stop: asyncio.Task[bool]
    ) -> None:
        _log.info("stopping")
        watch.cancel()
        stop.cancel()
        self._dispatcher.stopping = True
        await self._drained(_POLLS_FINISH)
        if any(entry.busy and entry.pending is not None for entry in self._store):
            await self._drained(_WRITES_FINISH)
        if self._leads():
            await self._events.flush(_EVENTS_FINISH)
        for task in tasks:
            task.cancel()
        await asyncio.gather(watch, stop, *tasks, return_exceptions=True)
        if self._lease is not None:
            await self._lease.release()
        _log.info("stopped")

    async def _drained(self, seconds: float) -> None:
        end = self._clock() + seconds
        while self._dispatcher.in_flight and self._clock() < end and self._leads():  # noqa: ASYNC110  # over in seconds
            await asyncio.sleep(0.02)

    async def _watch(self) -> None:
        """Wait until watching is possible, watch, and start again whenever a watch ends."""
        if self._lease is not None:
            await self._lease.held()
        pauses = Pauses(_WATCH_LASTED)
        while True:
            access, began = await self._wait_for_access(), self._clock()
            self._restart.clear()
            watch = asyncio.create_task(
                source.watch(
                    self._cluster,
                    self._lists,
                    access.kinds,
                    self._settings.namespaces,
                    self._intake.on_event,
                    self._on_listed,
                    self._metrics.watch_restarts.inc,
                    self._pulse,
                ),
                name="source",
            )
            restart = asyncio.create_task(self._restart.wait(), name="restart")
            try:
                await asyncio.wait([watch, restart], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (watch, restart):
                    task.cancel()
                await asyncio.gather(watch, restart, return_exceptions=True)
            self._metrics.watch_restarts.inc()
            self._resync.ask()
            self._connections.resync_soon()
            await asyncio.sleep(pauses.after(self._clock() - began))

    async def _wait_for_access(self) -> Access:
        wait = 1.0
        while True:
            try:
                access = await missing_access(self._api, self._settings.namespaces)
                problem: str = Ours(access.problem)
            except KubeError as error:
                problem = error.message
            else:
                if not problem:
                    self._waiting_for = ""
                    return access
            if problem != self._waiting_for:
                _log.warning("waiting: %s", problem)
            self._waiting_for = problem
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, 10.0)

    def _on_listed(self) -> None:
        """Begin to poll once all is listed; later lists came after a gap, so what it hid is looked for."""
        if self._synced.is_set():
            self._resync.ask()
            return
        try:
            learned = self._warm_start.learn(self._durations, self._registry)
        except Exception:  # noqa: BLE001  # durations are learned anew by polling
            _log.exception("durations: nothing recalled")
            learned = 0
        # What was listed stays: the collector of cycles need not look through it again and again.
        gc.collect()
        gc.freeze()
        self._synced.set()
        _log.info("synced: %d EvsJobs, %d of them tell how long jobs take", len(self._store), learned)

    async def _work(self) -> None:
        await self._synced.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatcher.run(), name="dispatcher")
            group.create_task(self._connections.run(), name="connections")
            group.create_task(self._resync.run(), name="resync")
            group.create_task(self._intake.run(), name="intake")
            group.create_task(self._schema.run(), name="schema")
            group.create_task(self._events.run(), name="events")

    def _restart_watch(self) -> None:
        self._restart.set()

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    def _leads(self) -> bool:
        return self._lease is None or self._lease.leads

    def _stands_by(self) -> bool:
        return not self._leads()

    def _unhealthy(self) -> str | None:
        if not self._synced.is_set():
            return None
        if self._clock() - self._dispatcher.last_turn > _LOOP_LATE:
            return "the scheduler does not advance"
        if self._unserved() > _POLL_LATE:
            return "EvsJobs are due and nobody polls them"
        unanswered = min(time.monotonic() - self._api.answered_at, self._clock() - self._pulse.last)
        if unanswered > _UNANSWERED:
            return f"no request to the API server has succeeded for {unanswered:.0f} s"
        return None

    def _unserved(self) -> float:
        """Return how long an EvsJob waits for a worker; a fault in counting is no reason to be ended by the kubelet."""
        try:
            return self._dispatcher.unserved()
        except Exception:  # noqa: BLE001  # of whatever kind
            _log.exception("/healthz: what waits was not counted")
            return 0.0

    def _unready(self) -> str | None:
        if self._lease is not None and not self._lease.leads:
            return f"waiting: {self._lease.problem}" if self._lease.problem else None
        if self._waiting_for:
            return f"waiting: {self._waiting_for}"
        if problem := self._pulse.problem() or self._schema.problem:
            return problem
        return None if self._synced.is_set() else "waiting: the first list of EvsJobs is not complete"
