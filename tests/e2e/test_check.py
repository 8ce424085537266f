"""`evs-operator check` as users run it: an own process against the real API server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from controlplane import ControlPlane
from support.operator_process import Objects, operator_rules
from support.scripted_cloud import TOKEN, ScriptedCloud


def check(kubeconfig: Path, *flags: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "evs_operator", "check", "--kubeconfig", str(kubeconfig), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_connection_is_tried_with_the_operators_rights_and_nothing_is_written(
    crds: ControlPlane, operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects
) -> None:
    objects.connect(cloud.url)
    before = objects.get("evsconnection", "default")["metadata"]["resourceVersion"]
    flags = ("--connection", f"{objects.namespace}/default", "--allow-endpoint", cloud.url)
    code, out = check(operator_kubeconfig, *flags)
    assert code == 0, out
    assert "ok    query: answered" in out
    assert sum(cloud.calls.values()) == 1
    objects.connect(cloud.url, token="a-token-that-is-refused")
    code, out = check(operator_kubeconfig, *flags)
    assert code == 1
    assert "FAIL  credential: the token is refused (APIGW.0301, " in out
    assert "a-token-that-is-refused" not in out
    assert objects.get("evsconnection", "default")["metadata"]["resourceVersion"] == before
    code, out = check(operator_kubeconfig, "--connection", f"{objects.namespace}/nobody")
    assert (code, "does not exist: create it" in out) == (1, True)


def test_a_connection_is_not_looked_into_without_the_right_to(
    crds: ControlPlane, namespace: str, cloud: ScriptedCloud, objects: Objects
) -> None:
    objects.connect(cloud.url)
    rules = [rule for rule in operator_rules() if rule["resources"] != ["secrets"]]
    kubeconfig = crds.kubeconfig_for(namespace, "no-secrets", rules)
    code, out = check(kubeconfig, "--connection", f"{namespace}/default", "--allow-endpoint", cloud.url)
    assert code == 1
    assert f"FAIL  Secret {namespace}/default-token: may not be read" in out
    assert TOKEN not in out
    assert sum(cloud.calls.values()) == 0


def test_the_lease_is_looked_at_where_leader_election_is_asked_for(crds: ControlPlane, namespace: str) -> None:
    kubeconfig = crds.kubeconfig_for(namespace, "no-lease", operator_rules())
    flags = ("--namespace", namespace, "--operator-namespace", namespace)
    assert "leases" not in check(kubeconfig, *flags)[1]
    code, out = check(kubeconfig, *flags, "--leader-elect")
    assert code == 1
    for verb in ("get", "create", "update"):
        assert f"FAIL  permission to {verb} leases.coordination.k8s.io in namespace {namespace}" in out
    out = check(crds.admin_kubeconfig, *flags, "--leader-elect")[1]
    assert f"ok    permission to update leases.coordination.k8s.io in namespace {namespace}" in out
