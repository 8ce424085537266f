"""Metrics of real operators against what is known from elsewhere: the cloud's count of calls, kubectl, the faults."""

from __future__ import annotations

import json

import pytest

from support.operator_process import eventually
from support.watched_operators import WatchedWorld


def now(world: WatchedWorld, expression: str) -> float | None:
    """Return the value of a query that has one series, None where it has none."""
    found = world.prometheus.query(expression)
    assert len(found) <= 1, expression
    return float(found[0]["value"][1]) if found else None


def states(world: WatchedWorld, name: str) -> dict[str, int]:
    found = world.prometheus.query(f'evs_operator_jobs{{job="{name}"}} > 0')
    return {series["metric"]["state"]: int(series["value"][1]) for series in found}


def test_the_states_are_those_of_the_evsjobs(world: WatchedWorld) -> None:
    expected = {"running": 3, "succeeded": 1, "failed": 1}
    eventually(lambda: states(world, "healthy") == expected, 30, lambda: str(states(world, "healthy")))
    listed = world.plane.kubectl("get", "evsjobs", "-n", "watched-healthy", "-o", "json").stdout
    assert len(json.loads(listed)["items"]) == sum(expected.values())


def test_calls_are_counted_as_the_cloud_counts_them(world: WatchedWorld) -> None:
    """Calls go on meanwhile, so the cloud is asked before and after; one call may be on its way."""
    calls = world.operators["healthy"].cloud.calls
    before = sum(calls.values())
    metrics = world.operators["healthy"].process.http("/metrics")[1].splitlines()
    after = sum(calls.values())
    name = 'evs_operator_budget_calls_total{connection="watched-healthy/faulty"} '
    counted = next(float(line.removeprefix(name)) for line in metrics if line.startswith(name))
    assert before <= counted <= after + 1


def test_every_call_of_a_poll_is_a_request_and_has_a_lag(world: WatchedWorld) -> None:
    rendered = world.operators["healthy"].process.http("/metrics")[1]
    value = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in rendered.splitlines() if line[0] != "#"
    }
    polls = value['evs_operator_polls_total{reason="PollSucceeded"}']
    requests = value['evs_operator_api_requests_total{code="200",operation="get_job"}']
    lags = value["evs_operator_schedule_lag_seconds_count"]
    assert 0 <= requests - polls <= 2  # polls that wait for the write, or for the answer's body
    assert 0 <= lags - polls <= 2
    assert value['evs_operator_api_request_duration_seconds_count{operation="get_job"}'] >= requests


def test_an_end_is_counted_with_its_category_and_its_delay(world: WatchedWorld) -> None:
    def ended(more: str) -> float | None:
        return now(world, f'evs_operator_jobs_ended_total{{job="healthy", {more}}}')

    eventually(lambda: ended('outcome="succeeded"') == 1, 30)
    eventually(lambda: ended('outcome="failed", category="Quota"') == 1, 30)
    assert now(world, 'evs_operator_end_to_status_seconds_count{job="healthy"}') == 2
    delay = now(world, 'evs_operator_end_to_status_seconds_sum{job="healthy"}')
    assert delay is not None
    assert 0 < delay < 60


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('max_over_time(evs_operator_connections{job="healthy", state="ready"}[15m])', 2),
        ('max_over_time(evs_operator_connections{job="healthy", state="blocked"}[15m])', 0),
        ('max_over_time(evs_operator_connections{job="credential", state="blocked"}[15m])', 1),
        ('max_over_time(evs_operator_budget_paused{job="throttled", connection="watched-throttled/faulty"}[15m])', 1),
        ('max_over_time(evs_operator_budget_paused{job="throttled", connection="watched-throttled/default"}[15m])', 0),
        ('min_over_time(evs_operator_budget_requests_per_second{job="throttled", connection=~".*faulty"}[15m])', 0),
        ('evs_operator_budget_ceiling_requests_per_second{job="throttled", connection=~".*faulty"}', 100),
        ('evs_operator_throttled_total{job="healthy"}', 0),
        ('evs_operator_throttled_total{job="throttled"} >= bool 1', 1),
        ('evs_operator_status_writes_total{job="writes", result="error"} >= bool 1', 1),
        ('evs_operator_status_writes_total{job="healthy", result="error"}', 0),
        ('evs_operator_watch_restarts_total{job="writes"} >= bool 1', 1),
        ('evs_operator_watch_restarts_total{job="healthy"}', 0),
        ('max_over_time(evs_operator_leader{job="healthy"}[15m])', 1),
        ('min_over_time(evs_operator_leader{job="leaderless"}[15m])', 0),
        ('max_over_time(evs_operator_jobs_needing_action{job="credential", reason="Unauthorized"}[15m])', 1),
        ('evs_operator_watch_events_total{job="healthy"} >= bool 5', 1),
    ],
)
def test_a_metric_tells_the_fault_and_its_absence(world: WatchedWorld, expression: str, expected: float) -> None:
    eventually(lambda: now(world, expression) == expected, 30, lambda: str(now(world, expression)))


def test_the_series_of_one_operator_are_few(world: WatchedWorld) -> None:
    series = now(world, 'count({job="healthy", __name__=~"evs_operator_.*"})')
    assert series is not None
    assert series < 200
