"""Manifests that other programs build: what the API server would take, or an error that says what to write."""

from __future__ import annotations

from typing import Any

import pytest

from evs_operator import api
from evs_operator.api.connection import parse_connection
from support import crds
from support.jobs import JOB_ID

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
ENDPOINT = "https://evs.eu-de.otc.t-systems.com"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def test_a_job_id_is_all_that_an_evsjob_needs() -> None:
    assert api.evs_job("data", JOB_ID) == {
        "apiVersion": "evs-operator.dev/v1alpha1",
        "kind": "EvsJob",
        "metadata": {"name": "data"},
        "spec": {"jobId": JOB_ID},
    }


def test_an_evsjob_with_everything_is_what_the_crd_takes() -> None:
    manifest = api.evs_job(
        "data-",
        {"job_id": JOB_ID, "volume_ids": ["5d0c3c7e-6a1f-4f0e-9b7a-0a6a0b1c2d3e"]},
        generate_name=True,
        namespace="team-a",
        project_id=PROJECT,
        connection=api.ConnectionRef("ClusterEvsConnection", "shared"),
        min_interval_seconds=5,
        max_interval_seconds=5,
        deadline_seconds=600,
        suspend=True,
        ttl_seconds_after_finished=0,
        labels={"app": "db"},
        annotations={"evs-operator.dev/requestedAt": "now"},
    )
    crds.check(manifest)
    assert manifest["metadata"]["generateName"] == "data-"
    assert manifest["spec"] == {
        "jobId": JOB_ID,
        "projectId": PROJECT,
        "connectionRef": {"kind": "ClusterEvsConnection", "name": "shared"},
        "polling": {"minIntervalSeconds": 5, "maxIntervalSeconds": 5},
        "deadlineSeconds": 600,
        "suspend": True,
        "ttlSecondsAfterFinished": 0,
    }


def test_a_connection_named_by_a_string_is_one_of_the_same_namespace() -> None:
    manifest = api.evs_job("data", JOB_ID, connection="other")
    assert manifest["spec"]["connectionRef"] == {"kind": "EvsConnection", "name": "other"}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"order_id": "CS2211"}, "prepaid order has no job"),
        ({"error": {"code": "EVS.1042", "message": "quota"}}, "EVS refused the operation: EVS.1042 quota"),
        ({"error_code": "APIGW.0301", "error_msg": "no"}, "EVS refused the operation: APIGW.0301 no"),
        ({"badRequest": {"message": "no", "code": 400}}, "EVS refused the operation: 400 no"),
        ({"overLimit": {"message": "quota"}}, "EVS refused the operation: quota"),
        ({"error": "no"}, "EVS refused the operation: look at the error"),
        ({"message": "hello"}, "pass the JSON object"),
        ({"volumes": {"a": 1}}, "pass the JSON object"),
        ({"job_id": ""}, "pass the JSON object"),
        ({}, "pass the JSON object"),
    ],
)
def test_an_answer_without_a_job_says_why(answer: dict[str, Any], problem: str) -> None:
    with pytest.raises(api.SpecError, match=problem):
        api.evs_job("data", answer)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"job": "no id"}, "spec.jobId"),
        ({"project_id": "eu-de_team-a"}, "spec.projectId"),
        ({"deadline_seconds": 0}, "spec.deadlineSeconds"),
        ({"ttl_seconds_after_finished": -1}, "spec.ttlSecondsAfterFinished"),
        ({"min_interval_seconds": 9, "max_interval_seconds": 5}, "spec.polling"),
        ({"name": ""}, "metadata.name"),
        ({"name": "X_Y"}, "metadata.name"),
        ({"name": "data-"}, "metadata.name"),
        ({"name": "d" * 254}, "metadata.name"),
        ({"name": "Data-", "generate_name": True}, "metadata.generateName"),
        ({"namespace": "team.a"}, "metadata.namespace"),
        ({"namespace": "Team"}, "metadata.namespace"),
    ],
)
def test_what_the_api_server_would_refuse_is_refused_with_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(api.SpecError, match=field):
        api.evs_job(**{"name": "data", "job": JOB_ID, **fields})


@pytest.mark.parametrize(
    "auth", [api.access_key("keys"), api.password("user", "https://iam.eu-de.otc.t-systems.com"), api.token("token")]
)
def test_connections_of_each_kind_are_what_the_crds_take(auth: dict[str, Any]) -> None:
    limit = {"requests_per_second": 5, "burst": 10}
    own = api.evs_connection("default", ENDPOINT, auth, namespace="team-a", project_id=PROJECT, region="eu-de", **limit)
    crds.check(own)
    shared = api.cluster_evs_connection("shared", ENDPOINT, auth, allowed_namespaces=["a"], allowed_labels={"b": "c"})
    crds.check(shared)
    assert shared["spec"]["allowedNamespaces"] == {"names": ["a"], "selector": {"matchLabels": {"b": "c"}}}
    assert "namespace" not in shared["metadata"]


@pytest.mark.parametrize(
    "auth",
    [
        api.oidc("kubernetes", "https://iam.eu-de.otc.t-systems.com"),
        api.instance_metadata(),
        api.instance_metadata("http://169.254.169.254"),
    ],
)
def test_a_platform_signs_in_without_a_secret_for_cluster_connections_alone(auth: dict[str, Any]) -> None:
    crds.check(api.cluster_evs_connection("shared", ENDPOINT, auth, allowed_namespaces=["a"]))
    with pytest.raises(api.SpecError, match=r"spec\.auth"):
        api.evs_connection("default", ENDPOINT, auth)


def test_a_private_ca_is_written_as_the_operator_reads_it() -> None:
    manifest = api.evs_connection("default", ENDPOINT, api.token("token"), ca_certificates=PEM)
    crds.check(manifest)
    assert parse_connection(manifest["spec"]).ca_bundle == PEM.encode()
    named = api.evs_connection("default", ENDPOINT, api.token("token"), ca_secret="ca")
    assert parse_connection(named["spec"]).ca_secret == ("ca", "ca.crt")
    with pytest.raises(api.SpecError, match="not both"):
        api.evs_connection("default", ENDPOINT, api.token("token"), ca_certificates=PEM, ca_secret="ca")


def test_a_connection_signs_in_one_way() -> None:
    with pytest.raises(api.SpecError, match="exactly one"):
        api.evs_connection("default", ENDPOINT, {**api.token("a"), **api.access_key("b")})


def test_a_poll_is_asked_for_by_an_annotation() -> None:
    assert api.poll_request("now") == {"metadata": {"annotations": {"evs-operator.dev/requestedAt": "now"}}}
