"""The rights that the chart grants are those the operator uses: each one, and no other.

The operator runs as the chart's Deployment says and uses every feature; the API server's audit log tells each request
of its ServiceAccount, also those that were refused. Then each right is taken away, and `evs-operator check` names it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane import ControlPlane, Fault, FaultProxy
from evs_operator.check import check
from evs_operator.kube.api import KubeApi
from evs_operator.kube.config.cluster import load_cluster
from evs_operator.settings import Settings
from support.chart import CHART, RELEASE, Helm, running
from support.deployed import Object
from support.jobs import body
from support.operator_process import Objects
from support.scripted_cloud import PROJECT, TOKEN, scripted_cloud

NAMESPACE = "evs"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
FAST = {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}
GROUP = ".evs-operator.dev"

# What each is for. A right that is not here fails a test, and so does one that the operator no longer uses.
RIGHTS = {
    f"list evsjobs{GROUP}": "what is there at the start, and whether the watch missed something",
    f"watch evsjobs{GROUP}": "EvsJobs as they come and change",
    f"get evsjobs{GROUP}": "the EvsJob as it is now, after a write was refused because it had changed",
    f"delete evsjobs{GROUP}": "spec.ttlSecondsAfterFinished",
    f"patch evsjobs/status{GROUP}": "the status",
    f"list evsconnections{GROUP}": "where and as whom to ask",
    f"watch evsconnections{GROUP}": "connections as they come and change",
    f"get evsconnections{GROUP}": "a connection that an EvsJob names before the watch brought it",
    f"patch evsconnections/status{GROUP}": "whether its credential works",
    f"list clusterevsconnections{GROUP}": "as for evsconnections",
    f"watch clusterevsconnections{GROUP}": "as for evsconnections",
    f"get clusterevsconnections{GROUP}": "as for evsconnections",
    f"patch clusterevsconnections/status{GROUP}": "as for evsconnections",
    "get secrets": "the credential that a connection names",
    "get namespaces": "the labels that allowedNamespaces.selector asks for",
    "create events.events.k8s.io": "Events",
    "patch events.events.k8s.io": "an Event that repeats",
    "get leases.coordination.k8s.io": "who leads",
    "create leases.coordination.k8s.io": "the Lease, where there is none",
    "update leases.coordination.k8s.io": "to go on leading",
}
LEASE = {right for right in RIGHTS if "leases" in right}

pytestmark = pytest.mark.controlplane


@pytest.fixture(scope="module")
def release(plane: ControlPlane, releases: Helm) -> Iterator[str]:
    """Give the address of a cloud, with a release for two replicas that may ask it."""
    with scripted_cloud() as cloud:
        cloud.put("a" * 32, body("RUNNING", job_id="a" * 32))
        cloud.put("b" * 32, body("SUCCESS", job_id="b" * 32, end_time="2026-02-03T09:15:31.208Z"))
        shared = {
            "endpoint": cloud.url,
            "projectId": PROJECT,
            "auth": {"token": {"secretRef": {"name": "token"}}},
            "allowedNamespaces": {"selector": {"matchLabels": {"kubernetes.io/metadata.name": "shares"}}},
        }
        values = {"replicaCount": 2, "allowEndpoints": [cloud.url], "connections": {"default": shared}}
        where = ("--namespace", NAMESPACE, "--create-namespace")
        releases.run("install", RELEASE, str(CHART), *where, values=values)
        yield cloud.url


@pytest.fixture(scope="module")
def used(plane: ControlPlane, release: str) -> set[str]:
    """Give the rights of all requests of the operator in a run that uses every feature."""
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "token"}, "stringData": {"token": TOKEN}}
    Objects(plane, NAMESPACE).apply(secret)
    for name in ("own", "shares"):
        plane.kubectl("create", "namespace", name)
    own, shares = Objects(plane, "own"), Objects(plane, "shares")
    refused = {"endpoint": release, "projectId": PROJECT, "auth": {"token": {"secretRef": {"name": "absent"}}}}
    account = plane.kubeconfig_of(NAMESPACE, RELEASE)
    with FaultProxy.start(plane) as proxy, running(plane, NAMESPACE, kubeconfig=proxy.kubeconfig(account)) as operator:
        proxy.fail(Fault(verb="patch", path="/evsjobs/follows/status", status=409, times=1))
        own.connect(release)
        own.add_job("follows", "a" * 32, polling=FAST)
        own.add_job("goes", "b" * 32, polling=FAST, ttlSecondsAfterFinished=1)
        shares.add_job("shared", "a" * 32, polling=FAST)
        own.add_job("nowhere", "a" * 32, connectionRef={"kind": "EvsConnection", "name": "absent"})
        other = {"kind": "ClusterEvsConnection", "name": "absent"}
        own.add_job("nowhere-else", "a" * 32, connectionRef=other)
        for objects, name in ((own, "follows"), (shares, "shared")):
            objects.wait_job(name, lambda status: status.get("jobStatus") == "RUNNING", 40)
        _let_an_event_repeat(own, release, refused)
        expected = {right for right in RIGHTS if not right.startswith("watch ")}  # told when it ends
        deadline = time.monotonic() + 40
        while expected - _requests(plane) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert "no permission" not in operator.log, operator.log
    return _requests(plane)


def _let_an_event_repeat(objects: Objects, url: str, spec: Object) -> None:
    """Break a connection, repair it, and break it in the same way."""
    for secret in ("absent", "default-token", "absent"):
        objects.connect(url, "flaps")
        broken = {"auth": {"token": {"secretRef": {"name": secret}}}}
        objects.kubectl("patch", "evsconnection", "flaps", "--type=merge", "-p", json.dumps({"spec": broken}))
        ready = "False" if secret == "absent" else "True"
        objects.kubectl("wait", f"--for=condition=Ready={ready}", "--timeout=30s", "evsconnection/flaps")


def _requests(plane: ControlPlane) -> set[str]:
    """Name what the operator asked for, allowed or not; everybody may ask what is served and what they may do."""
    found = set()
    for event in plane.audit_events():
        about = event.get("objectRef", {})
        if event["user"]["username"] == ACCOUNT and about.get("apiGroup") != "authorization.k8s.io" and about:
            subresource = f"/{about['subresource']}" if "subresource" in about else ""
            found.add(_named(event["verb"], about["resource"] + subresource, about.get("apiGroup", "")))
    return found


def _named(verb: str, resource: str, group: str) -> str:
    return f"{verb} {resource}{'.' + group if group else ''}"


def _granted(plane: ControlPlane) -> set[str]:
    """Name the rights in all roles of the release that are bound to the operator's ServiceAccount."""
    items = json.loads(plane.kubectl("get", "clusterrolebindings,rolebindings", "-A", "-o", "json").stdout)["items"]
    granted = set()
    for binding in items:
        subjects = [(one["kind"], one.get("namespace"), one["name"]) for one in binding.get("subjects", [])]
        if ("ServiceAccount", NAMESPACE, RELEASE) in subjects:
            role, where = binding["roleRef"], binding["metadata"].get("namespace", NAMESPACE)
            found = plane.kubectl("get", role["kind"], role["name"], "-n", where, "-o", "json").stdout
            for rule in json.loads(found)["rules"]:
                for group in rule["apiGroups"]:
                    granted |= {_named(v, r, group) for v in rule["verbs"] for r in rule["resources"]}
    return granted


