"""What Secrets turn into: a credential, and trust in the authority that is named and in no other."""

from __future__ import annotations

import base64
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evs_operator.api.connection import ConnectionSpec, parse_connection
from evs_operator.api.reasons import ConnectionReason
from evs_operator.cloud.credentials import AccessKey, InstanceMetadata, Oidc, Password, Token
from evs_operator.engine.credentials import CredentialsError, credentials_of, secret_names, trust_of
from support.certificates import judge_as_python_3_13

IAM = "https://iam.eu-de.otc.t-systems.com"
REF = {"secretRef": {"name": "cred"}}


def spec(auth: Any, **more: Any) -> ConnectionSpec:
    return parse_connection({"endpoint": "https://evs", "auth": auth, **more}, cluster=True)


@pytest.mark.parametrize(
    ("auth", "secret", "made"),
    [
        ({"token": REF}, {"token": " t0ken\n"}, Token("t0ken")),
        ({"accessKey": REF}, {"accessKey": "AK\n", "secretKey": "SK\n"}, AccessKey("AK", "SK")),
        (
            {"accessKey": REF},
            {"accessKey": "AK", "secretKey": "SK", "securityToken": "sts"},
            AccessKey("AK", "SK", "sts"),
        ),
        (
            {"password": {**REF, "iamEndpoint": IAM}},
            {"username": "u\n", "password": " p ", "domainName": "d\n"},
            Password("u", " p ", "d", IAM),
        ),
        ({"oidc": {"iamEndpoint": IAM, "identityProvider": "k"}}, None, Oidc(IAM, "k", "/token")),
        ({"instanceMetadata": {"endpoint": "http://m"}}, None, InstanceMetadata("http://m")),
    ],
)
def test_each_way_to_sign_in_has_its_credential(auth: Any, secret: dict[str, str] | None, made: object) -> None:
    read = spec(auth)
    assert secret_names(read) == ([] if secret is None else ["cred"])
    assert credentials_of(read, () if secret is None else (secret,), "ns", "/token") == made


def test_a_missing_key_is_named_with_its_secret_and_no_value_is() -> None:
    with pytest.raises(CredentialsError) as raised:
        credentials_of(spec({"accessKey": REF}), ({"accessKey": "AKIDEXAMPLE"},), "ns", "")
    assert raised.value.detail == "Secret ns/cred lacks secretKey for auth.accessKey"
    assert raised.value.reason is ConnectionReason.SECRET_KEY_MISSING


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("ca")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key")
    command = ["openssl", "req", "-x509", *key, "-out", "ca.crt", "-days", "2", "-subj", "/CN=private CA"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return (Path(directory) / "ca.crt").read_text()


def check_trust(context: ssl.SSLContext | None) -> None:
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1  # and none of the public ones
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT  # private authorities leave extensions out


def test_a_named_authority_is_trusted_and_no_other(authority: str, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_as_python_3_13(monkeypatch)
    bundle = base64.b64encode(authority.encode()).decode()
    check_trust(trust_of(spec({"token": REF}, tls={"caBundle": bundle}), ({"token": "t"},), "ns"))
    by_secret = spec({"token": REF}, tls={"caSecretRef": {"name": "ca"}})
    assert secret_names(by_secret) == ["cred", "ca"]
    check_trust(trust_of(by_secret, ({"token": "t"}, {"ca.crt": authority}), "ns"))
    without_secret = spec({"instanceMetadata": {}}, tls={"caSecretRef": {"name": "ca", "key": "k"}})
    check_trust(trust_of(without_secret, ({"k": authority},), "ns"))


def test_without_tls_the_public_authorities_are_trusted() -> None:
    assert trust_of(spec({"token": REF}), ({"token": "t"},), "ns") is None


@pytest.mark.parametrize("held", [{}, {"ca.crt": ""}, {"ca.crt": " \n"}, {"other": "x"}])
def test_an_authority_that_is_missing_never_means_the_public_ones(held: dict[str, str]) -> None:
    with pytest.raises(CredentialsError, match=r"Secret ns/ca lacks ca\.crt for tls\.caSecretRef"):
        trust_of(spec({"token": REF}, tls={"caSecretRef": {"name": "ca"}}), ({"token": "t"}, held), "ns")


@pytest.mark.parametrize("pem", ["no certificate", "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"])
def test_an_authority_that_cannot_be_read_is_named(pem: str) -> None:
    with pytest.raises(CredentialsError, match=r"key ca\.crt of Secret ns/ca holds no CA certificate"):
        trust_of(spec({"token": REF}, tls={"caSecretRef": {"name": "ca"}}), ({"token": "t"}, {"ca.crt": pem}), "ns")
