"""What the chart renders: rights, security of the pods, and the manifests of `deploy/` and of the documentation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane import ControlPlane
from support.chart import CHART, Helm
from support.deployed import DEPLOY, ROOT, Object, manifests, only

CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "ClusterEvsConnection", "Namespace"}
NO_CLUSTER_RIGHT = {
    "scopedNamespaces": ["team-a"],
    "crds": {"enabled": False},
    "rbac": {"aggregateClusterRoles": False},
}


def _kinds(objects: Iterable[Object]) -> set[str]:
    return {one["kind"] for one in objects}


def test_what_is_generated_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "charts" / "generate.py"), "--check"]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT / "tests"), **_home()}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def _home() -> dict[str, str]:
    return {name: os.environ[name] for name in ("HOME", "PATH", "EVS_OPERATOR_CACHE") if name in os.environ}


def test_the_rendered_crds_are_those_of_the_repository_and_kept_on_uninstall(helm: Helm) -> None:
    rendered = [one for one in helm.template("evs", {}) if one["kind"] == "CustomResourceDefinition"]
    assert [one["metadata"].pop("annotations") for one in rendered] == [{"helm.sh/resource-policy": "keep"}] * 3
    ours = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")]
    assert {one["metadata"]["name"]: one for one in rendered} == {one["metadata"]["name"]: one for one in ours}


def test_single_namespaces_need_no_object_of_the_cluster(helm: Helm) -> None:
    objects = helm.template("evs", NO_CLUSTER_RIGHT)
    assert not CLUSTER_SCOPED & _kinds(objects)
    roles = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in objects if one["kind"] == "Role"}
    assert set(roles) == {("team-a", "evs-operator")}
    (bound,) = (one for one in objects if one["kind"] == "RoleBinding")
    assert bound["subjects"] == [{"kind": "ServiceAccount", "name": "evs-operator", "namespace": "evs"}]


def test_cluster_connections_of_single_namespaces_need_a_small_cluster_role(helm: Helm) -> None:
    values = {**NO_CLUSTER_RIGHT, "clusterConnections": "enabled"}
    objects = helm.template("evs", values)
    granted = {right for rule in only("ClusterRole", objects)["rules"] for right in rights(rule)}
    assert granted == {
        *((verb, "evs-operator.dev", "clusterevsconnections") for verb in ("get", "list", "watch")),
        ("patch", "evs-operator.dev", "clusterevsconnections/status"),
        ("get", "", "namespaces"),
    }
    placed = {one["metadata"]["namespace"]: one["rules"] for one in objects if one["kind"] == "Role"}
    assert {right for rule in placed["evs"] for right in rights(rule)} == {("get", "", "secrets")}
    assert {resource for rule in placed["default"] for _, _, resource in rights(rule)} == {"events"}


def test_the_lease_is_a_right_of_replicas_alone_and_of_one_name(helm: Helm) -> None:
    assert "Role" not in _kinds(helm.template("evs", {}))
    (named, making) = only("Role", helm.template("evs", {"replicaCount": 2}))["rules"]
    assert (named["resourceNames"], named["verbs"]) == (["evs-operator"], ["get", "update"])
    assert making["verbs"] == ["create"]


def rights(rule: Object) -> list[tuple[str, str, str]]:
    return [(v, g, r) for v in rule["verbs"] for g in rule["apiGroups"] for r in rule["resources"]]


def test_people_who_may_view_or_edit_a_namespace_may_do_so_with_evs_jobs(helm: Helm) -> None:
    roles = [one for one in helm.template("evs", {}) if one["kind"] == "ClusterRole"]
    for into, verbs in {
        "view": {"get", "list", "watch"},
        "edit": {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"},
    }.items():
        taken = [
            one for one in roles if one["metadata"]["labels"].get(f"rbac.authorization.k8s.io/aggregate-to-{into}")
        ]
        granted = {right for role in taken for rule in role["rules"] for right in rights(rule)}
        for resource in ("evsjobs", "evsconnections"):
            assert {verb for verb, _, of in granted if of == resource} == verbs
        assert {verb for verb, _, of in granted if of.endswith("/status")} == {"get"}
        assert not [right for right in granted if "clusterevsconnections" in right[2]]


def test_pods_keep_to_the_restricted_pod_security_standard(helm: Helm, control_plane: ControlPlane) -> None:
    name = "restricted"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(_namespace(name, labels)))
    objects = helm.template(name, {})
    template = only("Deployment", objects)["spec"]["template"]
    pods = [{"apiVersion": "v1", "kind": "Pod", **template, "metadata": {"name": "operator"}}, only("Pod", objects)]
    for pod in pods:
        _create(control_plane, name, pod)
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        for broken in ("runAsNonRoot", "seccompProfile"):
            spec = {**pod["spec"], "securityContext": {**pod["spec"]["securityContext"], broken: None}}
            with pytest.raises(Exception, match=f'violates PodSecurity "restricted:latest": .*{broken}'):
                _create(control_plane, name, {**pod, "spec": spec})


def _namespace(name: str, labels: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _create(plane: ControlPlane, namespace: str, pod: Object) -> None:
    plane.kubectl("create", "-n", namespace, "--dry-run=server", "-f", "-", input=json.dumps(pod))


def test_a_pod_gets_the_time_that_an_orderly_end_takes(helm: Helm) -> None:
    spec = only("Deployment", helm.template("evs", {}))["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] >= 15


def test_without_a_lease_an_upgrade_never_runs_two(helm: Helm) -> None:
    alone = only("Deployment", helm.template("evs", {}))["spec"]["strategy"]["rollingUpdate"]
    several = only("Deployment", helm.template("evs", {"replicaCount": 2}))["spec"]["strategy"]["rollingUpdate"]
    assert alone == {"maxSurge": 0, "maxUnavailable": 1}
    assert several == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_identity_token_is_mounted_where_the_operator_looks_for_it(helm: Helm) -> None:
    pod = only("Deployment", helm.template("evs", {"allowAuth": ["oidc"]}))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "oidc-token")
    (volume,) = (one for one in pod["volumes"] if one["name"] == "oidc-token")
    (source,) = volume["projected"]["sources"]
    assert f"--oidc-token-file={mount['mountPath']}/{source['serviceAccountToken']['path']}" in container["args"]


def test_rules_and_dashboard_are_the_files_that_are_tried_with_a_real_prometheus(helm: Helm) -> None:
    on = {"metrics": {"prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}}
    objects = helm.template("evs", on)
    shown = json.loads(only("ConfigMap", objects)["data"]["evs-operator.json"])
    assert shown == json.loads((CHART / "files" / "dashboard.json").read_text())
    assert only("PrometheusRule", objects)["spec"] == yaml.safe_load((CHART / "files" / "rules.yaml").read_text())


def _rules(helm: Helm, **rule: Any) -> list[dict[str, Any]]:
    objects = helm.template("evs", {"metrics": {"prometheusRule": {"enabled": True, **rule}}})
    groups = only("PrometheusRule", objects)["spec"]["groups"]
    assert all(group["rules"] for group in groups)
    return [each for group in groups for each in group["rules"]]


def test_values_change_severity_and_patience_of_one_alert_and_leave_out_another(helm: Helm) -> None:
    changes = {
        "EvsOperatorThrottled": {"severity": "critical", "for": "1h"},
        "EvsOperatorRestarting": {"for": "2m"},
        "EvsJobFailed": {"enabled": False},
        "EvsOperatorDown": {"enabled": True},
    }
    before, after = _rules(helm), _rules(helm, alerts=changes)
    assert [one for one in before if one.get("alert") != "EvsJobFailed"] != after
    by_name = {one["alert"]: one for one in after if "alert" in one}
    assert (by_name["EvsOperatorThrottled"]["labels"]["severity"], by_name["EvsOperatorThrottled"]["for"]) == (
        "critical",
        "1h",
    )
    assert (by_name["EvsOperatorRestarting"]["labels"]["severity"], by_name["EvsOperatorRestarting"]["for"]) == (
        "warning",
        "2m",
    )
    untouched = [one for one in before if one.get("alert") not in {*changes} - {"EvsOperatorDown"}]
    assert [one for one in after if one in untouched] == untouched
    assert len(after) == len(before) - 1


def test_a_group_whose_alerts_are_all_left_out_is_left_out(helm: Helm) -> None:
    none = {"EvsJobFailed": {"enabled": False}, "EvsJobNeedsAction": {"enabled": False}}
    objects = helm.template("evs", {"metrics": {"prometheusRule": {"enabled": True, "alerts": none}}})
    names = [group["name"] for group in only("PrometheusRule", objects)["spec"]["groups"]]
    assert names
    assert "evs-operator.evsjobs" not in names


def test_every_alert_links_to_its_section_of_the_runbooks_that_values_name(helm: Helm) -> None:
    for rule in _rules(helm, runbookBaseUrl="https://wiki.example.com/evs"):
        if "alert" in rule:
            assert rule["annotations"]["runbook_url"] == f"https://wiki.example.com/evs#{rule['alert'].lower()}"


def test_the_dashboard_links_to_the_runbooks_that_values_name(helm: Helm) -> None:
    base = "https://wiki.example.com/evs"
    on = {"metrics": {"prometheusRule": {"runbookBaseUrl": base}, "dashboard": {"enabled": True}}}
    dashboard = only("ConfigMap", helm.template("evs", on))["data"]["evs-operator.json"]
    assert json.loads(dashboard)["links"][0]["url"] == base
    assert "docs/runbooks" not in dashboard


def test_kube_state_metrics_gets_its_configuration_and_the_right_to_use_it(helm: Helm) -> None:
    account = {"name": "kube-state-metrics", "namespace": "monitoring"}
    on = {"metrics": {"customResourceState": {"enabled": True, "serviceAccount": account}}}
    objects = helm.template("evs", on)
    assert only("ConfigMap", objects)["data"]["config.yaml"].strip() == (
        (CHART / "files" / "kube-state-metrics.yaml").read_text().strip()
    )
    (role,) = [o for o in objects if o["metadata"]["name"].endswith("-custom-resource-state") and "rules" in o]
    assert [rule["verbs"] for rule in role["rules"]] == [["list", "watch"]] * 2
    (binding,) = [o for o in objects if o.get("roleRef", {}).get("name") == role["metadata"]["name"]]
    assert binding["subjects"] == [{"kind": "ServiceAccount", **account}]


def test_a_kustomize_overlay_has_two_replicas_another_image_and_one_more_flag(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "kustomization.yaml").write_text(_overlay_of_the_documentation(tmp_path))
    built = control_plane.kubectl("kustomize", str(tmp_path)).stdout
    objects = list(yaml.safe_load_all(built))
    deployment = only("Deployment", objects)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert deployment["spec"]["replicas"] == 2
    assert container["image"].startswith("registry.example.com/evs-operator:")
    assert container["args"][-1] == "--allow-endpoint=https://evs.cloud.example.com"
    assert "--leader-elect" in container["args"]
    assert {"Role", "PodDisruptionBudget"} <= _kinds(objects)
    assert len(only("Role", objects)["rules"]) == len(
        only("Role", manifests("high-availability/leader-election.yaml"))["rules"]
    )


def _overlay_of_the_documentation(place: Path) -> str:
    text = (ROOT / "docs" / "install.md").read_text()
    overlay = text.partition("# kustomization.yaml\n")[2].partition("```")[0]
    assert "components:" in overlay
    base = "https://github.com/evs-operator/evs-operator//deploy"
    lines = []
    for line in overlay.splitlines():
        if base in line:  # the path of this clone, as the documentation allows
            name, _, rest = line.partition(base)
            line = f'{name}{os.path.relpath(DEPLOY, place)}{rest.partition("?")[0]}"]'
        lines.append(line)
    return "\n".join(lines)


def test_the_manifests_of_deploy_are_accepted_as_they_are(control_plane: ControlPlane) -> None:
    for way in ([], ["--server-side"]):
        control_plane.kubectl("apply", *way, "--validate=strict", "-k", str(DEPLOY))
