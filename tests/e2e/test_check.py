"""`evs-operator check` as users run it: an own process against the real API server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane import ControlPlane
from support.operator_process import Objects, custom, eventually, install_crds, operator_rules, start_operator
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


@pytest.fixture
def empty(namespace: str) -> Iterator[ControlPlane]:
    """Give a control plane with our CRDs and nothing else of ours."""
    with ControlPlane.start() as plane:
        install_crds(plane)
        plane.kubectl("create", "namespace", "evs-operator")
        yield plane


def _lease(age: float, holder: str = "pod-a") -> str:
    renewed = (datetime.now(UTC) - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed}
    return json.dumps(
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "evs-operator"}, "spec": spec}
    )


def test_check_says_whether_an_operator_is_at_work(empty: ControlPlane, operator_kubeconfig: Path) -> None:
    def said() -> tuple[int, str]:
        code, out = check(empty.admin_kubeconfig)
        (line,) = [line for line in out.splitlines() if "operator at work" in line]
        return code, line

    code, line = said()
    assert (code, line.startswith("note  operator at work: none is seen: there is neither")) == (0, True)
    empty.kubectl("-n", "evs-operator", "apply", "-f", "-", input=_lease(age=3))
    assert said() == (0, "ok    operator at work: pod-a holds the Lease")
    empty.kubectl("-n", "evs-operator", "apply", "-f", "-", input=_lease(age=300))
    code, line = said()
    assert (code, "nobody holds the Lease evs-operator/evs-operator" in line) == (1, True)
    empty.kubectl("-n", "evs-operator", "delete", "lease", "evs-operator")
    empty.kubectl("apply", "--server-side", "-k", "deploy/")
    code, line = said()
    assert (code, "Deployment evs-operator/evs-operator has no pod that is available" in line) == (1, True)
    status = json.dumps({"status": {"replicas": 1, "availableReplicas": 1, "readyReplicas": 1}})
    empty.kubectl(
        *("-n", "evs-operator", "patch", "deployment", "evs-operator"),
        *("--subresource=status", "--type=merge", "-p", status),
    )
    assert said() == (0, "ok    operator at work: Deployment evs-operator/evs-operator has 1 available")


def test_without_the_right_to_look_it_cannot_be_told_and_an_object_that_waits_tells(
    crds: ControlPlane, namespace: str, operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects
) -> None:
    kubeconfig = crds.kubeconfig_for(namespace, "operator", operator_rules())
    flags = ("--namespace", namespace, "--operator-namespace", namespace)
    assert "note  operator at work: unknown: no permission to read" in check(kubeconfig, *flags)[1]
    objects.apply(custom("EvsJob", "waits", jobId="a" * 32))

    def told() -> bool:
        code, out = check(kubeconfig, *flags)
        return code == 1 and f"FAIL  operator at work: no: EvsJob {namespace}/waits is waiting" in out

    eventually(told, 60)
    with start_operator(operator_kubeconfig, "--namespace", namespace, "--allow-endpoint", cloud.url):
        eventually(lambda: not told(), 30)


def test_the_rights_of_another_account_are_looked_at(crds: ControlPlane, namespace: str) -> None:
    crds.kubeconfig_for(namespace, "poor", operator_rules()[:1])
    account = f"system:serviceaccount:{namespace}:poor"
    flags = ("--namespace", namespace, "--operator-namespace", namespace)
    code, out = check(crds.admin_kubeconfig, *flags, "--as", account)
    assert code == 1
    assert f"FAIL  permission to get secrets in namespace {namespace}: not held: grant it to {account}" in out
    assert f"ok    permission to list evsjobs.evs-operator.dev in namespace {namespace}" in out
    assert "FAIL  permission" not in check(crds.admin_kubeconfig, *flags)[1]
    assert check(crds.admin_kubeconfig, "--as", "")[0] == 2
