"""Metrics of one process, in a registry of its own. Names are fixed (docs/reference/metrics.md).

What happens is counted where it happens: jobs, connections and the client increment counters and observe durations.
What is the case now (how many EvsJobs, who may call how often) is a `Snapshot`, taken when somebody scrapes and not
before, so that it is never out of date and costs nothing in between. No label names an EvsJob: what grows with the
number of jobs is counted by state. `connection` is the one label with names of objects, and there are as many as
connections in use; every other label has its values here, in a fixed vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from evs_operator import __version__
from evs_operator.api.reasons import Reason

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of what `render` returns."""

JOB_STATES: Final = ("pending", "running", "unobserved", "stalled", "suspended", "succeeded", "failed")
"""Of an EvsJob, from the first poll to the end: in progress; not seen now, which passes; a person must act; …"""
CONNECTION_STATES: Final = ("ready", "unverified", "unreachable", "blocked")
WRITE_RESULTS: Final = ("written", "conflict", "gone", "forbidden", "unreachable", "error")
EVENT_RESULTS: Final = ("written", "refused", "dropped")
POLL_REASONS: Final = (
    Reason.POLL_SUCCEEDED,
    Reason.RATE_LIMITED,
    Reason.UNAUTHORIZED,
    Reason.FORBIDDEN,
    Reason.WRONG_PROJECT,
    Reason.ENDPOINT_INVALID,
    Reason.JOB_NOT_FOUND,
    Reason.TIMEOUT,
    Reason.UNREACHABLE,
    Reason.SERVER_ERROR,
    Reason.INVALID_RESPONSE,
    Reason.REJECTED,
    Reason.CONNECTION_NOT_FOUND,
    Reason.CONNECTION_NOT_ALLOWED,
    Reason.CREDENTIALS_INVALID,
    Reason.ENDPOINT_NOT_ALLOWED,
    Reason.INVALID_SPEC,
)
"""What one look at a job can come to, in the words of the conditions."""
CATEGORIES: Final = (
    "Quota",
    "Permission",
    "InvalidInput",
    "WrongState",
    "Capacity",
    "Account",
    "Internal",
    "Unknown",
)
"""Of a failure, as in `status.failure.category`."""

# A healthy call takes 20 to 200 ms; the client gives up after 20 s of silence and 30 s in all.
_CALL_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
# The poll schedule aims at a few seconds and asks at least once in 60 s; beyond are jobs that ended while the operator
# was down or the credential was refused.
_LATENESS_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 3600.0)
# Milliseconds while there are free workers; seconds where the budget is short; minutes in a pause after 429.
_LAG_SECONDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_PREFIX: Final = "evs_operator_"


@dataclass(frozen=True, slots=True)
class BudgetNow:
    """The budget of one connection: calls per second now (0 in a pause) and at most, calls so far."""

    connection: str
    rate: float
    ceiling: float
    paused: bool
    calls: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is the case at one moment. Times are seconds since 1970, None where there is none yet."""

    jobs: Mapping[str, int] = field(default_factory=dict)
    needing_action: Mapping[str, int] = field(default_factory=dict)
    connections: Mapping[str, int] = field(default_factory=dict)
    blocked: Sequence[tuple[str, str]] = ()
    """Connection and reason."""
    budgets: Sequence[BudgetNow] = ()
    oldest_due: float = 0.0
    last_turn: float | None = None
    store_verified: float | None = None
    watch_events: int = 0
    leads: bool = False


class Metrics:
    """One attribute per metric that counts; `take` gives the snapshot that the others are made of."""

    def __init__(self, take: Callable[[], Snapshot] = Snapshot) -> None:
        # The library has one switch for the process. A *_created series for each label set doubles the scrape for
        # a time that nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self.registry = registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(_PREFIX + name, about, labels, registry=registry)

        def histogram(name: str, about: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(_PREFIX + name, about, labels, buckets=buckets, registry=registry)

        about = "Requests to the cloud by operation (get_job, create_token) and HTTP status"
        self.api_requests = counter("api_requests_total", about, "operation", "code")
        about = "Seconds from a request to the cloud to the headers of its response"
        self.api_request_duration = histogram("api_request_duration_seconds", about, _CALL_SECONDS, "operation")
        self.polls = counter("polls_total", "Polls by result", "reason")
        self.throttled = counter("throttled_total", "Polls that the cloud throttled (HTTP 429 and its equivalents)")
        self.status_writes = counter("status_writes_total", "Status writes of EvsJobs by result", "result")
        about = "Status writes of connections by result"
        self.connection_status_writes = counter("connection_status_writes_total", about, "result")
        about = "Finished jobs by outcome and failure category"
        self.jobs_ended = counter("jobs_ended_total", about, "outcome", "category")
        self.events = counter("events_total", "Kubernetes Events by result", "result")
        about = "Delay from the endTime of a job to its written status"
        self.end_to_status = histogram("end_to_status_seconds", about, _LATENESS_SECONDS)
        about = "Delay from the due time of a poll to its call"
        self.schedule_lag = histogram("schedule_lag_seconds", about, _LAG_SECONDS)
        self.watch_restarts = counter("watch_restarts_total", "Restarts of the watch")
        build = Gauge(_PREFIX + "build_info", "Version of the operator", ["version"], registry=registry)
        build.labels(version=__version__).set(1)
        registry.register(_Now(take))
        ProcessCollector(registry=registry)
        self._begin_at_zero()

    def called(self, operation: str, code: str, seconds: float) -> None:
        """Count a request to the cloud; `code` is the HTTP status or a word for what kept the answer away."""
        self.api_requests.labels(operation, code).inc()
        self.api_request_duration.labels(operation).observe(seconds)

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus, for CONTENT_TYPE."""
        return generate_latest(self.registry)

    def _begin_at_zero(self) -> None:
        """Make the series whose labels are known: a rate cannot see the first step of one that appears with it."""
        for reason in POLL_REASONS:
            self.polls.labels(reason=reason)
        for result in WRITE_RESULTS:
            self.status_writes.labels(result=result)
            self.connection_status_writes.labels(result=result)
        for result in EVENT_RESULTS:
            self.events.labels(result=result)
        self.jobs_ended.labels(outcome="succeeded", category="")
        for category in CATEGORIES:
            self.jobs_ended.labels(outcome="failed", category=category)


