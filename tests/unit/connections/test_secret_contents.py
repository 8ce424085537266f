"""What Secrets turn into: a credential, and trust in the authority that is named and in no other."""

from __future__ import annotations

import base64
import codecs
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evs_operator.api.connection import ConnectionSpec, parse_connection
from evs_operator.api.reasons import ConnectionReason
from evs_operator.api.spec import SpecError
from evs_operator.cloud.auth.credentials import AccessKey, InstanceMetadata, Oidc, Password, Token
from evs_operator.connections.credential.secret_contents import (
    CredentialsError,
    Secrets,
    authority_of,
    credentials_of,
    needed_keys,
    trust_in,
    unreadable,
)
from evs_operator.kube.secret import Refused
from support.certificates import judge_as_python_3_13

IAM = "https://iam.eu-de.otc.t-systems.com"
REF = {"secretRef": {"name": "cred"}}


def spec(auth: Any, **more: Any) -> ConnectionSpec:
    return parse_connection({"endpoint": "https://evs", "auth": auth, **more}, cluster=True)


def held(**secrets: dict[str, str | bytes]) -> Secrets:
    """Return Secrets by name with their values as bytes."""
    return {
        name: {key: value if isinstance(value, bytes) else value.encode() for key, value in data.items()}
        for name, data in secrets.items()
    }


def trust(read: ConnectionSpec, secrets: Secrets) -> ssl.SSLContext | None:
    """Do what the credential_loader does."""
    return trust_in(authority_of(read, secrets, "ns"), read, "ns")


@pytest.mark.parametrize(
    ("auth", "secret", "made"),
    [
        ({"token": REF}, {"token": "t0ken\r\n\n"}, Token("t0ken")),
        ({"token": REF}, {"token": " t0ken\t\n"}, Token(" t0ken\t")),
        ({"accessKey": REF}, {"accessKey": "AK\n", "secretKey": "SK\n"}, AccessKey("AK", "SK")),
        (
            {"accessKey": REF},
            {"accessKey": "AK", "secretKey": "SK", "securityToken": "sts\n"},
            AccessKey("AK", "SK", "sts"),
        ),
        (
            {"password": {**REF, "iamEndpoint": IAM}},
            {"username": "u\n", "password": " p \n", "domainName": "d\r\n"},
            Password("u", " p ", "d", IAM),
        ),
        ({"oidc": {"iamEndpoint": IAM, "identityProvider": "k"}}, None, Oidc(IAM, "k", "/token")),
        ({"instanceMetadata": {"endpoint": "http://m"}}, None, InstanceMetadata("http://m")),
    ],
)
def test_each_way_to_sign_in_has_its_credential_and_line_ends_at_the_end_are_no_part_of_it(
    auth: Any, secret: dict[str, str | bytes] | None, made: object
) -> None:
    read = spec(auth)
    assert list(needed_keys(read)) == ([] if secret is None else ["cred"])
    assert credentials_of(read, {} if secret is None else held(cred=secret), "ns", "/token") == made


def test_a_missing_key_is_named_with_its_secret_and_no_value_is() -> None:
    with pytest.raises(CredentialsError) as raised:
        credentials_of(spec({"accessKey": REF}), held(cred={"accessKey": "AKIDEXAMPLE"}), "ns", "")
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
    check_trust(trust(spec({"token": REF}, tls={"caBundle": bundle}), held(cred={"token": "t"})))
    by_secret = spec({"token": REF}, tls={"caSecretRef": {"name": "ca"}})
    assert needed_keys(by_secret) == {"cred": ("token",), "ca": ("ca.crt",)}
    check_trust(trust(by_secret, held(cred={"token": "t"}, ca={"ca.crt": authority})))
    without_secret = spec({"instanceMetadata": {}}, tls={"caSecretRef": {"name": "ca", "key": "k"}})
    check_trust(trust(without_secret, held(ca={"k": authority})))


def test_one_secret_may_hold_both_the_credential_and_the_authority(authority: str) -> None:
    read = spec({"token": REF}, tls={"caSecretRef": {"name": "cred"}})
    assert needed_keys(read) == {"cred": ("token", "ca.crt")}
    both = held(cred={"token": "t", "ca.crt": b"# f\xfcr\n" + authority.encode()})
    assert credentials_of(read, both, "ns", "") == Token("t")
    check_trust(trust(read, both))


def test_without_tls_the_public_authorities_are_trusted() -> None:
    assert trust(spec({"token": REF}), held(cred={"token": "t"})) is None


@pytest.mark.parametrize("data", [{}, {"ca.crt": ""}, {"ca.crt": " \n"}, {"other": "x"}])
def test_an_authority_that_is_missing_never_means_the_public_ones(data: dict[str, str | bytes]) -> None:
    with pytest.raises(CredentialsError, match=r"Secret ns/ca lacks ca\.crt for tls\.caSecretRef"):
        trust(spec({"token": REF}, tls={"caSecretRef": {"name": "ca"}}), held(cred={"token": "t"}, ca=data))


