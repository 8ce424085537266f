"""Metrics of the webhook, in a registry of its own; names are stable (docs/reference/metrics.md).

Labels have fixed vocabularies: a route is one of ROUTES, a code an HTTP status. No label names a caller, a namespace
or an EvsJob.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from evs_operator import __version__

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
ROUTES: Final = ("create", "get", "list", "reconcile", "openapi", "other")
_PREFIX: Final = "evs_operator_webhook_"
_REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WAIT_SECONDS: Final = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Metrics:
    """What is counted; `waiters` is asked at each scrape how many wait."""

    def __init__(self, waiters: Callable[[], int]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self.registry = CollectorRegistry()
        p, r = _PREFIX, self.registry
        self._requests = Counter(
            p + "requests_total", "Requests by route and HTTP status", ["route", "code"], registry=r
        )
        self._seconds = Histogram(
            p + "request_duration_seconds",
            "From a request to its answer, for requests that did not wait",
            ["route"],
            buckets=_REQUEST_SECONDS,
            registry=r,
        )
        self._waited = Histogram(p + "wait_seconds", "How long requests waited", buckets=_WAIT_SECONDS, registry=r)
        Gauge(p + "waiters", "Requests that wait now", registry=r).set_function(lambda: float(waiters()))
        self.watch_restarts = Counter(p + "watch_restarts_total", "Restarts of the watch", registry=r)
        self.certificate_reloads = Counter(
            p + "certificate_reloads_total", "Certificates that were read again, by result", ["result"], registry=r
        )
        build = Gauge(p + "build_info", "Version of the webhook", ["version"], registry=r)
        build.labels(version=__version__).set(1)
        ProcessCollector(registry=r)
        for route in ROUTES:
            self._seconds.labels(route=route)
        for result in ("loaded", "failed"):
            self.certificate_reloads.labels(result=result)

    def answered(self, route: str, code: int, seconds: float, *, waited: bool) -> None:
        """Count a request."""
        self._requests.labels(route=route, code=str(code)).inc()
        if not waited:
            self._seconds.labels(route=route).observe(seconds)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Measure a wait."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._waited.observe(time.monotonic() - began)

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus, for CONTENT_TYPE."""
        return generate_latest(self.registry)
