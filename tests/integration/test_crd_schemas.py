"""The CRDs as files: what must hold of them before a server has seen them."""

from __future__ import annotations

from typing import Any

import pytest

from evs_operator.api import names
from evs_operator.api.connection import PLATFORM_AUTH
from evs_operator.api.status import EvsJobStatus, Failure, SubJobCounts, SubJobStatus
from evs_operator.core.connection_status import ConnectionStatus
from support import crds, jobs
from support.largest import largest_status

JOB = {
    "apiVersion": names.API_VERSION,
    "kind": "EvsJob",
    "metadata": {"name": "create-data-volume"},
    "spec": {"jobId": jobs.JOB_ID},
}


def with_status(**status: Any) -> dict[str, Any]:
    return {**JOB, "status": status}


@pytest.mark.parametrize("kind", crds.KINDS)
def test_every_field_has_a_description(kind: str) -> None:
    silent = [
        path
        for path, node in crds.fields(crds.schema(kind))
        if path != ".metadata" and not node.get("description", "").endswith((".", "Unknown.", ")"))
    ]

    assert crds.schema(kind)["description"]
    assert not silent, "no description, or one that is not a sentence"


@pytest.mark.parametrize("kind", crds.KINDS)
def test_an_optional_field_of_the_spec_says_what_its_absence_means(kind: str) -> None:
    explained_by_parent = ("auth", "tls", "allowedNamespaces", "selector")

    def optional(node: crds.Schema, path: str) -> list[str]:
        found = []
        for name, child in node.get("properties", {}).items():
            needed = name in node.get("required", []) or "default" in child or path.endswith(explained_by_parent)
            if not needed and "Absent: " not in child["description"]:
                found.append(f"{path}.{name}")
            found += optional(child, f"{path}.{name}")
        return found

    assert not optional(crds.schema(kind)["properties"]["spec"], "spec")


@pytest.mark.parametrize("kind", crds.KINDS)
def test_every_rule_has_a_message_that_says_what_to_write(kind: str) -> None:
    rules = [
        (path, rule)
        for path, node in crds.fields(crds.schema(kind))
        for rule in node.get("x-kubernetes-validations", [])
    ]

    assert rules
    for path, rule in rules:
        leaf = path.rstrip("[]{}").rsplit(".", 1)[-1]
        named = leaf if leaf not in ("name", "key", "matchExpressions") else ""
        assert named in rule["message"], path
        assert " write " in f" {rule['message']}", path


@pytest.mark.parametrize("kind", crds.KINDS)
def test_every_list_and_map_and_every_text_but_the_echo_of_a_request_is_bounded(kind: str) -> None:
    bound = {"string": "maxLength", "array": "maxItems"}
    free = {".apiVersion", ".kind", ".status.lastHandledReconcileAt"}

    unbounded = [
        path
        for path, node in crds.fields(crds.schema(kind))
        if path not in free
        and not {"enum", "format"} & node.keys()
        and (
            (node["type"] in bound and bound[node["type"]] not in node)
            or (isinstance(node.get("additionalProperties"), dict) and "maxProperties" not in node)
        )
    ]

    assert not unbounded


def test_both_kinds_of_connection_have_the_same_spec_but_for_what_is_the_administrators() -> None:
    def shape(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: shape(value) for key, value in node.items() if key != "description" or isinstance(value, dict)}
        return [shape(value) for value in node] if isinstance(node, list) else node

    own, shared = (shape(crds.schema(kind)["properties"]) for kind in ("EvsConnection", "ClusterEvsConnection"))
    allowed = shared["spec"]["properties"].pop("allowedNamespaces")
    auth = shared["spec"]["properties"]["auth"]
    platform = {kind: auth["properties"].pop(kind) for kind in PLATFORM_AUTH}
    rules = [node["spec"]["properties"]["auth"].pop("x-kubernetes-validations") for node in (own, shared)]

    assert allowed["properties"].keys() == {"names", "selector"}
    assert platform.keys() == {"oidc", "instanceMetadata"}
    assert [all(kind in rule[0]["rule"] for kind in PLATFORM_AUTH) for rule in rules] == [False, True]
    assert own == shared


def test_the_names_are_those_that_the_operator_watches() -> None:
    for kind in crds.KINDS:
        spec = crds.definition(kind)["spec"]

        assert (spec["group"], spec["names"]["plural"]) == (names.GROUP, names.PLURALS[kind])
        assert crds.version(kind)["name"] == names.VERSION
        assert crds.definition(kind)["metadata"]["name"] == f"{names.PLURALS[kind]}.{names.GROUP}"


def test_the_schema_of_the_status_declares_what_the_operator_writes_and_nothing_else() -> None:
    status = crds.schema("EvsJob")["properties"]["status"]["properties"]

    assert status.keys() == EvsJobStatus.__annotations__.keys()
    assert status["subJobs"]["items"]["properties"].keys() == SubJobStatus.__annotations__.keys()
    assert status["subJobCounts"]["properties"].keys() == SubJobCounts.__annotations__.keys()
    assert status["failure"]["properties"].keys() == Failure.__annotations__.keys()
    for kind in ("EvsConnection", "ClusterEvsConnection"):
        declared = crds.schema(kind)["properties"]["status"]["properties"]
        assert declared.keys() == ConnectionStatus.__annotations__.keys()


def test_the_largest_status_that_the_operator_writes_is_within_the_bounds() -> None:
    status = largest_status()

    assert len(status["entities"]) == 32
    assert status["subJobCounts"]["total"] == 10_000
    crds.check(with_status(**status))


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ({"phase": "Running"}, "'phase' was unexpected"),
        ({"subJobs": [{"jobId": "a", "state": "x"}]}, "'state' was unexpected"),
        ({"subJobs": [{"status": "FAIL"}]}, "'jobId' is a required property"),
        ({"subJobs": [{"jobId": "a"}, {"jobId": "a"}]}, "twice"),
        ({"entities": {"size": 40}}, "40 is not of type 'string'"),
        ({"failReason": "x" * 1025}, "is too long"),
        ({"beginTime": ""}, "is not a 'date-time'"),
        ({"beginTime": "2026-02-03T09:15:00.118"}, "is not a 'date-time'"),
        ({"subJobCounts": {"total": 2**31}}, "is not a 'int32'"),
    ],
)
def test_the_loader_tells_what_the_server_would_prune_or_refuse(status: dict[str, Any], problem: str) -> None:
    assert not crds.problems(with_status(observedGeneration=1, beginTime="2026-02-03T09:15:00.118Z"))

    assert problem in "\n".join(crds.problems(with_status(**status)))
