"""The admission policy of the chart on the real API server: it refuses objects that cost all tenants memory.

It is off by default. Who is refused reads what to do; the operator's own writes and the deletion of what was there
before are none of its business.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane import ControlPlane
from support.chart import CHART, RELEASE, Helm
from support.deployed import Object
from support.operator_process import Objects, custom, eventually

pytestmark = pytest.mark.controlplane
LABEL = f"{'a' * 240}.bbbbbbbbbb/k"
CONNECTION = {"endpoint": "https://evs.eu-de.otc.t-systems.com", "auth": {"token": {"secretRef": {"name": "t"}}}}
SPECS: dict[str, dict[str, Any]] = {"EvsJob": {"jobId": "a" * 32, "suspend": True}, "EvsConnection": CONNECTION}


@pytest.fixture(scope="module")
def objects(plane: ControlPlane, releases: Helm) -> Iterator[Objects]:
    """Give a namespace of a cluster with the policy; the object `before` is older than it."""
    where = ("--namespace", "guarded", "--create-namespace")
    releases.run("install", RELEASE, str(CHART), *where)
    plane.kubectl("create", "namespace", "team")
    team = Objects(plane, "team")
    assert _attempt(team, _wide("EvsJob", "before", labels=_labels(200))) == ""
    values = {"admissionPolicy": {"enabled": True}}
    releases.run("upgrade", RELEASE, str(CHART), "--namespace", "guarded", values=values)
    # the API server acts by a policy a moment after it is written
    eventually(lambda: "labels" in _attempt(team, _wide("EvsJob", "probe", labels=_labels(33)), "--dry-run=server"), 30)
    yield team
    releases.run("uninstall", RELEASE, "--namespace", "guarded")


def _labels(count: int) -> dict[str, str]:
    return {f"{LABEL}{number}": "v" for number in range(count)}


def _wide(kind: str, name: str, **metadata: Any) -> Object:
    made = custom(kind, name, **SPECS[kind])
    return {**made, "metadata": {**made["metadata"], **metadata}}


def _attempt(team: Objects, one: Object, *more: str, verb: str = "create") -> str:
    """Write an object; return why it was refused, "" where it was taken."""
    done = team.plane.kubectl("-n", team.namespace, verb, *more, "-f", "-", input=json.dumps(one), check=False)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"labels": {f"k{n}": "v" for n in range(33)}}, "has 33 labels, and 32 are allowed: remove some"),
        ({"annotations": {f"k{n}": "v" for n in range(34)}}, "has 34 annotations, and 32 are allowed: remove some"),
        ({"annotations": {"evs-operator.dev/requestedAt": "x" * 17_000}}, "more than 16384 characters"),
        ({"annotations": {"a": "💾" * 9_000}, "labels": {f"{LABEL}{n}": "v" for n in range(32)}}, "more than 16384"),
        ({"labels": {f"{LABEL}{n}": "v" * 63 for n in range(1_800)}}, "has 1800 labels"),
        ({"finalizers": [f"example.com/{n}" for n in range(17)]}, "more than 16 finalizers"),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": f"{n}", "uid": f"{n}"} for n in range(17)]},
            "more than 16 ownerReferences",
        ),
    ],
    ids=["labels", "annotations", "one long annotation", "both together", "a megabyte", "finalizers", "owners"],
)
def test_metadata_that_is_larger_than_an_object_needs_is_refused_with_what_to_do(
    objects: Objects, kind: str, metadata: dict[str, Any], words: str
) -> None:
    assert words in _attempt(objects, _wide(kind, "refused", **metadata))


@pytest.mark.parametrize("kind", SPECS)
def test_metadata_up_to_the_limit_is_taken(objects: Objects, kind: str) -> None:
    labels, annotations = ({f"k{n}": "v" * size for n in range(32)} for size in (60, 400))
    metadata = {"labels": labels, "annotations": annotations}
    assert _attempt(objects, _wide(kind, "taken", **metadata)) == ""
    assert _attempt(objects, custom(kind, "plain", **SPECS[kind]), verb="apply") == ""


def test_an_object_that_many_field_managers_write_to_is_refused_in_the_end(objects: Objects) -> None:
    refused = ""
    for number in range(40):
        one = custom("EvsJob", "many", **SPECS["EvsJob"])
        refused = refused or _attempt(objects, one, "--server-side", f"--field-manager=manager-{number}", verb="apply")
    assert "more than 32 field managers" in refused


def test_an_object_that_was_too_large_before_may_be_trimmed_and_deleted(objects: Objects) -> None:
    refused = objects.kubectl("annotate", "evsjob", "before", "a=b", check=False)
    assert "has 200 labels" in refused.stderr
    patch = json.dumps({"metadata": {"labels": None}})
    objects.kubectl("patch", "evsjob", "before", "--type=merge", "-p", patch)
    objects.kubectl("delete", "evsjob", "before")


def test_a_status_is_written_whatever_the_metadata_is(objects: Objects, plane: ControlPlane) -> None:
    objects.apply(custom("EvsJob", "told", **SPECS["EvsJob"]))
    patch = json.dumps({"status": {"jobStatus": "RUNNING"}})
    objects.kubectl("patch", "evsjob", "told", "--subresource=status", "--type=merge", "-p", patch)


def test_a_release_for_single_namespaces_guards_those_alone(helm: Helm) -> None:
    values = {"admissionPolicy": {"enabled": True}, "scopedNamespaces": ["team-a", "team-b"]}
    (binding,) = (one for one in helm.template("evs", values) if one["kind"] == "ValidatingAdmissionPolicyBinding")
    (only,) = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert (only["key"], only["values"]) == ("kubernetes.io/metadata.name", ["team-a", "team-b"])
