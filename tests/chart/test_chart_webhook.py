"""The webhook in the chart: off by default, its three rights, its pods apart from the operator's, and its callers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from controlplane import ControlPlane
from evs_webhook.settings import settings_of, webhook_flags
from support import command_line
from support.chart import CHART, RELEASE, Helm, HelmError, values_of
from support.chart_webhook import INGRESS, ON, ROUTE, webhook_with_everything
from support.deployed import Object
from support.webhook import RULES, start_webhook

NAME = f"{RELEASE}-webhook"
PLAIN = {"webhook": {"enabled": True, "plainHttp": True}}


def _objects(helm: Helm, values: dict[str, Any]) -> list[Object]:
    """Return what the chart renders more with these values."""
    without = [json.dumps(one, sort_keys=True) for one in helm.template("evs", {**values, "webhook": {}})]
    return [one for one in helm.template("evs", values) if json.dumps(one, sort_keys=True) not in without]


def _of(kind: str, objects: list[Object]) -> Object:
    (found,) = (one for one in objects if one["kind"] == kind)
    return found


def test_it_is_off_by_default_and_brings_its_own_objects_alone(helm: Helm) -> None:
    assert not [one for one in helm.template("evs", {}) if "webhook" in one["metadata"]["name"]]
    brought = {(one["kind"], one["metadata"]["name"]) for one in _objects(helm, PLAIN)}
    assert brought == {
        ("Deployment", NAME),
        ("Service", NAME),
        ("ServiceAccount", NAME),
        ("ClusterRole", f"evs:{NAME}"),
        ("ClusterRoleBinding", f"evs:{NAME}"),
    }


def test_its_account_may_get_list_and_watch_evsjobs_and_nothing_else(helm: Helm) -> None:
    objects = _objects(helm, PLAIN)
    assert _of("ClusterRole", objects)["rules"] == RULES
    binding = _of("ClusterRoleBinding", objects)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": "evs"}]
    assert _of("Deployment", objects)["spec"]["template"]["spec"]["serviceAccountName"] == NAME
    scoped = helm.template("evs", {**PLAIN, "scopedNamespaces": ["team-a"], "rbac": {"aggregateClusterRoles": False}})
    bound = [one for one in scoped if one.get("roleRef", {}).get("name") == NAME]
    assert [(one["kind"], one["metadata"]["namespace"]) for one in bound] == [("RoleBinding", "team-a")]
    assert [one["rules"] for one in scoped if one["metadata"]["name"] == NAME and one["kind"] == "Role"] == [RULES]


def test_no_selector_of_the_operator_matches_its_pods_and_none_of_its_own_the_operators(helm: Helm) -> None:
    objects = helm.template(
        "evs", {**webhook_with_everything(), "replicaCount": 2, "podDisruptionBudget": {"enabled": True}}
    )
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in objects
        if one["kind"] == "Deployment"
    }
    assert pods.keys() == {RELEASE, NAME}
    for one in objects:
        spec = one.get("spec", {})
        selector = spec.get("selector", spec.get("podSelector"))
        if one["kind"] in ("ServiceMonitor", "CustomResourceDefinition") or not isinstance(selector, dict):
            continue
        wanted = selector.get("matchLabels", selector)
        chosen = {name for name, labels in pods.items() if wanted.items() <= labels.items()}
        assert chosen == {NAME if "webhook" in one["metadata"]["name"] else RELEASE}, one["metadata"]["name"]


def test_the_metrics_alone_are_scraped(helm: Helm) -> None:
    objects = _objects(helm, values_of(ON, {"webhook.serviceMonitor.enabled": True}))
    selector = _of("ServiceMonitor", objects)["spec"]["selector"]["matchLabels"]
    services = [one for one in objects if one["kind"] == "Service"]
    chosen = [one for one in services if selector.items() <= one["metadata"]["labels"].items()]
    assert [one["metadata"]["name"] for one in chosen] == [f"{NAME}-metrics"]
    assert [port["name"] for port in chosen[0]["spec"]["ports"]] == ["http"]


def test_callers_and_metrics_come_in_and_only_dns_and_the_api_server_are_reached(helm: Helm) -> None:
    policy = _of("NetworkPolicy", _objects(helm, values_of(ON, {"networkPolicy.enabled": True})))["spec"]
    assert [[port["port"] for port in rule["ports"]] for rule in policy["ingress"]] == [[8443], [8080]]
    assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [[53, 53], [443, 6443]]


def test_every_flag_is_rendered_or_can_be_added_and_what_is_rendered_is_understood(helm: Helm) -> None:
    seen = set()
    for values in (
        PLAIN,
        {**PLAIN, "scopedNamespaces": ["a"]},
        {"webhook": {"enabled": True, "tls": {"secretName": "t"}}},
    ):
        (container,) = _of("Deployment", _objects(helm, values))["spec"]["template"]["spec"]["containers"]
        command, *arguments = container["args"]
        assert command == "webhook"
        seen |= {argument.partition("=")[0] for argument in arguments}
        mounted = [one["mountPath"] for one in container["volumeMounts"]]
        files = [one.partition("=")[2] for one in arguments if one.startswith("--tls-")]
        assert all(path.rpartition("/")[0] in mounted for path in files)
        words = [one for one in arguments if not one.startswith("--tls-")] + (["--plain-http"] if files else [])
        settings_of(command_line.read(webhook_flags(), words, {}))
    assert command_line.names(webhook_flags()) - seen == {"--kubeconfig"}


def test_a_wait_is_not_ended_on_the_way(helm: Helm) -> None:
    (rule,) = _of("HTTPRoute", _objects(helm, values_of(ROUTE, {"webhook.maxWaitSeconds": 900})))["spec"]["rules"]
    assert rule["timeouts"] == {"request": "960s"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"webhook.enabled": True}, "needs webhook.tls.secretName"),
        ({**ON, "webhook.ingress.enabled": True}, "needs webhook.ingress.host"),
        ({**ON, "webhook.httpRoute.enabled": True}, "needs webhook.httpRoute.parentRefs"),
        ({**ON, "webhook.podDisruptionBudget.enabled": True}, "needs webhook.replicaCount of 2 or more"),
        ({**ON, "webhook.maxWaitSeconds": 0}, "don't meet the specifications of the schema"),
        ({**INGRESS, "webhook.ingress.path": "/"}, "don't meet the specifications of the schema"),
    ],
)
def test_values_that_make_no_webhook_are_refused_with_what_to_do(
    helm: Helm, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(HelmError, match=words):
        helm.rendered("evs", values_of(values))


def test_helm_lint_finds_nothing_and_the_api_server_knows_every_field(
    helm: Helm, crds: ControlPlane, namespace: str
) -> None:
    values = {**webhook_with_everything(), "networkPolicy": {"enabled": True}, "crds": {"enabled": False}}
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART), values=values)
    rendered = [
        one for one in _objects_of(helm, namespace, values) if one["kind"] not in ("ServiceMonitor", "HTTPRoute")
    ]
    text = yaml.safe_dump_all(rendered)
    answer = crds.kubectl("apply", "--validate=strict", "--dry-run=server", "-f", "-", input=text).stdout
    assert len(answer.splitlines()) == len(rendered)


def _objects_of(helm: Helm, namespace: str, values: dict[str, Any]) -> list[Object]:
    return [one for one in helm.template(namespace, values) if "webhook" in one["metadata"]["name"]]


def test_pods_keep_to_the_restricted_pod_security_standard(helm: Helm, crds: ControlPlane) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "restricted-webhook", "labels": labels}}
    crds.kubectl("apply", "-f", "-", input=json.dumps(place))
    template = _of("Deployment", _objects(helm, values_of(ON)))["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {"name": "webhook"}}
    crds.kubectl("create", "-n", "restricted-webhook", "--dry-run=server", "-f", "-", input=json.dumps(pod))
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_with_the_rights_of_the_chart_it_becomes_ready(helm: Helm, crds: ControlPlane, namespace: str) -> None:
    objects = [one for one in _objects_of(helm, namespace, PLAIN) if one["kind"] not in ("Deployment", "Service")]
    crds.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(objects))
    with start_webhook(crds.kubeconfig_of(namespace, NAME)) as webhook:
        assert webhook.http("/readyz") == (200, "ok\n")
