"""The steps that open a connection: in what order they go, where they stop, and what a status and `check` say then."""

from __future__ import annotations

from typing import Any

import pytest

from evs_operator.api.connection import ConnectionSpec, parse_connection
from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.cloud.endpoints import AllowList
from evs_operator.connections.credential.secret_contents import CredentialsError
from evs_operator.connections.opening import OpeningSteps, PlatformAuth
from evs_operator.kube.api import KubeError
from evs_operator.kube.secret import Secret

ENDPOINT, IAM = "https://evs.eu-de.otc.t-systems.com", "https://iam.eu-de.otc.t-systems.com"
REF = {"secretRef": {"name": "cred"}}
TOKEN = {"token": REF}
OIDC = {"oidc": {"iamEndpoint": IAM, "identityProvider": "kubernetes"}}
SECRET = "Secret ns/cred"


def spec(auth: dict[str, Any], **more: Any) -> ConnectionSpec:
    return parse_connection({"endpoint": ENDPOINT, "auth": auth, **more}, cluster=True)


class Walk:
    """One walk of the steps; Secrets that cannot be read are the status of the API server."""

    def __init__(self, secrets: dict[str, Secret | int], *kinds: str) -> None:
        self.secrets = secrets
        self.read: list[str] = []
        self.passed: list[str] = []
        self.steps = OpeningSteps(
            AllowList(), PlatformAuth(frozenset(kinds), "/token"), self._read, lambda step, _: self.passed.append(step)
        )

    async def _read(self, namespace: str, name: str, keys: tuple[str, ...]) -> Secret:
        self.read.append(name)
        found = self.secrets.get(name, 404)
        if isinstance(found, int):
            raise KubeError(found, f"HTTP {found}")
        return {key: found[key] for key in keys if key in found}


PASSED: list[tuple[dict[str, Any], list[str]]] = [
    (TOKEN, ["endpoint", SECRET]),
    ({"accessKey": REF}, ["endpoint", SECRET]),
    ({"password": {**REF, "iamEndpoint": IAM}}, ["endpoint", "IAM endpoint", SECRET]),
    (OIDC, ["endpoint", "IAM endpoint", "auth.oidc"]),
]


@pytest.mark.parametrize(("auth", "steps"), PASSED, ids=lambda value: str(next(iter(value))))
async def test_each_step_that_is_in_order_is_named_in_turn(auth: dict[str, Any], steps: list[str]) -> None:
    held = {"token": b"t", "accessKey": b"a", "secretKey": b"s", "username": b"u", "password": b"p", "domainName": b"d"}
    walk = Walk({"cred": held}, "oidc")
    opened = await walk.steps.open(spec(auth), "ns")
    assert walk.steps.trust(opened, spec(auth), "ns") is None
    assert walk.passed == steps


TRUSTING = {"tls": {"caSecretRef": {"name": "ca"}}}
FAILED: dict[str, tuple[ConnectionSpec, dict[str, Secret | int], str, str, str, Reason, ConnectionReason]] = {
    "an endpoint that is not allowed": (
        parse_connection({"endpoint": "https://evs.attacker.example.com", "auth": TOKEN}, cluster=True),
        {},
        "endpoint",
        "have whoever runs the operator name it with --allow-endpoint",
        "(give `check` the flags of `run`)",
        Reason.ENDPOINT_NOT_ALLOWED,
        ConnectionReason.ENDPOINT_NOT_ALLOWED,
    ),
    "a way to sign in that is not allowed": (
        spec({"instanceMetadata": {"endpoint": IAM}}),
        {},
        "auth.instanceMetadata",
        "auth.instanceMetadata signs in as the operator itself: allow it with --allow-auth instanceMetadata",
        "which is not allowed: give `run` and `check` --allow-auth instanceMetadata",
        Reason.CONNECTION_NOT_ALLOWED,
        ConnectionReason.AUTH_NOT_ALLOWED,
    ),
    "a Secret that is not there": (
        spec(TOKEN),
        {},
        SECRET,
        f"{SECRET} does not exist: create it",
        "does not exist: create it",
        Reason.CREDENTIALS_INVALID,
        ConnectionReason.SECRET_NOT_FOUND,
    ),
    "a Secret that may not be read": (
        spec(TOKEN),
        {"cred": 403},
        SECRET,
        f"the operator may not read {SECRET}: grant it `get` on Secrets there",
        "may not be read: grant `get` on Secrets there",
        Reason.CREDENTIALS_INVALID,
        ConnectionReason.SECRET_NOT_FOUND,
    ),
    "a Secret that lacks a key": (
        spec(TOKEN),
        {"cred": {}},
        SECRET,
        f"{SECRET} lacks token for auth.token",
        "lacks token for auth.token: add it",
        Reason.CREDENTIALS_INVALID,
        ConnectionReason.SECRET_KEY_MISSING,
    ),
    "a value that is no text": (
        spec(TOKEN),
        {"cred": {"token": b"\xff"}},
        SECRET,
        f"key token of {SECRET} is no text",
        f"key token of {SECRET} is no text",
        Reason.CREDENTIALS_INVALID,
        ConnectionReason.SECRET_KEY_MISSING,
    ),
    "an authority that is missing": (
        spec(TOKEN, **TRUSTING),
        {"cred": {"token": b"t"}, "ca": {}},
        "spec.tls",
        "Secret ns/ca lacks ca.crt for tls.caSecretRef",
        "Secret ns/ca lacks ca.crt for tls.caSecretRef",
        Reason.CREDENTIALS_INVALID,
        ConnectionReason.SECRET_KEY_MISSING,
    ),
    "an authority that is none": (
        spec(TOKEN, **TRUSTING),
        {"cred": {"token": b"t"}, "ca": {"ca.crt": b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"}},
        "spec.tls",
        "key ca.crt of Secret ns/ca holds no CA certificate",
        "key ca.crt of Secret ns/ca holds no CA certificate",
        Reason.CREDENTIALS_INVALID,
        ConnectionReason.SECRET_KEY_MISSING,
    ),
}


@pytest.mark.parametrize(("read", "secrets", "step", "detail", "brief", "reason", "own"), FAILED.values(), ids=FAILED)
async def test_the_first_step_that_fails_is_named_to_a_status_and_to_check(
    read: ConnectionSpec,
    secrets: dict[str, Secret | int],
    step: str,
    detail: str,
    brief: str,
    reason: Reason,
    own: ConnectionReason,
) -> None:
    walk = Walk(secrets)
    with pytest.raises(CredentialsError) as raised:
        walk.steps.trust(await walk.steps.open(read, "ns"), read, "ns")
    error = raised.value
    assert (error.step, error.reason) == (step, own)
    assert detail in error.detail
    assert brief in error.brief
    assert error.trouble("EvsConnection ns/main").reason is reason
    assert step not in walk.passed
    if own in (ConnectionReason.ENDPOINT_NOT_ALLOWED, ConnectionReason.AUTH_NOT_ALLOWED):
        assert not walk.read  # no Secret is read for what is not allowed


async def test_trouble_of_the_api_server_is_no_fault_of_the_connection() -> None:
    with pytest.raises(KubeError):
        await Walk({"cred": 500}).steps.open(spec(TOKEN), "ns")
