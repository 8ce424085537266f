"""Metrics: the names are a contract with dashboards and alerts, and the reference says all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from evs_operator import __version__
from evs_operator.api import JobState
from evs_operator.api.reasons import Reason
from evs_operator.core.phase import _UNSEEN, _WORDS
from evs_operator.evs.error_codes import _HINTS
from evs_operator.observe import metrics as module
from evs_operator.observe.metrics import BudgetNow, Metrics, Snapshot

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
NOW = Snapshot(
    jobs={"running": 3},
    needing_action={"Unauthorized": 2},
    connections={"ready": 1},
    blocked=[("team-a/default", "Unauthorized")],
    budgets=[BudgetNow("team-a/default", 5.0, 10.0, paused=False, calls=7)],
    last_turn=1_770_110_100.0,
    store_verified=1_770_110_000.0,
    leads=True,
)


def filled() -> Metrics:
    """Return metrics in which every label set was used once."""
    metrics = Metrics(lambda: NOW)
    metrics.called("get_job", "200", 0.04)
    metrics.throttled.inc()
    metrics.status_writes.labels(result="written").inc()
    metrics.connection_status_writes.labels(result="written").inc()
    metrics.events.labels(result="written").inc()
    metrics.end_to_status.observe(2.2)
    metrics.schedule_lag.observe(0.01)
    metrics.watch_restarts.inc()
    return metrics


def samples(metrics: Metrics) -> dict[str, frozenset[str]]:
    """Return our series by name, with the names of their labels."""
    families = text_string_to_metric_families(metrics.render().decode())
    every = (sample for family in families for sample in family.samples)
    return {s.name: frozenset(s.labels) for s in every if s.name.startswith("evs_operator_")}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"evs_operator_{name}", labels)


def test_names_and_labels_are_exactly_those_of_the_contract() -> None:
    def histogram(name: str, *labels: str) -> dict[str, frozenset[str]]:
        own = frozenset(labels)
        return {f"{name}_bucket": own | {"le"}, f"{name}_sum": own, f"{name}_count": own}

    assert samples(filled()) == {
        "evs_operator_jobs": {"state"},
        "evs_operator_jobs_needing_action": {"reason"},
        "evs_operator_jobs_ended_total": {"outcome", "category"},
        "evs_operator_polls_total": {"reason"},
        "evs_operator_api_requests_total": {"operation", "code"},
        **histogram("evs_operator_api_request_duration_seconds", "operation"),
        "evs_operator_throttled_total": frozenset(),
        "evs_operator_budget_requests_per_second": {"connection"},
        "evs_operator_budget_ceiling_requests_per_second": {"connection"},
        "evs_operator_budget_paused": {"connection"},
        "evs_operator_budget_calls_total": {"connection"},
        "evs_operator_status_writes_total": {"result"},
        "evs_operator_connection_status_writes_total": {"result"},
        "evs_operator_events_total": {"result"},
        **histogram("evs_operator_end_to_status_seconds"),
        **histogram("evs_operator_schedule_lag_seconds"),
        "evs_operator_oldest_due_seconds": frozenset(),
        "evs_operator_scheduler_last_turn_timestamp_seconds": frozenset(),
        "evs_operator_store_verified_timestamp_seconds": frozenset(),
        "evs_operator_watch_events_total": frozenset(),
        "evs_operator_watch_restarts_total": frozenset(),
        "evs_operator_connections": {"state"},
        "evs_operator_connection_blocked": {"connection", "reason"},
        "evs_operator_leader": frozenset(),
        "evs_operator_build_info": {"version"},
    }


def test_the_reference_names_every_metric_with_its_type_and_labels_and_no_other() -> None:
    rows = re.findall(
        r"^\| `(evs_operator_(?!webhook_)\w+)(?:\{([\w, ]+)\})?` \| (\w+) \|",
        REFERENCE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    said = {(name, kind, frozenset(filter(None, labels.split(", ")))) for name, labels, kind in rows}
    families = text_string_to_metric_families(filled().render().decode())
    there = {
        (
            family.name + ("_total" if family.type == "counter" else ""),
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels) - {"le"},
        )
        for family in families
        if family.name.startswith("evs_operator_")
    }
    assert said == there
    assert len(rows) == len(said)


@pytest.mark.parametrize("name", ["JOB_STATES", "CONNECTION_STATES", "WRITE_RESULTS", "CATEGORIES", "POLL_REASONS"])
def test_the_reference_names_every_value_of_a_label(name: str) -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert [value for value in getattr(module, name) if f"`{value}`" not in text] == []


def test_every_word_for_how_an_evsjob_stands_has_its_series() -> None:
    assert {*_WORDS.values(), _UNSEEN} == set(module.JOB_STATES)
    assert set(_WORDS) == set(JobState)


def test_the_categories_are_those_of_the_error_codes() -> None:
    assert set(module.CATEGORIES) == set(_HINTS)


def test_every_reason_that_a_poll_can_have_has_its_series_from_the_start() -> None:
    ended = {Reason.JOB_SUCCEEDED, Reason.JOB_FAILED, Reason.SUB_JOB_FAILED}
    running = {Reason.JOB_INITIALIZING, Reason.JOB_RUNNING, Reason.UNKNOWN_JOB_STATUS}
    decided = {Reason.JOB_RECORD_EXPIRED, Reason.DEADLINE_EXCEEDED, Reason.SUSPENDED, Reason.PENDING}
    assert set(module.POLL_REASONS) == set(Reason) - ended - running - decided
    assert value(Metrics(), "polls_total", reason="Unauthorized") == 0


def test_the_version_is_told_from_the_start() -> None:
    assert f'evs_operator_build_info{{version="{__version__}"}} 1.0\n'.encode() in Metrics().render()


def test_what_is_counted_is_there_at_zero_before_anything_happened() -> None:
    metrics = Metrics()
    assert value(metrics, "throttled_total") == 0
    assert value(metrics, "watch_restarts_total") == 0
    assert value(metrics, "status_writes_total", result="forbidden") == 0
    assert value(metrics, "jobs_ended_total", outcome="failed", category="Quota") == 0
    assert value(metrics, "jobs", state="stalled") == 0
    assert value(metrics, "leader") == 0


def test_what_has_not_happened_yet_has_no_series_that_an_alert_could_take_for_1970() -> None:
    for name in ("scheduler_last_turn_timestamp_seconds", "store_verified_timestamp_seconds"):
        assert value(Metrics(), name) is None
    worked = Metrics(lambda: NOW)
    assert value(worked, "scheduler_last_turn_timestamp_seconds") == 1_770_110_100.0
    assert value(worked, "store_verified_timestamp_seconds") == 1_770_110_000.0


def test_a_snapshot_is_taken_at_each_scrape_and_not_before() -> None:
    taken = []

    def take() -> Snapshot:
        taken.append(NOW)
        return NOW

    metrics = Metrics(take)
    assert not taken
    metrics.render()
    metrics.render()
    assert len(taken) == 2


def test_a_snapshot_becomes_the_gauges_of_its_name() -> None:
    metrics = Metrics(lambda: NOW)
    assert value(metrics, "jobs", state="running") == 3
    assert value(metrics, "jobs", state="failed") == 0
    assert value(metrics, "jobs_needing_action", reason="Unauthorized") == 2
    assert value(metrics, "connections", state="ready") == 1
    assert value(metrics, "connection_blocked", connection="team-a/default", reason="Unauthorized") == 1
    assert value(metrics, "budget_requests_per_second", connection="team-a/default") == 5
    assert value(metrics, "budget_calls_total", connection="team-a/default") == 7
    assert value(metrics, "leader") == 1


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
