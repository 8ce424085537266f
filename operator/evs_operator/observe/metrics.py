"""Metrics of one process, in a registry of its own. Names are fixed (design, section 2); no label names an object."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from evs_operator import __version__

_CALL_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
_LATENESS_SECONDS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 3600.0)
"""From below the shortest poll interval to a job that ended while the operator was down."""


class Metrics:
    """One attribute per metric."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self.registry = CollectorRegistry()
        p = "evs_operator_"
        r = self.registry
        self.jobs = Gauge(p + "jobs", "EvsJobs by state", ["state"], registry=r)
        self.api_requests = Counter(
            p + "api_requests_total",
            "Calls to the cloud by operation and HTTP status",
            ["operation", "code"],
            registry=r,
        )
        self.api_request_duration = Histogram(
            p + "api_request_duration_seconds",
            "Duration of calls to the cloud",
            ["operation"],
            buckets=_CALL_SECONDS,
            registry=r,
        )
        self.throttled = Counter(p + "throttled_total", "Answers that said 429", registry=r)
        self.budget = Gauge(
            p + "budget_requests_per_second",
            "Calls per second that a connection may make now",
            ["connection"],
            registry=r,
        )
        self.status_writes = Counter(p + "status_writes_total", "Status writes by result", ["result"], registry=r)
        self.end_to_status = Histogram(
            p + "end_to_status_seconds",
            "From the endTime of a job to the written status",
            buckets=_LATENESS_SECONDS,
            registry=r,
        )
        self.schedule_lag = Histogram(
            p + "schedule_lag_seconds",
            "From the time a poll was due to its call",
            buckets=_LATENESS_SECONDS,
            registry=r,
        )
        self.oldest_due = Gauge(p + "oldest_due_seconds", "How long the EvsJob that waits longest is due", registry=r)
        self.watch_restarts = Counter(p + "watch_restarts_total", "Restarts of the watch", registry=r)
        self.connections = Gauge(p + "connections", "Connections by state", ["state"], registry=r)
        self.leader = Gauge(p + "leader", "1 while this process works, 0 while it stands by", registry=r)
        build = Gauge(p + "build_info", "Version of the operator", ["version"], registry=r)
        build.labels(version=__version__).set(1)

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