def write_result(status: int) -> str:
    """Return the name of a refused write in WRITE_RESULTS, by its HTTP status; 0 is no answer."""
    return {0: "unreachable", 403: "forbidden", 404: "gone", 409: "conflict"}.get(status, "error")


class _Now(Collector):
    """Turns a snapshot into gauges at each scrape."""

    def __init__(self, take: Callable[[], Snapshot]) -> None:
        self._take = take

    def describe(self) -> Iterable[Metric]:
        """Name the metrics without taking a snapshot: registration happens before there is anything to count."""
        return _families(Snapshot())

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""
        return _families(self._take())


def _families(now: Snapshot) -> list[Metric]:
    return [
        _by("jobs", "EvsJobs by state", "state", JOB_STATES, now.jobs),
        _by(
            "jobs_needing_action", "Stalled EvsJobs by reason", "reason", sorted(now.needing_action), now.needing_action
        ),
        _by("connections", "Connections by state", "state", CONNECTION_STATES, now.connections),
        _blocked(now),
        *_budgets(now),
        _one("oldest_due_seconds", "How long the longest-waiting EvsJob has been due", now.oldest_due),
        _one(
            "scheduler_last_turn_timestamp_seconds",
            "When the scheduler last looked for due EvsJobs",
            now.last_turn,
        ),
        _one(
            "store_verified_timestamp_seconds",
            "When a LIST last confirmed that the watch had missed nothing",
            now.store_verified,
        ),
        CounterMetricFamily(
            _PREFIX + "watch_events", "EvsJobs received from the watch and its lists", value=now.watch_events
        ),
        _one("leader", "1 while this process works, 0 while it stands by", float(now.leads)),
    ]


def _one(name: str, said: str, value: float | None) -> Metric:
    """Make a gauge without labels; without a value it has no series that an alert could take for the year 1970."""
    return GaugeMetricFamily(_PREFIX + name, said, value=value)


def _by(name: str, said: str, label: str, known: Iterable[str], numbers: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, said, labels=[label])
    for value in known:
        family.add_metric([value], numbers.get(value, 0))
    return family


def _blocked(now: Snapshot) -> Metric:
    family = GaugeMetricFamily(
        _PREFIX + "connection_blocked",
        "1 for each connection that is unusable until a person acts",
        labels=["connection", "reason"],
    )
    for connection, reason in now.blocked:
        family.add_metric([connection, reason], 1)
    return family


def _budgets(now: Snapshot) -> list[Metric]:
    labels = ["connection"]
    rate = GaugeMetricFamily(
        _PREFIX + "budget_requests_per_second", "Calls per second that the connection may make now", labels=labels
    )
    ceiling = GaugeMetricFamily(
        _PREFIX + "budget_ceiling_requests_per_second",
        "Most calls per second that the connection may make",
        labels=labels,
    )
    paused = GaugeMetricFamily(_PREFIX + "budget_paused", "1 while calls are paused after throttling", labels=labels)
    calls = CounterMetricFamily(_PREFIX + "budget_calls", "Calls taken from the budget", labels=labels)
    for budget in now.budgets:
        name = [budget.connection]
        rate.add_metric(name, budget.rate)
        ceiling.add_metric(name, budget.ceiling)
        paused.add_metric(name, float(budget.paused))
        calls.add_metric(name, budget.calls)
    return [rate, ceiling, paused, calls]
