"""Every alert fires with its fault in a real operator, and not without; what the runbook says makes it stop."""

from __future__ import annotations

import pytest

from support.alert_rules import of_the_operator
from support.operator_process import eventually
from support.watched_operators import WatchedWorld

FAULTS: dict[str, set[str]] = {
    "late": {"EvsOperatorJobsUnobserved", "EvsOperatorStatusLate"},
    "healthy": set(),
    "hung": {"EvsOperatorDown"},
    "restarting": {"EvsOperatorRestarting"},
    "leaderless": {"EvsOperatorNoLeader"},
    "waiting": {"EvsOperatorWaiting"},
    "stuck-scheduler": {"EvsOperatorSchedulerStuck", "EvsOperatorPollsOverdue"},
    "overdue": {"EvsOperatorPollsOverdue"},
    "watch": {"EvsOperatorWatchStalled"},
    "writes": {"EvsOperatorStatusWritesFailing"},
    "credential": {"EvsOperatorConnectionBlocked", "EvsOperatorJobsNeedAction"},
    "throttled": {"EvsOperatorThrottled", "EvsOperatorJobsUnobserved"},
}
"""What fires for each operator; and, as the fault lasts on, perhaps:"""
IN_THE_END = {
    "overdue": {"EvsOperatorJobsUnobserved"},  # the calls that hang end in time-outs
    "restarting": {"EvsOperatorDown"},  # on a slow machine a start takes long
}
LASTING = {"restarting", "stuck-scheduler", "throttled", "late", "overdue"}
"""Faults that end with the process, with a pause of the cloud, or with the window that they are seen through."""


EACH = [(name, alert) for name, caused in FAULTS.items() for alert in sorted(caused)]


def ever_fired(world: WatchedWorld) -> dict[str, set[str]]:
    """Return the alerts that have fired so far, by operator; "" is that of no operator."""
    found: dict[str, set[str]] = {name: set() for name in world.operators}
    for series in world.prometheus.query('last_over_time(ALERTS{alertstate="firing"}[15m])'):
        found.setdefault(series["metric"].get("job", ""), set()).add(series["metric"]["alertname"])
    return found


def test_every_alert_on_the_operators_own_metrics_has_a_fault_here() -> None:
    assert of_the_operator() == set().union(*FAULTS.values()) | {"EvsOperatorAbsent"}


@pytest.mark.parametrize(("name", "alert"), EACH, ids=lambda word: word)
def test_the_alert_fires_with_its_fault(world: WatchedWorld, name: str, alert: str) -> None:
    if alert == "EvsOperatorStatusLate":
        world.end_the_outage()

    def shown() -> str:
        return f"{world.prometheus.firing()}\n{world.operators[name].process.log[-2000:]}"

    eventually(lambda: (name, alert) in world.prometheus.firing(), 150, shown)


def test_nothing_fires_without_its_fault(world: WatchedWorld) -> None:
    fired = ever_fired(world)
    assert fired.pop("") == {"EvsOperatorAbsent"}
    assert ("", "EvsOperatorAbsent") not in world.prometheus.firing()
    assert {name: alerts - IN_THE_END.get(name, set()) for name, alerts in fired.items()} == FAULTS


def test_an_alert_ends_with_the_remedy_of_its_runbook(world: WatchedWorld) -> None:
    world.heal()

    def left() -> set[tuple[str, str]]:
        return {(name, alert) for name, alert in world.prometheus.firing() if name not in LASTING}

    eventually(lambda: not left(), 150, lambda: str(left()))
