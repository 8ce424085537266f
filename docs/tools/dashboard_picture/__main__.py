"""Makes the picture of the dashboard in the docs; `make dashboard-picture` calls it with the file to write.

For four minutes an operator follows jobs of two teams at the simulator, some of which fail; one team has a wrong token;
the cloud throttles once and is away once. Prometheus watches, the dashboard's own queries are asked, and what they
return is drawn. So the picture shows real data of a real operator, and only the drawing is ours.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from pathlib import Path
from typing import Any

from controlplane import ControlPlane
from support.alert_rules import shipped
from support.dashboard import DASHBOARD, Panel
from support.operator_process import ROOT, Objects, custom, operator_rules, start_operator
from support.prometheus import Prometheus, run_prometheus
from support.simulator import SimulatorProcess, run_simulator

from .svg import Series, draw

_SECONDS = 240
_STEP = 4.0
_FAILURES = ("EVS.5413", "EVS.5413", "EVS.2026", "EVS.5400")


def main(target: Path) -> None:
    """Run the scene and write the picture."""
    with ControlPlane.start() as plane, run_simulator() as cloud, run_prometheus(shipped()) as prometheus:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
        teams = {name: _team(plane, name) for name in ("team-a", "team-b", "team-c")}
        _connect(teams, cloud)
        account = plane.kubeconfig_for("evs-operator", "evs-operator", [], cluster_rules=operator_rules())
        with start_operator(account, "--allow-endpoint", cloud.url) as operator:
            prometheus.scrape({"evs-operator": operator.port})
            started = time.monotonic()
            _play(teams, cloud, started)
            data = _collect(prometheus, time.monotonic() - started)
    parts = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(draw(parts, data), encoding="utf-8")


def _team(plane: ControlPlane, name: str) -> Objects:
    plane.kubectl("create", "namespace", name)
    return Objects(plane, name)


def _connect(teams: dict[str, Objects], cloud: SimulatorProcess) -> None:
    teams["team-a"].connect(cloud.url, token="demo-token", rateLimit={"requestsPerSecond": 5, "burst": 10})
    user = {"username": "demo", "password": "demo-password", "domainName": "demo-domain"}
    auth = {"password": {"secretRef": {"name": "iam-user"}, "iamEndpoint": cloud.url}}
    spec: dict[str, Any] = {"endpoint": cloud.url, "auth": auth, "rateLimit": {"requestsPerSecond": 3}}
    spec["projectId"] = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "iam-user"}, "stringData": user}
    teams["team-b"].apply(secret, custom("EvsConnection", "default", **spec))
    teams["team-c"].connect(cloud.url, token="a-token-that-was-revoked", rateLimit={"requestsPerSecond": 2})
    for number in range(2):
        teams["team-c"].add_job(f"disk-{number}", cloud.add_job())
    teams["team-a"].add_job("mistyped", "0123456789abcdef" * 2)


def _play(teams: dict[str, Objects], cloud: SimulatorProcess, started: float) -> None:
    """Submit a job every second or two; throttle in the second minute, go away in the third."""
    chance = random.Random(7)
    number, throttled, away = 0, False, False
    while (elapsed := time.monotonic() - started) < _SECONDS:
        number += 1
        team = teams["team-a" if chance.random() < 0.6 else "team-b"]
        job: dict[str, Any] = {"duration": round(chance.lognormvariate(2.6, 0.5), 1)}
        if chance.random() < 0.15:
            job["error_code"] = chance.choice(_FAILURES)
        elif chance.random() < 0.2:
            job |= {"job_type": "batchCreateVolume", "sub_jobs": 3}
        team.add_job(f"disk-{number}", cloud.add_job(**job))
        if elapsed > 80 and not throttled:
            throttled = bool(cloud.add_fault("throttled", retry_after="15", **{"for": 3}))
        if elapsed > 150 and not away:
            away = bool(cloud.add_fault("bad_gateway", **{"for": 12}))
        time.sleep(chance.uniform(0.6, 1.4))


def _collect(prometheus: Prometheus, seconds: float) -> dict[int, list[Series]]:
    data: dict[int, list[Series]] = {}
    for raw in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        if raw["type"] == "row":
            continue
        found: list[Series] = []
        for target in Panel(raw).targets:
            query = Panel.query(target, job=".*", interval="20s", span=f"{int(seconds)}s")
            for one in prometheus.query_range(query, seconds=seconds, step=_STEP):
                points = {float(at): float(value) for at, value in one["values"]}
                found.append(Series(_label(target, one["metric"]), _filled(points)))
        data[raw["id"]] = found
    return data


def _filled(points: dict[float, float]) -> list[tuple[float, float]]:
    """Put NaN where a value is missing between the first and the last."""
    first, last = min(points), max(points)
    count = round((last - first) / _STEP) + 1
    return [(at, points.get(at, math.nan)) for at in (round(first + number * _STEP, 3) for number in range(count))]


def _label(target: dict[str, Any], metric: dict[str, str]) -> str:
    if target.get("format") == "table":
        return f"{metric['connection']}\t{metric['reason']}"
    label = str(target["legendFormat"])
    for name, value in metric.items():
        label = label.replace("{{" + name + "}}", value)
    return label


if __name__ == "__main__":
    main(Path(sys.argv[1]))
