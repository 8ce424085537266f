"""Metrics of one process, in a registry of its own. Names are fixed (design, section 2).

The engine sets them, `health` serves them. No label names an EvsJob: what grows with the number of jobs is counted
by state. `connection` is the one label with names of objects, and there are as many as connections in use.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from evs_operator import __version__

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of what `render` returns."""

# A healthy call takes 20 to 200 ms; the client gives up after 20 s of silence and 30 s in all.
_CALL_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
# The poll schedule aims at a few seconds and asks at least once in 60 s; beyond are jobs that ended while the operator
# was down or the credential was refused.
_LATENESS_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 3600.0)
# Milliseconds while there are free workers; seconds where the budget is short; minutes in a pause after 429.
_LAG_SECONDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """One attribute per metric."""

    def __init__(self) -> None:
        # The library has one switch for the process. A *_created series for each label set doubles the scrape for
        # a time that nobody asks for.
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
            buckets=_LAG_SECONDS,
            registry=r,
        )
        self.oldest_due = Gauge(p + "oldest_due_seconds", "How long the EvsJob that waits longest is due", registry=r)
        self.watch_restarts = Counter(p + "watch_restarts_total", "Restarts of the watch", registry=r)
        self.connections = Gauge(p + "connections", "Connections by state", ["state"], registry=r)
        self.leader = Gauge(p + "leader", "1 while this process works, 0 while it stands by", registry=r)
        build = Gauge(p + "build_info", "Version of the operator", ["version"], registry=r)
        build.labels(version=__version__).set(1)

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus, for CONTENT_TYPE."""
        return generate_latest(self.registry)
