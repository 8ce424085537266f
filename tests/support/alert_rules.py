"""The alert rules that users get, and the same rules for a test that cannot wait half an hour.

Shortening changes times and nothing else: every alert has a row here with its `for`, and with the spans and limits of
its expression, each of which must be in the expression exactly once. So a rule that is added or changed without its
row fails, and what is tested is the expression that is shipped. `rules.test.yaml` tests the times as they are.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Final

import yaml

_FILES: Final = Path(__file__).parents[2] / "charts" / "evs-operator" / "files"
RULES: Final = _FILES / "rules.yaml"
STATE_METRICS: Final = _FILES / "kube-state-metrics.yaml"

_WRITES: Final = ("status_writes_total", "connection_status_writes_total")
_FAILED: Final = '{result=~"forbidden|unreachable|error"}'
_SHORT: Final[dict[str, tuple[str, dict[str, str]]]] = {
    # recording rules
    "namespace_job:evs_operator_status_late:ratio_rate30m": (
        "",
        {'le="60.0"}[30m]': 'le="5.0"}[60s]', "count[30m]": "count[60s]"},
    ),
    "namespace_job:evs_operator_polls_failed:ratio_rate5m": ("", {'"}[5m]': '"}[10s]', "total[5m]": "total[10s]"}),
    "connection:evs_operator_budget_used:ratio_rate5m": ("", {"[5m]": "[10s]"}),
    # alerts
    "EvsOperatorAbsent": ("2s", {}),
    "EvsOperatorDown": ("10s", {}),
    "EvsOperatorRestarting": ("", {"[30m]": "[90s]"}),
    "EvsOperatorNoLeader": ("5s", {}),
    "EvsOperatorWaiting": ("10s", {}),
    "EvsOperatorSchedulerStuck": ("1s", {"> 90": "> 8"}),
    "EvsOperatorPollsOverdue": ("2s", {"> 120": "> 6"}),
    "EvsOperatorWatchStalled": ("1s", {"> 900": "> 10"}),
    "EvsOperatorStatusLate": ("2s", {}),
    "EvsOperatorStatusWritesFailing": (
        "4s",
        {f"operator_{name}{_FAILED}[5m]": f"operator_{name}{_FAILED}[30s]" for name in _WRITES},
    ),
    "EvsOperatorConnectionBlocked": ("2s", {}),
    "EvsOperatorThrottled": ("2s", {"[30m]": "[8s]"}),
    "EvsOperatorJobsUnobserved": ("4s", {}),
    "EvsOperatorJobsNeedAction": ("3s", {}),
    "EvsJobFailed": ("3s", {}),
    "EvsJobNeedsAction": ("3s", {}),
}


def shipped() -> dict[str, Any]:
    """Return the rules as they are in the chart."""
    return dict(yaml.safe_load(RULES.read_text(encoding="utf-8")))


def alerts() -> list[dict[str, Any]]:
    """Return the alert rules."""
    return [rule for group in shipped()["groups"] for rule in group["rules"] if "alert" in rule]


def state_metrics() -> dict[str, set[str]]:
    """Return the metrics that kube-state-metrics makes of our kinds, with their labels."""
    found = {}
    for resource in yaml.safe_load(STATE_METRICS.read_text(encoding="utf-8"))["spec"]["resources"]:
        for metric in resource["metrics"]:
            found[metric["name"]] = {*resource["labelsFromPath"], *metric["each"]["info"]["labelsFromPath"]}
    return found


def of_the_operator() -> set[str]:
    """Return the names of the alerts on the operator's own metrics, which need nothing else."""
    return {rule["alert"] for rule in alerts() if not any(metric in rule["expr"] for metric in state_metrics())}


def shortened() -> dict[str, Any]:
    """Return the rules with the times of a test."""
    rules = copy.deepcopy(shipped())
    rows = dict(_SHORT)
    for group in rules["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            patience, replaced = rows.pop(name)
            if ("for" in rule) != bool(patience):
                raise ValueError(f"{name}: one of the shipped and the shortened rule has `for`")
            if patience:
                rule["for"] = patience
            for old, new in replaced.items():
                if rule["expr"].count(old) != 1:
                    raise ValueError(f"{name}: {old!r} is not once in the expression")
                rule["expr"] = rule["expr"].replace(old, new)
    if rows:
        raise ValueError(f"no such rules: {', '.join(rows)}")
    return rules
