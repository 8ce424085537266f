"""Releases on the real API server: they come, change and go, and no EvsJob is lost or changed by it.

There is no kubelet: the tests run the operator themselves, as the Deployment of the release says.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane import ControlPlane
from support.chart import CHART, RELEASE, Helm, HelmError, running
from support.deployed import ROOT, Object, only
from support.jobs import body
from support.operator_process import Objects, eventually
from support.scripted_cloud import PROJECT, TOKEN, ScriptedCloud

FIRST, SECOND, THIRD = "a" * 32, "b" * 32, "c" * 32
CRDS = ("evsjobs.evs-operator.dev", "evsconnections.evs-operator.dev", "clusterevsconnections.evs-operator.dev")
_STATES = ("--deployed", "--failed", "--pending", "--uninstalling")
pytestmark = pytest.mark.controlplane


@pytest.fixture(autouse=True)
def _nothing_is_there(plane: ControlPlane, releases: Helm) -> None:
    """Remove what the test before has left, whether it passed or not, and return once it is gone.

    Before a test and not after it: what a busy API server takes long to remove is no failure of a test that passed.
    """
    for release in json.loads(releases.run("list", "--all-namespaces", *_STATES, "--output", "json") or "[]"):
        releases.run("uninstall", release["name"], "--namespace", release["namespace"], "--ignore-not-found")
    plane.kubectl("delete", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/name=evs-operator")
    plane.kubectl("delete", "crd", *CRDS, "--ignore-not-found", "--wait=false")
    _crds_go(plane)


def _crds_go(plane: ControlPlane) -> None:
    """Return once no CRD of ours is left.

    An API server that has only just taken up a changed CRD cannot list its objects ("storage is (re)initializing"),
    and looks again after ever longer pauses, of minutes at last; each change of the CRD makes it look at once.
    """

    def gone() -> bool:
        nudge = f"test/nudged={time.monotonic_ns()}"
        return plane.kubectl("annotate", "crd", *CRDS, nudge, "--overwrite", check=False).stderr.count("NotFound") == 3

    eventually(gone, 240, lambda: plane.kubectl("get", "crd", "-o", "yaml").stdout)


def _install(helm: Helm, namespace: str, values: dict[str, Any], chart: Path = CHART, *more: str) -> str:
    where = ("--namespace", namespace, "--create-namespace")
    return helm.run("install", RELEASE, str(chart), *where, *more, values=values)


def _upgrade(helm: Helm, namespace: str, values: dict[str, Any]) -> None:
    helm.run("upgrade", RELEASE, str(CHART), "--namespace", namespace, values=values)


def _older_chart(directory: Path) -> Path:
    """Write a chart of a version before, whose EvsJob has no columns yet."""
    chart = directory / "evs-operator"
    shutil.copytree(CHART, chart)
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "0.0.1", "appVersion": "0.0.1"}))
    path = chart / "files" / "crds" / "evs-operator.dev_evsjobs.yaml"
    crd = yaml.safe_load(path.read_text())
    del crd["spec"]["versions"][0]["additionalPrinterColumns"]
    path.write_text(yaml.safe_dump(crd, sort_keys=False))
    return chart


def _team(plane: ControlPlane, name: str) -> Objects:
    plane.kubectl("create", "namespace", name)
    return Objects(plane, name)


def _finish(cloud: ScriptedCloud, objects: Objects, name: str, job_id: str) -> Object:
    cloud.put(job_id, body("SUCCESS", job_id=job_id, end_time="2026-02-03T09:15:31.208Z"))
    objects.add_job(name, job_id)
    objects.wait_job(name, lambda status: status.get("jobStatus") == "SUCCESS", 40)
    return objects.get("evsjob", name)


def _columns(objects: Objects) -> str:
    return objects.kubectl("get", "evsjobs").stdout.splitlines()[0]


def _secret(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"token": TOKEN}}


def _exists(plane: ControlPlane, *what: str) -> bool:
    return bool(plane.kubectl("get", *what, "--ignore-not-found").stdout)


def test_from_an_older_release_to_this_one_and_back_and_away_every_evs_job_stays_as_it_is(
    plane: ControlPlane, releases: Helm, cloud: ScriptedCloud, tmp_path: Path
) -> None:
    values = {"allowEndpoints": [cloud.url]}
    _install(releases, "evs", values, _older_chart(tmp_path))
    objects = _team(plane, "stays")
    objects.connect(cloud.url)
    with running(plane, "evs"):
        first = _finish(cloud, objects, "first", FIRST)
    assert "READY" not in _columns(objects)

    _upgrade(releases, "evs", {**values, "replicaCount": 2})
    assert "READY" in _columns(objects)
    with running(plane, "evs") as operator:
        eventually(lambda: "evs_operator_leader 1.0" in operator.http("/metrics")[1], 30, lambda: operator.log)
        second = _finish(cloud, objects, "second", SECOND)

    releases.run("rollback", RELEASE, "1", "--namespace", "evs")
    with running(plane, "evs"):
        _finish(cloud, objects, "third", THIRD)
    _upgrade(releases, "evs", values)
    said = releases.run("uninstall", RELEASE, "--namespace", "evs")
    assert "kept" in said
    for gone in ("deployment", "serviceaccount", "service"):
        assert not _exists(plane, gone, "-n", "evs", "-l", f"app.kubernetes.io/instance={RELEASE}")
    assert not _exists(plane, "clusterrole,clusterrolebinding", "-l", f"app.kubernetes.io/instance={RELEASE}")

    assert objects.jobs().keys() == {"first", "second", "third"}
    assert (objects.get("evsjob", "first"), objects.get("evsjob", "second")) == (first, second)
    assert (cloud.calls[FIRST], cloud.calls[SECOND]) == (1, 1)

    _install(releases, "evs", values)  # the same release again takes up the CRDs that it had left
    with running(plane, "evs") as operator:
        assert objects.get("evsjob", "first") == first
        assert "synced: 3 EvsJobs" in operator.log
    releases.run("uninstall", RELEASE, "--namespace", "evs")


def test_a_connection_of_the_values_comes_with_the_crds_and_is_an_object_of_the_release_from_then_on(
    plane: ControlPlane, releases: Helm, cloud: ScriptedCloud
) -> None:
    spec = {
        "endpoint": cloud.url,
        "projectId": PROJECT,
        "auth": {"token": {"secretRef": {"name": "shared-token"}}},
        "allowedNamespaces": {"names": ["shares"]},
    }
    values: dict[str, Any] = {"allowEndpoints": [cloud.url], "connections": {"default": spec}}
    _install(releases, "shared", values)
    Objects(plane, "shared").apply(_secret("shared-token"))
    objects = _team(plane, "shares")
    with running(plane, "shared"):
        _finish(cloud, objects, "job", FIRST)

    def connection() -> Object:
        found: Object = json.loads(plane.kubectl("get", "clusterevsconnection", "default", "-o", "json").stdout)
        return found

    spec["region"] = "eu-de"
    _upgrade(releases, "shared", values)
    assert connection()["spec"]["region"] == "eu-de"
    uid = connection()["metadata"]["uid"]
    spec["rateLimit"] = {"requestsPerSecond": 7}
    _upgrade(releases, "shared", values)
    assert connection()["metadata"]["uid"] == uid
    assert connection()["spec"]["rateLimit"] == {"requestsPerSecond": 7}
    releases.run("rollback", RELEASE, "1", "--namespace", "shared")
    assert "region" not in connection()["spec"]
    releases.run("uninstall", RELEASE, "--namespace", "shared")
    assert not _exists(plane, "clusterevsconnections")


def test_what_was_installed_and_never_upgraded_takes_its_connections_along(plane: ControlPlane, releases: Helm) -> None:
    spec = {"endpoint": "https://evs.eu-de.otc.t-systems.com", "auth": {"token": {"secretRef": {"name": "t"}}}}
    _install(releases, "briefly", {"connections": {"brief": spec}})
    assert _exists(plane, "clusterevsconnection", "brief")
    releases.run("uninstall", RELEASE, "--namespace", "briefly")
    assert _exists(plane, "crd", *CRDS)
    assert not _exists(plane, "clusterevsconnections")


def test_without_keep_the_crds_go_too(plane: ControlPlane, releases: Helm) -> None:
    _install(releases, "goes", {"crds": {"keep": False}})
    assert _exists(plane, "crd", *CRDS)
    releases.run("uninstall", RELEASE, "--namespace", "goes")
    _crds_go(plane)


def test_crds_that_somebody_applied_are_taken_over_where_helm_is_told_to(plane: ControlPlane, releases: Helm) -> None:
    plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    with pytest.raises(HelmError, match=r"invalid ownership metadata|cannot be imported"):
        _install(releases, "takes", {})
    _install(releases, "takes", {}, CHART, "--take-ownership")
    assert "evs-operator 0" in releases.run("get", "notes", RELEASE, "--namespace", "takes")
    releases.run("uninstall", RELEASE, "--namespace", "takes")
    assert _exists(plane, "crd", *CRDS)


@pytest.mark.parametrize("before", ["the CRDs", "all of deploy/"])
def test_what_kubectl_had_applied_is_upgraded_by_helm_once_it_was_told_so(
    plane: ControlPlane, releases: Helm, tmp_path: Path, before: str
) -> None:
    if releases.run("version", "--short").startswith("v3."):
        pytest.skip("Helm 3 does not ask who owns a field")
    namespace = "evs-operator"  # that of deploy/
    where = ("--namespace", namespace)
    applied = ("-f", str(ROOT / "crds")) if before == "the CRDs" else ("-k", str(ROOT / "deploy"))
    plane.kubectl("apply", "--server-side", *applied)
    _install(releases, namespace, {}, CHART, "--take-ownership")
    _changed_chart(tmp_path / "first", "The first change.")
    with pytest.raises(HelmError, match="conflict"):
        releases.run("upgrade", RELEASE, str(tmp_path / "first"), *where)
    releases.run("upgrade", RELEASE, str(tmp_path / "first"), *where, "--force-conflicts")
    assert _described(plane) == "The first change."
    _changed_chart(tmp_path / "second", "The second change.")
    releases.run("upgrade", RELEASE, str(tmp_path / "second"), *where)
    assert _described(plane) == "The second change."
    releases.run("uninstall", RELEASE, *where)


def _changed_chart(chart: Path, words: str) -> None:
    """Write a chart whose EvsJob is described in other words."""
    shutil.copytree(CHART, chart)
    path = chart / "files" / "crds" / "evs-operator.dev_evsjobs.yaml"
    crd = yaml.safe_load(path.read_text())
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = words
    path.write_text(yaml.safe_dump(crd, sort_keys=False))


def _described(plane: ControlPlane) -> str:
    path = "jsonpath={.spec.versions[0].schema.openAPIV3Schema.description}"
    return plane.kubectl("get", "crd", CRDS[0], "-o", path).stdout


def test_one_namespace_is_served_without_any_cluster_wide_right_of_operator_and_installer(
    plane: ControlPlane, helm: Helm, cloud: ScriptedCloud
) -> None:
    plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    installer = helm.at(plane.kubeconfig_for("alone", "installer", [everything]))
    values = {
        "scopedNamespaces": ["alone"],
        "allowEndpoints": [cloud.url],
        "crds": {"enabled": False},
        "rbac": {"aggregateClusterRoles": False},
    }
    installer.run("install", RELEASE, str(CHART), "--namespace", "alone", values=values)
    objects = Objects(plane, "alone")
    objects.connect(cloud.url)
    with running(plane, "alone"):
        _finish(cloud, objects, "job", FIRST)
        checked = _check(plane, only("Pod", helm.template("alone", values)), "alone")
    assert checked.returncode == 0, checked.stdout
    assert "ok    EvsConnection alone/default" in checked.stdout
    assert "not held: ClusterEvsConnections cannot be used" in checked.stdout
    installer.run("uninstall", RELEASE, "--namespace", "alone")
    assert objects.jobs().keys() == {"job"}


def _check(plane: ControlPlane, pod: Object, namespace: str) -> subprocess.CompletedProcess[str]:
    """Run what `helm test` runs in a pod."""
    (container,) = pod["spec"]["containers"]
    account = plane.kubeconfig_of(namespace, pod["spec"]["serviceAccountName"])
    command = [sys.executable, "-m", "evs_operator", *container["args"], "--kubeconfig", str(account)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_single_namespaces_may_use_cluster_connections_where_those_are_enabled(
    plane: ControlPlane, releases: Helm, cloud: ScriptedCloud
) -> None:
    spec = {
        "endpoint": cloud.url,
        "projectId": PROJECT,
        "auth": {"token": {"secretRef": {"name": "token"}}},
        "allowedNamespaces": {"selector": {}},
    }
    objects = _team(plane, "one-team")
    values = {"scopedNamespaces": ["one-team"], "allowEndpoints": [cloud.url], "connections": {"default": spec}}
    _install(releases, "beside", values)
    Objects(plane, "beside").apply(_secret("token"))
    with running(plane, "beside") as operator:
        _finish(cloud, objects, "job", FIRST)
        eventually(lambda: "Verified" in _events(plane), 20, lambda: _events(plane) + operator.log)
        assert "no permission" not in operator.log
        assert "no Events" not in operator.log
    releases.run("uninstall", RELEASE, "--namespace", "beside")


def _events(plane: ControlPlane) -> str:
    return plane.kubectl("get", "events.events.k8s.io", "-n", "default", "-o", "jsonpath={.items[*].action}").stdout
