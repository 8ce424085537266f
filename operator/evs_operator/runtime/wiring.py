"""Makes every part of a process once, in the order in which they need each other, as frozen values.

Called by `supervisor`, and by tests with an API server and clouds in memory: the same parts in the same order. A part
that another one has to reach before it exists is reached through a name that is bound when the call comes; nothing is
set on a part once it is made. Deliberately not here: starting and stopping (`supervisor`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from evs_operator.clock import Clock
from evs_operator.cloud.endpoints import AllowList
from evs_operator.connections.clients import EvsClients, MakeClient
from evs_operator.connections.controller import ConnectionController
from evs_operator.connections.credential_loader import PlatformAuth
from evs_operator.connections.registry import ConnectionRegistry
from evs_operator.connections.status_writer import ConnectionStatusWriter
from evs_operator.core.schedule.durations import Durations
from evs_operator.jobs.due_times import DueTimes
from evs_operator.jobs.entry import Entry
from evs_operator.jobs.in_flight import InFlightCalls
from evs_operator.jobs.query import JobQuery
from evs_operator.jobs.queue.dispatcher import Dispatcher
from evs_operator.jobs.queue.scheduler import Scheduler
from evs_operator.jobs.reconciler import JobReconciler
from evs_operator.jobs.rescheduling import Rescheduling
from evs_operator.jobs.resync import Resync
from evs_operator.jobs.status_writer import StatusWriter
from evs_operator.jobs.store import Store
from evs_operator.jobs.warm_start import WarmStart
from evs_operator.kube.api import KubeApi
from evs_operator.kube.events import EventRecorder
from evs_operator.kube.foreign_writes import ForeignWrites
from evs_operator.observe.metrics import Metrics
from evs_operator.observe.tracing import NO_TRACING, Tracing
from evs_operator.redact.redaction import Redaction

from .intake import Intake

_LIST_CONNECTIONS: Final = 8
_STATUS_CONNECTIONS: Final = 64
_STATUS_SECONDS: Final = 15.0
_EVENT_CONNECTIONS: Final = 4

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ApiServer:
    """The API server, by what is asked of it: no kind of request waits for the sockets of another."""

    reads: KubeApi
    lists: KubeApi
    statuses: KubeApi
    events: EventRecorder


@dataclass(frozen=True)
class Rules:
    """What the settings allow: whom to ask, how to sign in, which namespaces (none means all)."""

    allow: AllowList
    operator_namespace: str
    platform: PlatformAuth = field(default_factory=PlatformAuth)
    namespaces: Collection[str] = ()


@dataclass(frozen=True)
class Watch:
    """What the parts need of the process: whether the first list is still coming, and a way to begin the watch anew.

    `leads` is asked before each call: a process that was frozen and has lost its Lease meanwhile calls nobody.
    """

    listing: Callable[[], bool]
    restart: Callable[[], None]
    leads: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class Parts:
    """All parts of one process that work on objects."""

    store: Store
    scheduler: Scheduler
    registry: ConnectionRegistry
    durations: Durations
    warm_start: WarmStart
    statuses: StatusWriter
    rescheduling: Rescheduling
    reconciler: JobReconciler
    dispatcher: Dispatcher
    connections: ConnectionController[Entry]
    resync: Resync
    intake: Intake


def lanes(api: KubeApi, clock: Clock, metrics: Metrics, leads: Callable[[], bool]) -> ApiServer:
    """Return the lanes to the API server, each with sockets of its own; only a process that leads writes."""
    events = EventRecorder(
        api.lane(_EVENT_CONNECTIONS, may_send=leads), clock, lambda result: metrics.events.labels(result).inc()
    )
    statuses = api.lane(_STATUS_CONNECTIONS, _STATUS_SECONDS, leads)
    return ApiServer(api, api.lane(_LIST_CONNECTIONS), statuses, events)


def wire(
    server: ApiServer,
    rules: Rules,
    watch: Watch,
    clock: Clock,
    metrics: Metrics,
    *,
    redaction: Redaction | None = None,
    tracing: Tracing = NO_TRACING,
    make_client: MakeClient | None = None,
) -> Parts:
    """Make all parts; `make_client` makes the clients of clouds, those of the rules' allow-list by default."""
    make_client = make_client or EvsClients(rules.allow, on_call=metrics.called, may_send=watch.leads)
    registry = _registry(server, rules, clock, redaction, make_client, lambda: connections)
    store, scheduler = Store(clock, _warn_of_foreign_writes(clock)), Scheduler()
    statuses = StatusWriter(server.statuses, store, metrics, clock, server.events, tracing, lambda: resync.ask())
    durations, warm_start = Durations(), WarmStart()
    due = DueTimes(clock, durations, statuses.subject_of)
    rescheduling = Rescheduling(store, scheduler, registry, calls := InFlightCalls(), due, clock)
    query = JobQuery(registry, durations, metrics, clock, calls, rescheduling.poll_again)
    reconciler = JobReconciler(scheduler, registry, query, due, rescheduling, statuses, metrics, clock, tracing)
    dispatcher = _dispatcher(scheduler, reconciler, due, clock, watch.leads)
    connections = _controller(server, rules, registry, rescheduling, clock, metrics)
    resync = Resync(server.lists, store, clock, rules.namespaces, watch.restart)
    on_event = connections.on_event
    intake = Intake(server.reads, store, reconciler, rescheduling, warm_start, on_event, clock, watch.listing)
    return Parts(
        store,
        scheduler,
        registry,
        durations,
        warm_start,
        statuses,
        rescheduling,
        reconciler,
        dispatcher,
        connections,
        resync,
        intake,
    )


def _registry(
    server: ApiServer,
    rules: Rules,
    clock: Clock,
    redaction: Redaction | None,
    make_client: MakeClient,
    controller: Callable[[], ConnectionController[Entry]],
) -> ConnectionRegistry:
    return ConnectionRegistry(
        server.reads,
        rules.allow,
        rules.operator_namespace,
        clock,
        platform=rules.platform,
        redaction=redaction,
        make_client=make_client,
        on_change=lambda connection: controller().changed(connection),
        on_foreign=lambda connection, metadata: controller().overwritten(connection, metadata),
        on_healed=lambda key, project_id: controller().poll_healed(key, project_id),
    )


def _controller(
    server: ApiServer,
    rules: Rules,
    registry: ConnectionRegistry,
    rescheduling: Rescheduling,
    clock: Clock,
    metrics: Metrics,
) -> ConnectionController[Entry]:
    writer = ConnectionStatusWriter(server.statuses, registry, clock, server.events, metrics)
    return ConnectionController(server.reads, registry, rescheduling, clock, writer, rules.namespaces)


def _dispatcher(
    scheduler: Scheduler, reconciler: JobReconciler, due: DueTimes, clock: Clock, leads: Callable[[], bool]
) -> Dispatcher:
    return Dispatcher(
        scheduler,
        reconciler.work,
        reconciler.route_of,
        due.patience_of,
        clock,
        look_at=due.look_at,
        on_fault=reconciler.stumbled,
        may_work=leads,
    )


def _warn_of_foreign_writes(clock: Clock) -> Callable[[Entry, Mapping[str, object]], None]:
    foreign = ForeignWrites(clock, _log)
    return lambda entry, metadata: foreign.met(f"EvsJob {entry.namespace}/{entry.name}", metadata)