def test_the_chart_grants_what_is_named_here_and_nothing_else(plane: ControlPlane, release: str) -> None:
    assert _granted(plane) == set(RIGHTS)


def test_the_operator_asks_for_nothing_that_the_chart_does_not_grant(plane: ControlPlane, used: set[str]) -> None:
    assert used - _granted(plane) == set()


@pytest.mark.parametrize("right", RIGHTS)
def test_the_operator_uses(used: set[str], right: str) -> None:
    assert right in used, RIGHTS[right]


def test_no_request_of_the_operator_is_refused(plane: ControlPlane, used: set[str]) -> None:
    refused = [
        f"{event['verb']} {event['requestURI']}"
        for event in plane.audit_events()
        if event["user"]["username"] == ACCOUNT and event["responseStatus"]["code"] == 403
    ]
    assert refused == []


@pytest.fixture(scope="module")
def account(plane: ControlPlane, used: set[str]) -> Path:
    """Give the kubeconfig of the operator's ServiceAccount."""
    return plane.kubeconfig_of(NAMESPACE, RELEASE)


@pytest.mark.parametrize("right", sorted(set(RIGHTS) - LEASE))
async def test_check_names_a_right_that_is_taken_away(
    plane: ControlPlane, account: Path, right: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api = KubeApi(await load_cluster(plane.admin_kubeconfig))
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{NAMESPACE}:{RELEASE}"
    before = await api.request("GET", path)
    verb, _, resource = right.partition(" ")
    rules: list[Object] = before["rules"]  # type: ignore[assignment]  # a ClusterRole has rules
    fewer = [one for rule in rules for one in _without(rule, verb, resource)]
    try:
        await _patch_rules(api, path, fewer)
        end = time.monotonic() + 20
        while True:  # the API server reads roles from a watch, a moment after they are written
            await check(Settings(kubeconfig=account))
            said = capsys.readouterr().out
            if f"permission to {right}: not held" in said:
                break
            assert time.monotonic() < end, said
        assert said.count("not held") == 1
    finally:
        await _patch_rules(api, path, rules)
        await api.aclose()


async def _patch_rules(api: KubeApi, path: str, rules: list[Object]) -> None:
    await api.request("PATCH", path, body={"rules": rules}, content_type="application/merge-patch+json")


def _without(rule: Object, verb: str, resource: str) -> list[Object]:
    """Split a rule so that one verb on one resource is left out."""
    (group,) = rule["apiGroups"]
    split = []
    for one in rule["resources"]:
        is_it = resource == (f"{one}.{group}" if group else one)
        verbs = [other for other in rule["verbs"] if not (is_it and other == verb)]
        if verbs:
            split.append({**rule, "resources": [one], "verbs": verbs})
    return split
