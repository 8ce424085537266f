"""Metrics: the names are a contract with dashboards and alerts."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from evs_operator import __version__
from evs_operator.observe.metrics import Metrics


def filled() -> Metrics:
    """Return metrics in which every label set was used once."""
    metrics = Metrics()
    metrics.jobs.labels(state="polling").set(3)
    metrics.api_requests.labels(operation="get_job", code="200").inc()
    metrics.api_request_duration.labels(operation="get_job").observe(0.04)
    metrics.throttled.inc()
    metrics.budget.labels(connection="team-a/default").set(5)
    metrics.status_writes.labels(result="written").inc()
    metrics.end_to_status.observe(2.2)
    metrics.schedule_lag.observe(0.01)
    metrics.oldest_due.set(0)
    metrics.watch_restarts.inc()
    metrics.connections.labels(state="ready").set(1)
    metrics.leader.set(1)
    return metrics


def samples(metrics: Metrics) -> dict[str, frozenset[str]]:
    """Return the series by name, with the names of their labels."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {sample.name: frozenset(sample.labels) for family in families for sample in family.samples}


def test_names_and_labels_are_exactly_those_of_the_contract() -> None:
    def histogram(name: str, *labels: str) -> dict[str, frozenset[str]]:
        own = frozenset(labels)
        return {f"{name}_bucket": own | {"le"}, f"{name}_sum": own, f"{name}_count": own}

    assert samples(filled()) == {
        "evs_operator_jobs": {"state"},
        "evs_operator_api_requests_total": {"operation", "code"},
        **histogram("evs_operator_api_request_duration_seconds", "operation"),
        "evs_operator_throttled_total": frozenset(),
        "evs_operator_budget_requests_per_second": {"connection"},
        "evs_operator_status_writes_total": {"result"},
        **histogram("evs_operator_end_to_status_seconds"),
        **histogram("evs_operator_schedule_lag_seconds"),
        "evs_operator_oldest_due_seconds": frozenset(),
        "evs_operator_watch_restarts_total": frozenset(),
        "evs_operator_connections": {"state"},
        "evs_operator_leader": frozenset(),
        "evs_operator_build_info": {"version"},
    }


def test_the_version_is_told_from_the_start() -> None:
    assert f'evs_operator_build_info{{version="{__version__}"}} 1.0\n'.encode() in Metrics().render()


def test_counters_without_labels_are_there_before_anything_happened() -> None:
    rendered = Metrics().render()
    assert b"evs_operator_throttled_total 0.0\n" in rendered
    assert b"evs_operator_watch_restarts_total 0.0\n" in rendered


def test_two_sets_of_metrics_share_nothing_and_the_librarys_registry_stays_untouched() -> None:
    one, two = Metrics(), Metrics()
    one.throttled.inc()
    assert b"evs_operator_throttled_total 0.0\n" in two.render()
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("evs_operator")]


@pytest.mark.parametrize("seconds", [0.0, 1e-6, 7200.0])
def test_every_duration_falls_into_a_bucket(seconds: float) -> None:
    metrics = Metrics()
    for histogram in (metrics.end_to_status, metrics.schedule_lag, metrics.api_request_duration.labels("get_job")):
        histogram.observe(seconds)
    families = text_string_to_metric_families(metrics.render().decode())
    everything = [sample.value for family in families for sample in family.samples if sample.labels.get("le") == "+Inf"]
    assert everything == [1.0, 1.0, 1.0]
