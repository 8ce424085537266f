"""Whatever a tenant writes into a Secret or a spec, opening it ends in a credential or in words of that connection."""

from __future__ import annotations

import asyncio
import base64
import ssl
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evs_operator.api.connection import parse_connection
from evs_operator.api.spec import SpecError
from evs_operator.connections.credential import secret_contents as secret_contents
from support.connections import ENDPOINT, PROJECT, TOKEN_AUTH, ConnectionsWorld

SECRET = "/api/v1/namespaces/team-a/secrets/evs-credentials"
TRUSTING = {"tls": {"caSecretRef": {"name": "evs-credentials"}}}
LINES = st.sampled_from(
    [b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----", b"MIIB", b"# f\xc3\xbcr", b"\xff\xfe", b"\0", b""]
)
FILES = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(LINES, max_size=12).map(b"\n".join),
    st.lists(LINES, max_size=12).map(b"".join),
    st.binary(max_size=200).map(lambda der: ssl.DER_cert_to_PEM_cert(b"0" + der).encode()),
)
VALUES = st.one_of(
    FILES.map(lambda file: base64.b64encode(file).decode()),
    st.text(max_size=40),
    st.sampled_from([None, 7, True, [], {}, "A" * 100_000]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "endpoint projectId region auth tls rateLimit allowedNamespaces accessKey password token oidc instanceMetadata",
    "secretRef name key caBundle caSecretRef iamEndpoint identityProvider requestsPerSecond burst names selector",
    "matchLabels matchExpressions operator values",
]
NAMES = st.sampled_from(" ".join(FIELDS).split())
SPECS = st.recursive(
    JSON | st.sampled_from([ENDPOINT, PROJECT, "evs", "LS0t", "In"]),
    lambda inner: st.dictionaries(NAMES, inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=20,
)


def opened(data: Any, **spec: Any) -> ConnectionsWorld:
    """Open a connection with that Secret, as the rounds do; what it says is in its connection."""

    async def within() -> ConnectionsWorld:
        world = ConnectionsWorld()
        world.api.objects[SECRET] = {"data": data}
        connection = world.connect(**spec)
        await world.registry.refresh(connection)
        assert (connection.identity is None) == (connection.own_refusal is not None)
        if connection.own_refusal is not None:
            assert "a fault of the operator" not in connection.own_refusal.trouble.message()
            assert connection.authority == b""
            assert connection.tls is None
        return world

    return asyncio.run(within())


@settings(max_examples=150)
@given(data=st.dictionaries(st.sampled_from(["token", "ca.crt", "other"]), VALUES) | JSON)
def test_any_secret_is_a_credential_or_says_what_is_wrong_with_it(data: Any) -> None:
    opened(data)
    opened(data, **TRUSTING)


@settings(max_examples=150)
@given(file=FILES)
def test_any_bundle_is_trusted_or_says_what_is_wrong_with_it(file: bytes) -> None:
    good = base64.b64encode(b"some-token").decode()
    opened({"token": good}, tls={"caBundle": base64.b64encode(file).decode()})


@settings(max_examples=300)
@given(spec=SPECS, cluster=st.booleans())
def test_any_spec_is_read_or_refused_by_its_field(spec: Any, cluster: bool) -> None:
    base = {"endpoint": ENDPOINT, "auth": TOKEN_AUTH}
    for raw in (spec, {**base, **spec} if isinstance(spec, dict) else spec):
        with suppress(SpecError):
            secret_contents.needed_keys(parse_connection(raw, cluster=cluster))


async def test_a_fault_of_ours_in_reading_a_connection_is_its_own_and_heals(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("within: some-token")

    world = ConnectionsWorld()
    world.api.put_secret("team-a", "evs-credentials", token="some-token")
    connection = world.connect()
    with monkeypatch.context() as faulty:
        faulty.setattr(secret_contents, "credentials_of", broken)
        for _ in range(200):
            world.now += 0.5
            await world.registry.refresh(connection)
    assert connection.own_refusal is not None
    said = connection.own_refusal.trouble.message()
    assert said.startswith("EvsConnection team-a/default cannot be read: a fault of the operator (RuntimeError")
    assert "some-token" not in said
    assert 4 <= world.reads() <= 8  # in 100 s: after 2, 4, 8 s and so on
    assert all("EvsConnection team-a/default: cannot be read" in line for line in caplog.messages)
    world.now += 300.0
    assert await world.registry.refresh(connection)
    assert connection.own_refusal is None
    assert connection.credentials is not None
