"""A CRD that is older than the operator is found out, field by field."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from evs_operator.api.names import EVS_CONNECTION, EVS_JOB, GROUP, VERSION
from evs_operator.api.schema import FIELDS
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.schema import in_words, missing_fields
from evs_operator.runtime.schema_watch import SchemaWatch
from support.api_server import InMemoryApiServer

CRDS = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for path in sorted((Path(__file__).parents[3] / "crds").glob("*.yaml"))
    for crd in yaml.safe_load_all(path.read_text())
}


OPENAPI = "/openapi/v3/apis/evs-operator.dev/v1alpha1"


def served(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI document that an API server makes of CRDs."""
    named = {
        kind: {**schema, "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": kind}]}
        for kind, schema in schemas.items()
    }
    lists = {"EvsJobList": {"properties": {"items": {}}, "x-kubernetes-group-version-kind": [{"kind": "EvsJobList"}]}}
    return {"components": {"schemas": named | lists}}


def api_of(answer: dict[str, Any] | int) -> KubeApi:
    api = InMemoryApiServer()
    api.objects[OPENAPI] = answer
    return api.kube


async def test_our_own_crds_lack_nothing() -> None:
    assert set(CRDS) == set(FIELDS)
    assert await missing_fields(api_of(served(CRDS))) == {}


@pytest.mark.parametrize("kind", FIELDS)
def test_every_field_of_a_crd_is_one_that_we_know(kind: str) -> None:
    """Else a field of the API would be missed in an older CRD without a word."""
    from evs_operator.kube.schema import _paths

    ours = {path for path in _paths(CRDS[kind], "") if path.startswith(("spec.", "status."))}
    assert ours == FIELDS[kind]


async def test_fields_that_are_missing_are_named_with_what_to_do() -> None:
    older = copy.deepcopy(CRDS)
    status = older[EVS_JOB]["properties"]["status"]["properties"]
    del status["failure"]["properties"]["hint"]
    del status["subJobs"]["items"]["properties"]["volumeId"]
    del older[EVS_CONNECTION]["properties"]["spec"]["properties"]["rateLimit"]
    missing = await missing_fields(api_of(served(older)))
    assert missing == {
        EVS_CONNECTION: ("spec.rateLimit", "spec.rateLimit.burst", "spec.rateLimit.requestsPerSecond"),
        EVS_JOB: ("status.failure.hint", "status.subJobs.volumeId"),
    }
    said = in_words(missing)
    assert "evsjobs.evs-operator.dev is older than this operator, it lacks status.failure.hint, status.subJobs" in said
    assert said.endswith("apply crds/ of this version")


async def test_many_missing_fields_are_counted() -> None:
    older = copy.deepcopy(CRDS)
    older[EVS_JOB]["properties"]["status"] = {"type": "object"}
    missing = await missing_fields(api_of(served(older)))
    assert missing is not None
    assert f"and {len(missing[EVS_JOB]) - 8} more: apply crds/" in in_words(missing)


@pytest.mark.parametrize("answer", [{}, {"components": 7}, {"components": {"schemas": {"x": 7, "y": {}}}}])
async def test_an_answer_that_says_nothing_of_our_kinds_is_no_finding(answer: dict[str, Any]) -> None:
    assert await missing_fields(api_of(answer)) == {}


async def test_an_api_server_that_serves_no_openapi_is_no_finding_and_one_that_is_away_is_an_error() -> None:
    assert await missing_fields(api_of(404)) is None
    with pytest.raises(KubeError):
        await missing_fields(api_of(0))


async def test_a_crd_that_is_replaced_by_an_older_one_is_told_while_the_operator_runs() -> None:
    older = copy.deepcopy(CRDS)
    del older[EVS_JOB]["properties"]["status"]["properties"]["state"]
    api, told = InMemoryApiServer(), []
    watch = SchemaWatch(api.kube)
    for answer in (served(CRDS), served(older), 0, served(CRDS)):
        api.objects[OPENAPI] = answer
        await watch.look()
        told.append("status.state" in watch.problem)
    assert told == [False, True, True, False]