BESIDE = {
    "a comment in UTF-8": "# Zertifikat für team-a\n".encode(),
    "a comment in Latin-1": "# Zertifikat für team-a\n".encode("latin-1"),
    "a comment beyond the first plane": "# 💾 証明書\n".encode(),
    "a mark of byte order": codecs.BOM_UTF8,
    "NUL bytes": b"\0\0\n",
    "the output of `openssl x509 -text`": b"Certificate:\n    Data:\n        Version: 3 (0x2)\n",
    "a private key": b"-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n",
    "bytes that are no text": bytes(range(256)),
}


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", "  \n"], ids=repr)
def test_what_stands_beside_the_certificates_does_not_matter(beside: bytes, ends: str, authority: str) -> None:
    file = beside + ends.join(authority.splitlines()).encode() + ends.encode() + beside
    read = spec({"token": REF}, tls={"caSecretRef": {"name": "ca"}})
    check_trust(trust(read, held(cred={"token": "t"}, ca={"ca.crt": file})))
    bundle = base64.encodebytes(file).decode()
    check_trust(trust(spec({"token": REF}, tls={"caBundle": bundle}), held(cred={"token": "t"})))


def block(body: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n"


def wrong_files(authority: str) -> dict[str, tuple[bytes, str]]:
    der = ssl.PEM_cert_to_DER_cert(authority)
    pem = authority.encode()
    cut = pem.index(b"-----END")
    return {
        "no certificate": (b"no certificate", "holds no CA certificate"),
        "a block that is no certificate": (block(b"xx"), "holds no CA certificate"),
        "a block of bytes that are none": (block(base64.b64encode(b"0123456789")), "holds no CA certificate"),
        "a block with letters of a language": (block("für".encode()), "certificate 1 is no base64"),
        "a block cut short within": (block(pem[28 : cut - 40]), "holds no CA certificate"),
        "a second one that is broken": (pem + block(b"%%%"), "certificate 2 is no base64"),
        "an end that is missing": (pem[:cut], "ends within its certificate 1"),
        "DER": (der, "in DER and not in PEM"),
        "base64 of DER": (base64.b64encode(der), "without the lines that begin and end"),
        "PEM encoded twice": (base64.b64encode(pem), "encoded once more than it has to be"),
        "UTF-16": (authority.encode("utf-16"), "UTF-16"),
        "UTF-16 without a mark": (authority.encode("utf-16-le"), "UTF-16"),
        "a private key alone": (BESIDE["a private key"], "a private key"),
        "a request": (b"-----BEGIN CERTIFICATE REQUEST-----\nMA==\n", "a request for a certificate"),
        "10 MB": (b"#" * 10_000_000, "10,000,000 bytes"),
        "one byte too many": (pem + b"#" * (65_537 - len(pem)), "65,537 bytes"),
    }


@pytest.mark.parametrize("what", wrong_files("-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"))
def test_a_file_that_is_no_authority_is_named_with_what_it_is(what: str, authority: str) -> None:
    file, said = wrong_files(authority)[what]
    read = spec({"token": REF}, tls={"caSecretRef": {"name": "ca"}})
    with pytest.raises(CredentialsError) as raised:
        trust(read, held(cred={"token": "t"}, ca={"ca.crt": file}))
    assert raised.value.detail.startswith("key ca.crt of Secret ns/ca ")
    assert said in raised.value.detail
    if len(file) < 70_000:
        with pytest.raises((SpecError, CredentialsError), match=r"^spec\.tls\.caBundle:? .*write"):
            trust(spec({"token": REF}, tls={"caBundle": base64.b64encode(file).decode()}), {})


@pytest.mark.parametrize("bundle", [7, [], "für", "x" * 99_000, "%", "LS0t\0", "-----BEGIN CERTIFICATE-----"])
def test_a_bundle_that_is_no_base64_of_a_file_is_a_mistake_in_the_spec(bundle: object) -> None:
    with pytest.raises(SpecError, match=r"^spec\.tls\.caBundle: "):
        spec({"token": REF}, tls={"caBundle": bundle})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"\xff\xfet\0", "key token of Secret ns/cred is no text: write the value itself, in UTF-8"),
        (Refused("is no base64"), "key token of Secret ns/cred is no base64"),
        (b"", "Secret ns/cred lacks token for auth.token"),
        (b" \r\n", "Secret ns/cred lacks token for auth.token"),
    ],
)
def test_a_value_that_cannot_be_one_is_named_by_its_key(value: bytes | Refused, said: str) -> None:
    with pytest.raises(CredentialsError) as raised:
        credentials_of(spec({"token": REF}), {"cred": {"token": value}}, "ns", "")
    assert raised.value.detail == said


def test_names_and_keys_are_quoted_up_to_63_characters() -> None:
    long = "k" * 253
    read = spec({"token": {"secretRef": {"name": long}}}, tls={"caSecretRef": {"name": long, "key": long}})
    with pytest.raises(CredentialsError) as raised:
        trust(read, {long: {"token": b"t"}})
    assert raised.value.detail == f"Secret ns/{long[:62]}… lacks {long[:62]}… for tls.caSecretRef"
    assert len(str(unreadable("ns", long, 404))) < 120
