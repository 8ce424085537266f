"""Every value of the chart, switched by the real helm: what it changes, and that none is forgotten."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from controlplane import ControlPlane
from evs_operator.settings import run_flags, settings_of
from support import command_line
from support.chart import CHART, DEFAULTS, Helm, HelmError, Switch, schema_leaves, values_of
from support.chart_webhook import WEBHOOK_SWITCHES
from support.deployed import Object, only

DIGEST = "sha256:" + "0123456789abcdef" * 4
CONNECTION = {
    "endpoint": "https://evs.eu-de.otc.t-systems.com",
    "projectId": "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6",
    "auth": {"accessKey": {"secretRef": {"name": "evs-credentials"}}},
    "allowedNamespaces": {"selector": {"matchLabels": {"evs": "true"}}},
}
PEER = {"ipBlock": {"cidr": "10.1.2.0/24"}}
RELABELING = {"action": "labeldrop", "regex": "pod"}


def _scrape(kind: str) -> dict[str, Switch]:
    on = {f"metrics.{kind}.enabled": True}
    return {
        f"metrics.{kind}.enabled": Switch(True, f"kind: {kind[0].upper()}{kind[1:]}"),
        f"metrics.{kind}.labels": Switch({f"{kind}-found": "by"}, f"{kind}-found: by", beside=on),
        f"metrics.{kind}.interval": Switch("17s", "interval: 17s", beside=on),
        f"metrics.{kind}.scrapeTimeout": Switch("7s", "scrapeTimeout: 7s", beside=on),
        f"metrics.{kind}.relabelings": Switch([RELABELING], " relabelings:", beside=on),
        f"metrics.{kind}.metricRelabelings": Switch([RELABELING], "metricRelabelings:", beside=on),
    }


POLICY = {"networkPolicy.enabled": True}
ADMISSION = {"admissionPolicy.enabled": True}
SWITCHES: dict[str, Switch] = {
    "nameOverride": Switch("disks", "app.kubernetes.io/name: disks", alone=True),
    "fullnameOverride": Switch("whole", "name: whole-metrics"),
    "commonLabels": Switch({"team": "disks"}, "team: disks"),
    "crds.enabled": Switch(False, hides="kind: CustomResourceDefinition", alone=True),
    "crds.keep": Switch(False, hides="helm.sh/resource-policy: keep"),
    "scopedNamespaces": Switch(
        ["team-a", "team-b"], "--namespace=team-b", hides="kind: ClusterRoleBinding", alone=True
    ),
    "clusterConnections": Switch("disabled", hides="[clusterevsconnections/status]", alone=True),
    "connections": Switch({"shared": CONNECTION}, "kind: ClusterEvsConnection\nmetadata:\n  name: shared"),
    "allowEndpoints": Switch(["https://*.example.com"], '"--allow-endpoint=https://*.example.com"'),
    "defaultEndpoints": Switch(False, "- --no-default-endpoints"),
    "allowAuth": Switch(["oidc", "instanceMetadata"], "--allow-auth=instanceMetadata"),
    "oidcToken.audience": Switch("iam", 'audience: "iam"', beside={"allowAuth": ["oidc"]}),
    "oidcToken.expirationSeconds": Switch(7200, "expirationSeconds: 7200", beside={"allowAuth": ["oidc"]}),
    "log.format": Switch("text", "--log-format=text"),
    "log.level": Switch("debug", "--log-level=debug"),
    "replicaCount": Switch(3, "replicas: 3"),
    "leaderElection.mode": Switch("enabled", "- --leader-elect", hides="- --no-leader-elect"),
    "image.repository": Switch("registry.example.com/evs", "registry.example.com/evs:"),
    "image.tag": Switch("1.2.3-rc.1", ':1.2.3-rc.1"'),
    "image.digest": Switch(DIGEST, f'@{DIGEST}"', alone=True),
    "image.pullPolicy": Switch("Always", "imagePullPolicy: Always"),
    "imagePullSecrets": Switch([{"name": "registry"}], "imagePullSecrets:\n        - name: registry"),
    "serviceAccount.create": Switch(False, "serviceAccountName: default", hides="kind: ServiceAccount\nm", alone=True),
    "serviceAccount.name": Switch("robot", "serviceAccountName: robot"),
    "serviceAccount.annotations": Switch({"example.com/role": "evs"}, "example.com/role: evs"),
    "rbac.create": Switch(False, hides="kind: ClusterRole", alone=True),
    "rbac.aggregateClusterRoles": Switch(False, hides="aggregate-to-edit", alone=True),
    "resources": Switch({"limits": {"memory": "1Gi"}}, "memory: 1Gi"),
    "terminationGracePeriodSeconds": Switch(60, "terminationGracePeriodSeconds: 60"),
    "podSecurityContext": Switch({"runAsUser": 1234}, "runAsUser: 1234"),
    "securityContext": Switch({"procMount": "Default"}, "procMount: Default"),
    "livenessProbe.initialDelaySeconds": Switch(41, "initialDelaySeconds: 41"),
    "livenessProbe.periodSeconds": Switch(42, "periodSeconds: 42"),
    "livenessProbe.timeoutSeconds": Switch(43, "timeoutSeconds: 43"),
    "livenessProbe.failureThreshold": Switch(44, "failureThreshold: 44"),
    "readinessProbe.initialDelaySeconds": Switch(31, "initialDelaySeconds: 31"),
    "readinessProbe.periodSeconds": Switch(32, "periodSeconds: 32"),
    "readinessProbe.timeoutSeconds": Switch(33, "timeoutSeconds: 33"),
    "readinessProbe.failureThreshold": Switch(34, "failureThreshold: 34"),
    "deploymentAnnotations": Switch({"example.com/of": "deployment"}, "example.com/of: deployment"),
    "podAnnotations": Switch({"example.com/is": "pod"}, "example.com/is: pod"),
    "podLabels": Switch({"example.com/colour": "green"}, "example.com/colour: green"),
    "priorityClassName": Switch("system-cluster-critical", "priorityClassName: system-cluster-critical"),
    "nodeSelector": Switch({"disk": "ssd"}, "nodeSelector:\n        disk: ssd"),
    "tolerations": Switch([{"key": "spot", "operator": "Exists"}], "key: spot"),
    "affinity": Switch({"podAntiAffinity": {}}, "podAntiAffinity: {}"),
    "topologySpreadConstraints": Switch(
        [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}], "topologyKey: zone"
    ),
    "extraArgs": Switch(["--kubeconfig=/etc/cluster/kubeconfig"], "- --kubeconfig=/etc/cluster/kubeconfig"),
    "extraEnv": Switch([{"name": "EXTRA", "value": "1"}], "name: EXTRA"),
    "extraEnvFrom": Switch([{"secretRef": {"name": "more"}}], "envFrom:"),
    "extraVolumes": Switch([{"name": "cluster", "secret": {"secretName": "cluster"}}], "secretName: cluster"),
    "extraVolumeMounts": Switch([{"name": "cluster", "mountPath": "/etc/cluster"}], "mountPath: /etc/cluster"),
    "podDisruptionBudget.enabled": Switch(True, "kind: PodDisruptionBudget", beside={"replicaCount": 2}),
    "podDisruptionBudget.maxUnavailable": Switch(
        "50%", "maxUnavailable: 50%", beside={"replicaCount": 2, "podDisruptionBudget.enabled": True}
    ),
    "networkPolicy.enabled": Switch(True, "kind: NetworkPolicy"),
    "networkPolicy.metricsFrom": Switch([PEER], "from:\n        - ipBlock", beside=POLICY),
    "networkPolicy.dns.to": Switch([PEER], "to:\n        - ipBlock", beside=POLICY),
    "networkPolicy.dns.ports": Switch([5353], "- port: 5353\n          protocol: UDP", beside=POLICY),
    "networkPolicy.apiServer.to": Switch([PEER], "to:\n        - ipBlock", beside=POLICY),
    "networkPolicy.apiServer.ports": Switch([8443], "- port: 8443\n          protocol: TCP", beside=POLICY),
    "networkPolicy.endpoints.to": Switch([PEER], "to:\n        - ipBlock", beside=POLICY),
    "networkPolicy.endpoints.ports": Switch([9443], "- port: 9443\n          protocol: TCP", beside=POLICY),
    "networkPolicy.extraEgress": Switch([{"to": [PEER]}], "- to:\n      - ipBlock", beside=POLICY),
    **WEBHOOK_SWITCHES,
    "admissionPolicy.enabled": Switch(True, "kind: ValidatingAdmissionPolicyBinding"),
    "admissionPolicy.maxLabels": Switch(7, "size(variables.labels) <= 7", beside=ADMISSION),
    "admissionPolicy.maxAnnotations": Switch(9, "size(variables.annotations) <= 9", beside=ADMISSION),
    "admissionPolicy.maxCharacters": Switch(5000, "hold more than 5000 characters", beside=ADMISSION),
    "metrics.port": Switch(9090, "--http-address=:9090"),
    "metrics.service.enabled": Switch(False, hides="kind: Service\n", alone=True),
    "metrics.service.port": Switch(9191, "port: 9191"),
    "metrics.service.annotations": Switch({"example.com/a": "service"}, "example.com/a: service"),
    "metrics.service.labels": Switch({"example.com/label": "service"}, "example.com/label: service"),
    **_scrape("serviceMonitor"),
    **_scrape("podMonitor"),
    "metrics.prometheusRule.enabled": Switch(True, "kind: PrometheusRule"),
    "metrics.prometheusRule.labels": Switch(
        {"rules": "here"}, "rules: here", beside={"metrics.prometheusRule.enabled": True}
    ),
    "metrics.prometheusRule.runbookBaseUrl": Switch(
        "https://wiki.example.com/evs",
        "runbook_url: https://wiki.example.com/evs#evsjobfailed",
        beside={"metrics.prometheusRule.enabled": True},
    ),
    "metrics.prometheusRule.alerts": Switch(
        {"EvsOperatorThrottled": {"enabled": False}},
        hides="alert: EvsOperatorThrottled",
        beside={"metrics.prometheusRule.enabled": True},
    ),
    "metrics.customResourceState.enabled": Switch(True, "kind: CustomResourceStateMetrics"),
    "metrics.customResourceState.serviceAccount.name": Switch(
        "kube-state-metrics", "name: kube-state-metrics", beside={"metrics.customResourceState.enabled": True}
    ),
    "metrics.customResourceState.serviceAccount.namespace": Switch(
        "monitoring",
        "namespace: monitoring",
        beside={
            "metrics.customResourceState.enabled": True,
            "metrics.customResourceState.serviceAccount.name": "kube-state-metrics",
        },
    ),
    "metrics.dashboard.enabled": Switch(True, "evs-operator-dashboard"),
    "metrics.dashboard.labels": Switch(
        {"dashboards": "here"}, "dashboards: here", beside={"metrics.dashboard.enabled": True}
    ),
    "metrics.dashboard.annotations": Switch(
        {"grafana_folder": "disks"}, "grafana_folder: disks", beside={"metrics.dashboard.enabled": True}
    ),
}


def everything() -> dict[str, Any]:
    """Return all values other than their defaults, but for those that take away what others need."""
    chosen = {path: switch for path, switch in SWITCHES.items() if not switch.alone}
    return values_of(*(switch.beside for switch in chosen.values()), {p: s.value for p, s in chosen.items()})


@pytest.fixture(scope="session")
def monitoring(crds: ControlPlane) -> ControlPlane:
    """Give a control plane that also serves the kinds of the Prometheus Operator, with the fields that we write."""
    scrape = {name: {"type": "string"} for name in ("port", "path", "interval", "scrapeTimeout")}
    relabelings = {"type": "array", "items": _object({"action": {"type": "string"}, "regex": {"type": "string"}})}
    endpoint = _object({**scrape, "relabelings": relabelings, "metricRelabelings": relabelings})
    labels = {"type": "object", "additionalProperties": {"type": "string"}}
    selector = _object({"matchLabels": labels})
    rule = {name: {"type": "string"} for name in ("alert", "record", "expr", "for", "keep_firing_for")}
    rules = {"type": "array", "items": _object({**rule, "labels": labels, "annotations": labels})}
    group = _object({"name": {"type": "string"}, "interval": {"type": "string"}, "rules": rules})
    kinds = {
        "ServiceMonitor": {"selector": selector, "endpoints": {"type": "array", "items": endpoint}},
        "PodMonitor": {"selector": selector, "podMetricsEndpoints": {"type": "array", "items": endpoint}},
        "PrometheusRule": {"groups": {"type": "array", "items": group}},
    }
    stubs = yaml.safe_dump_all([_crd(kind, fields) for kind, fields in kinds.items()])
    crds.kubectl("apply", "-f", "-", input=stubs)
    crds.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", "-", input=stubs)
    return crds


def _object(fields: Mapping[str, Any]) -> Object:
    return {"type": "object", "properties": dict(fields)}


def _crd(kind: str, fields: Mapping[str, Any]) -> Object:
    plural = f"{kind.lower()}s"
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object({"spec": _object(fields)})},
    }
    names = {"kind": kind, "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.fixture(scope="session")
def renderings() -> dict[str, str]:
    """Give what was rendered before, by its values: many values are compared with the same."""
    return {}


def test_no_value_is_forgotten_here() -> None:
    leaves = schema_leaves()
    assert set(SWITCHES) == set(leaves)


@pytest.mark.parametrize("path", SWITCHES)
def test_each_value_changes_what_it_says(helm: Helm, renderings: dict[str, str], path: str) -> None:
    switch = SWITCHES[path]
    before = renderings.setdefault(str(switch.beside), "") or helm.rendered("evs", values_of(switch.beside))
    renderings[str(switch.beside)] = before
    after = helm.rendered("evs", values_of(switch.beside, {path: switch.value}))
    assert switch.shows or switch.hides
    assert switch.shows in after
    assert not switch.shows or switch.shows not in before
    assert not switch.hides or switch.hides in before
    assert not switch.hides or switch.hides not in after


def test_helm_lint_finds_nothing_with_the_defaults_and_with_everything(helm: Helm) -> None:
    for values in ({}, everything()):
        assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART), values=values)


@pytest.mark.parametrize("values", [{}, everything()], ids=["defaults", "everything"])
def test_the_api_server_knows_every_field_that_is_rendered(
    helm: Helm, monitoring: ControlPlane, namespace: str, values: dict[str, Any]
) -> None:
    served = "--api-versions=evs-operator.dev/v1alpha1/ClusterEvsConnection"
    rendered = helm.rendered(namespace, values, served)
    answer = monitoring.kubectl("apply", "--validate=strict", "--dry-run=server", "-f", "-", input=rendered).stdout
    assert len(answer.splitlines()) == len([one for one in yaml.safe_load_all(rendered) if one])


@pytest.mark.parametrize(
    "values",
    [
        {"typo": 1},
        {"image": {"tagg": "1"}},
        {"connections": {"default": {**CONNECTION, "endpont": "https://evs.example.com"}}},
        {"extraEnv": [{"name": "A", "vlaue": "1"}]},
        {"terminationGracePeriodSeconds": 14},
        {"image": {"digest": "sha256:short"}},
        {"allowEndpoints": ["evs.example.com"]},
        {"log": {"level": "loud"}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_helm_refuses_what_the_schema_does_not_allow(helm: Helm, values: dict[str, Any]) -> None:
    with pytest.raises(HelmError, match="don't meet the specifications of the schema"):
        helm.rendered("evs", values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicaCount": 2, "leaderElection": {"mode": "disabled"}}, "allows one replica only"),
        ({"connections": {"a": CONNECTION}, "clusterConnections": "disabled"}, "keeps the operator from reading any"),
        ({"podDisruptionBudget": {"enabled": True}}, "needs replicaCount of 2 or more"),
        (
            {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
            "needs metrics.service.enabled",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused_with_what_to_do(
    helm: Helm, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(HelmError, match=words):
        helm.rendered("evs", values)


def _flags(helm: Helm, values: dict[str, Any]) -> list[str]:
    (container,) = only("Deployment", helm.template("evs", values))["spec"]["template"]["spec"]["containers"]
    assert container["args"][0] == "run"
    return [str(argument) for argument in container["args"][1:]]


def test_every_flag_of_run_can_be_reached_and_what_is_rendered_is_understood(helm: Helm) -> None:
    scoped = {"scopedNamespaces": ["team-a", "team-b"], "replicaCount": 2}
    renderings = [_flags(helm, values) for values in ({}, everything(), scoped)]
    assert command_line.names(run_flags()) == {flag.partition("=")[0] for flags in renderings for flag in flags}
    read = [
        settings_of(command_line.read(run_flags(), [f for f in flags if not f.startswith("--kubeconfig")], {}))
        for flags in renderings
    ]
    assert [settings.leader_elect for settings in read] == [False, True, True]
    assert read[0].http_address == ("", 8080)
    assert read[0].operator_namespace == "evs"
    assert [settings.default_endpoints for settings in read] == [True, False, True]
    assert read[1].allow_endpoints == ("https://*.example.com",)
    assert read[1].allow_auth == ("oidc", "instanceMetadata")
    assert read[2].namespaces == ("team-a", "team-b")


def test_everything_is_not_the_default() -> None:
    values = everything()
    merged = copy.deepcopy(DEFAULTS)
    for path in schema_leaves():
        *parents, last = path.split(".")
        place, given = merged, values
        for key in parents:
            place, given = place[key], given.get(key, {})
        if not SWITCHES[path].alone:
            assert given[last] != place[last], path
