"""The spec of a connection as it is read: what the CRD refuses today may be stored since before the CRD."""

from __future__ import annotations

from typing import Any

import pytest

from evs_operator.api.connection import DEFAULT_METADATA, ConnectionAuth, parse_connection
from evs_operator.api.spec import SpecError

IAM = "https://iam.eu-de.otc.t-systems.com"
OIDC = {"oidc": {"iamEndpoint": IAM, "identityProvider": "kubernetes"}}


def auth(value: Any, *, cluster: bool = True) -> ConnectionAuth:
    return parse_connection({"endpoint": "https://evs", "auth": value}, cluster=cluster).auth


def test_the_ways_to_sign_in_as_the_operator_need_no_secret() -> None:
    assert auth(OIDC) == ConnectionAuth("oidc", iam_endpoint=IAM, identity_provider="kubernetes")
    assert auth({"instanceMetadata": {}}).metadata_endpoint == DEFAULT_METADATA
    assert auth({"instanceMetadata": {"endpoint": "http://m"}}).metadata_endpoint == "http://m"


@pytest.mark.parametrize("value", [OIDC, {"instanceMetadata": {}}])
def test_a_namespaced_connection_cannot_use_them(value: Any) -> None:
    with pytest.raises(SpecError, match=r"write exactly one of accessKey, password, token$"):
        auth(value, cluster=False)


@pytest.mark.parametrize(
    "value",
    [
        {},
        None,
        {**OIDC, "token": {"secretRef": {"name": "a"}}},
        {"oidc": {"iamEndpoint": IAM}},
        {"oidc": {"identityProvider": "a"}},
        {"oidc": {"iamEndpoint": IAM, "identityProvider": "a\r\nX-Auth-Token: b"}},
        {"oidc": {"iamEndpoint": IAM, "identityProvider": ""}},
        {"instanceMetadata": {"endpoint": 5}},
    ],
)
def test_what_cannot_be_used_is_refused_with_the_field(value: Any) -> None:
    with pytest.raises(SpecError, match=r"spec\.auth"):
        auth(value)


@pytest.mark.parametrize("key", ["../x", "a/b", "", "a" * 254, "ä"])
def test_a_key_of_a_secret_is_a_key(key: str) -> None:
    tls = {"caSecretRef": {"name": "ca", "key": key}}
    spec = {"endpoint": "https://evs", "auth": {"token": {"secretRef": {"name": "a"}}}, "tls": tls}
    if not key:  # absent
        assert parse_connection(spec).ca_secret == ("ca", "ca.crt")
        return
    with pytest.raises(SpecError, match=r"spec\.tls\.caSecretRef\.key"):
        parse_connection(spec)
