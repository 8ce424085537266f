"""The rules of EvsConnection and ClusterEvsConnection on the real API server: one row for each thing judged.

Both kinds share their spec (`test_crd_schemas.py` proves it), so each row is judged as the kind that has more.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from evs_operator.api import names
from evs_operator.api.connection import parse_connection
from evs_operator.api.spec import SpecError
from evs_operator.cloud.endpoints import origin

if TYPE_CHECKING:
    from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("crds")

EVS = "https://evs.eu-de.otc.t-systems.com"
IAM = "https://iam.eu-de.otc.t-systems.com"
PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
TOKEN = {"token": {"secretRef": {"name": "evs-credentials"}}}
PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n" * 9).decode()


def password(iam: str = IAM) -> dict[str, Any]:
    return {"password": {"secretRef": {"name": "evs-credentials"}, "iamEndpoint": iam}}


def allowed(**expression: Any) -> dict[str, Any]:
    return {"allowedNamespaces": {"selector": {"matchExpressions": [expression]}}}


def apply(control_plane: ControlPlane, change: dict[str, Any]) -> tuple[bool, str]:
    """Have the API server judge a connection that differs from a right one; None leaves a field out."""
    spec = {"endpoint": EVS, "auth": TOKEN, **change}
    manifest = {
        "apiVersion": names.API_VERSION,
        "kind": "ClusterEvsConnection",
        "metadata": {"name": "judged"},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }
    flags = ("--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-")
    done = control_plane.kubectl("apply", *flags, input=json.dumps(manifest), check=False)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"endpoint": EVS + "/"},
        {"endpoint": "https://evs.example.com:8443"},
        {"endpoint": "http://127.0.0.1:9090"},
        {"endpoint": "http://evs-simulator"},
        {"endpoint": "https://[2001:db8::1]:65535/"},
        {"projectId": PROJECT},
        {"region": "eu-de"},
        {"region": "cn-north-4_gov.1"},
        {"auth": {"accessKey": {"secretRef": {"name": "evs-credentials"}}}},
        {"auth": password()},
        {"auth": password(IAM + "/")},
        {"auth": password(IAM + "/v3")},
        {"auth": password(IAM + ":31943/v3/")},
        {"auth": {"oidc": {"iamEndpoint": IAM, "identityProvider": "kubernetes"}}},
        {"auth": {"oidc": {"iamEndpoint": IAM + "/v3", "identityProvider": "CCE_cluster-1"}}},
        {"auth": {"instanceMetadata": {}}},
        {"auth": {"instanceMetadata": {"endpoint": "http://169.254.169.254"}}},
        {"tls": {}},
        {"tls": {"caBundle": PEM}},
        {"tls": {"caBundle": "\n".join([PEM[:76], PEM[76:], ""])}},
        {"tls": {"caSecretRef": {"name": "evs-ca"}}},
        {"tls": {"caSecretRef": {"name": "evs-ca", "key": "ca-bundle.crt"}}},
        {"rateLimit": {"requestsPerSecond": 1, "burst": 1000}},
        {"rateLimit": {"requestsPerSecond": 1000, "burst": 1}},
        {"allowedNamespaces": {"names": ["team-a", "team-b"]}},
        {"allowedNamespaces": {"names": []}},
        {"allowedNamespaces": {"selector": {}}},
        {"allowedNamespaces": {"selector": {"matchLabels": {"evs": "allowed", "stage": ""}}}},
        allowed(key="stage", operator="In", values=["test", "production"]),
        allowed(key="stage", operator="DoesNotExist"),
        allowed(key="stage", operator="Exists", values=[]),
    ],
    ids=lambda change: json.dumps(change)[:80],
)
def test_a_connection_that_can_be_used_is_accepted_and_the_operator_reads_it(
    control_plane: ControlPlane, change: dict[str, Any]
) -> None:
    accepted, said = apply(control_plane, change)

    assert accepted, said
    read = parse_connection({"endpoint": EVS, "auth": TOKEN, **change}, cluster=True)
    assert origin(read.endpoint).startswith("http")


ENDPOINT_RULE = (
    "endpoint must be the origin of EVS: write https://HOST or https://HOST:PORT without user, path or query, for "
    "example https://evs.eu-de.otc.t-systems.com"
)
IAM_RULE = (
    "iamEndpoint must be the origin of IAM: write https://HOST or https://HOST:PORT without user or query and with "
    "no path other than /v3, for example https://iam.eu-de.otc.t-systems.com"
)
PROJECT_RULE = (
    "projectId must be the id of a project and not its name: write 32 lower-case hexadecimal digits, for example "
    f"{PROJECT}, or leave it out and name it in each EvsJob"
)
AUTH_RULE = "auth must say one way to sign in: write exactly one of accessKey, password, token, oidc, instanceMetadata"
PROVIDER_RULE = "identityProvider must be the name of an identity provider in IAM: write letters, digits, '-' and '_'"
SECRET_RULE = (
    "secretRef.name must be the name of a Secret: write lower-case letters, digits, dashes and dots, for example "
    "evs-credentials"
)
BUNDLE_RULE = (
    "caBundle must be base64 of PEM certificates: write the output of `base64 < ca.crt`, or name a Secret with "
    "tls.caSecretRef"
)
ALLOWED_RULE = (
    "allowedNamespaces must say once whom it allows: write exactly one of names and selector, or leave "
    "allowedNamespaces out to allow no namespace"
)
NAMES_RULE = (
    "allowedNamespaces.names must be names of namespaces without patterns: write for example team-a, or choose "
    "namespaces by their labels with allowedNamespaces.selector"
)
VALUES_RULE = (
    "values of a requirement must fit its operator: write at least one value for In and NotIn, and none for Exists "
    "and DoesNotExist"
)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"endpoint": None}, "spec.endpoint", "Required value"),
        ({"endpoint": ""}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "evs.eu-de.otc.t-systems.com"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "ftp://evs.example.com"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://-evs.example.com"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://evs..example.com"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://evs.example.com:0"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://evs.example.com:65536"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": f"{EVS}/v2/{PROJECT}"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": f"{EVS}//"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": f"{EVS}?region=eu-de"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": f"{EVS}#v1"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": f"{EVS}\n"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://user@evs.example.com"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://evs.example.com@attacker.example"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://evs.example.com\\.attacker.example"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://*.example.com"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://[evs]"}, "spec.endpoint", ENDPOINT_RULE),
        ({"endpoint": "https://" + "a" * 505}, "spec.endpoint", "may not be more than 512 bytes"),
        ({"projectId": "eu-de"}, "spec.projectId", PROJECT_RULE),
        ({"projectId": PROJECT.upper()}, "spec.projectId", PROJECT_RULE),
        ({"region": ""}, "spec.region", "region must be the name of a region: write for example eu-de"),
        ({"region": "eu de"}, "spec.region", "region must be the name of a region: write for example eu-de"),
        ({"auth": None}, "spec.auth", "Required value"),
        ({"auth": {}}, "spec.auth", AUTH_RULE),
        ({"auth": {**TOKEN, **password()}}, "spec.auth", AUTH_RULE),
        ({"auth": {**TOKEN, "accessKey": {"secretRef": {"name": "a"}}}}, "spec.auth", AUTH_RULE),
        ({"auth": {"token": {}}}, "spec.auth.token.secretRef", "Required value"),
        ({"auth": {"token": {"secretRef": {}}}}, "spec.auth.token.secretRef.name", "Required value"),
        ({"auth": {"token": {"secretRef": {"name": ""}}}}, "spec.auth.token.secretRef.name", SECRET_RULE),
        ({"auth": {"accessKey": {"secretRef": {"name": "A"}}}}, "spec.auth.accessKey.secretRef.name", SECRET_RULE),
        ({"auth": {"token": {"value": "t0ken"}}}, "spec.auth.token.value", "unknown field"),
        ({"auth": {"password": {"secretRef": {"name": "a"}}}}, "spec.auth.password.iamEndpoint", "Required value"),
        ({"auth": password(IAM + "/v2")}, "spec.auth.password.iamEndpoint", IAM_RULE),
        ({"auth": password(IAM + "/v3/auth/tokens")}, "spec.auth.password.iamEndpoint", IAM_RULE),
        ({"auth": password("https://user:word@iam.example.com")}, "spec.auth.password.iamEndpoint", IAM_RULE),
        ({"auth": password("https://iam.example.com:99999/v3")}, "spec.auth.password.iamEndpoint", IAM_RULE),
        ({"auth": {**TOKEN, "instanceMetadata": {}}}, "spec.auth", AUTH_RULE),
        ({"auth": {"oidc": {"identityProvider": "a"}}}, "spec.auth.oidc.iamEndpoint", "Required value"),
        ({"auth": {"oidc": {"iamEndpoint": IAM}}}, "spec.auth.oidc.identityProvider", "Required value"),
        (
            {"auth": {"oidc": {"iamEndpoint": IAM + "/x", "identityProvider": "a"}}},
            "spec.auth.oidc.iamEndpoint",
            IAM_RULE,
        ),
        (
            {"auth": {"oidc": {"iamEndpoint": IAM, "identityProvider": "a b"}}},
            "spec.auth.oidc.identityProvider",
            PROVIDER_RULE,
        ),
        (
            {"auth": {"instanceMetadata": {"endpoint": "http://169.254.169.254/openstack"}}},
            "spec.auth.instanceMetadata.endpoint",
            "endpoint must be the origin of the metadata service: write http://HOST or http://HOST:PORT",
        ),
        ({"tls": {"caBundle": ""}}, "spec.tls.caBundle", BUNDLE_RULE),
        ({"tls": {"caBundle": "-----BEGIN CERTIFICATE-----"}}, "spec.tls.caBundle", BUNDLE_RULE),
        (
            {"tls": {"caBundle": PEM, "caSecretRef": {"name": "a"}}},
            "spec.tls",
            "tls must name the CA once: write caBundle or caSecretRef, not both",
        ),
        ({"tls": {"caSecretRef": {}}}, "spec.tls.caSecretRef.name", "Required value"),
        (
            {"tls": {"caSecretRef": {"name": "a b"}}},
            "spec.tls.caSecretRef.name",
            "caSecretRef.name must be the name of a Secret: write lower-case letters, digits, dashes and dots",
        ),
        (
            {"tls": {"caSecretRef": {"name": "a", "key": "tls/ca.crt"}}},
            "spec.tls.caSecretRef.key",
            "caSecretRef.key must be a key of the Secret: write letters, digits, '-', '_' and '.', for example ca.crt",
        ),
        ({"tls": {"insecureSkipVerify": True}}, "spec.tls.insecureSkipVerify", "unknown field"),
        ({"rateLimit": {"requestsPerSecond": 0}}, "spec.rateLimit.requestsPerSecond", "greater than or equal to 1"),
        ({"rateLimit": {"requestsPerSecond": 1001}}, "spec.rateLimit.requestsPerSecond", "less than or equal to 1000"),
        ({"rateLimit": {"requestsPerSecond": 0.5}}, "spec.rateLimit.requestsPerSecond", "must be of type integer"),
        ({"rateLimit": {"burst": 0}}, "spec.rateLimit.burst", "greater than or equal to 1"),
        ({"rateLimit": {"burst": 1001}}, "spec.rateLimit.burst", "less than or equal to 1000"),
        ({"allowedNamespaces": {}}, "spec.allowedNamespaces", ALLOWED_RULE),
        ({"allowedNamespaces": {"names": ["a"], "selector": {}}}, "spec.allowedNamespaces", ALLOWED_RULE),
        ({"allowedNamespaces": {"names": ["a", "a"]}}, "spec.allowedNamespaces.names", "Duplicate value"),
        ({"allowedNamespaces": {"names": ["*"]}}, "spec.allowedNamespaces.names[0]", NAMES_RULE),
        ({"allowedNamespaces": {"names": ["a", "Team"]}}, "spec.allowedNamespaces.names[1]", NAMES_RULE),
        (allowed(key="a", operator="In"), "spec.allowedNamespaces.selector.matchExpressions[0]", VALUES_RULE),
        (allowed(key="a", operator="NotIn", values=[]), "matchExpressions[0]", VALUES_RULE),
        (allowed(key="a", operator="Exists", values=["b"]), "matchExpressions[0]", VALUES_RULE),
        (allowed(key="", operator="Exists"), "matchExpressions[0].key", "at least 1 chars long"),
        (allowed(key="a", operator="Is"), "matchExpressions[0].operator", 'supported values: "In", "NotIn"'),
    ],
    ids=lambda value: json.dumps(value)[:80] if isinstance(value, dict) else "",
)
def test_a_connection_that_cannot_be_used_is_refused_with_the_field_and_what_to_write(
    control_plane: ControlPlane, change: dict[str, Any], field: str, message: str
) -> None:
    accepted, said = apply(control_plane, change)

    assert not accepted
    assert field in said
    assert message in said


def test_a_namespaced_connection_knows_no_allowed_namespaces(control_plane: ControlPlane) -> None:
    spec = {"endpoint": EVS, "auth": TOKEN, "allowedNamespaces": {"names": ["team-a"]}}
    metadata = {"name": "judged", "namespace": "default"}
    manifest = {"apiVersion": names.API_VERSION, "kind": "EvsConnection", "metadata": metadata, "spec": spec}

    done = control_plane.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(manifest), check=False
    )

    assert done.returncode != 0
    assert 'unknown field "spec.allowedNamespaces"' in done.stderr


@pytest.mark.parametrize("kind", ["oidc", "instanceMetadata"])
def test_a_namespaced_connection_cannot_sign_in_as_the_operator(control_plane: ControlPlane, kind: str) -> None:
    auth = {kind: {"iamEndpoint": IAM, "identityProvider": "a"} if kind == "oidc" else {}}
    metadata = {"name": "judged", "namespace": "default"}
    spec = {"endpoint": EVS, "auth": auth}
    manifest = {"apiVersion": names.API_VERSION, "kind": "EvsConnection", "metadata": metadata, "spec": spec}

    for validate in ("strict", "ignore"):
        flags = ("--dry-run=server", f"--validate={validate}", "-f", "-")
        done = control_plane.kubectl("apply", *flags, input=json.dumps(manifest), check=False)
        assert done.returncode != 0
        assert f'unknown field "spec.auth.{kind}"' in done.stderr or "write exactly one of" in done.stderr
    with pytest.raises(SpecError, match=r"exactly one of accessKey, password, token$"):
        parse_connection(spec)
