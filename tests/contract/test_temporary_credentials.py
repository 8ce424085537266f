"""Temporary credentials over real HTTP: the machine's metadata and the operator's identity token, at the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evs_operator.cloud.auth.credentials import Credentials, InstanceMetadata, Oidc
from evs_operator.cloud.auth.sign_in import SignIn
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.endpoints import AllowList
from evs_operator.evs import errors
from support.simulator import PROJECT, SimulatorProcess

METADATA = "/openstack/latest/securitykey"
METADATA_TOKEN = "/meta-data/latest/api/token"
ID_TOKEN = "/v3.0/OS-AUTH/id-token/tokens"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJvcGVyYXRvciJ9.c2lnbmF0dXJl"


@pytest.fixture
def cloud(process: SimulatorProcess) -> SimulatorProcess:
    process.set_clock(stopped=False, offset=0)
    process.clear_faults()
    process.reset()
    return process


class Asker:
    """One sign-in and a client of it, on the simulator's clock."""

    def __init__(self, cloud: SimulatorProcess) -> None:
        self.cloud = cloud
        self.ahead = timedelta()
        self.held: list[str] = []
        self.client: EvsClient | None = None
        self.sign_in_: SignIn | None = None

    def sign_in(self, credentials: Credentials) -> None:
        self.sign_in_ = SignIn(credentials, clock=lambda: datetime.now(UTC) + self.ahead, hold=self.held.append)
        self.client = EvsClient(self.cloud.url, self.sign_in_.auth(PROJECT), allow=AllowList([self.cloud.url]))

    def advance(self, **by: float) -> None:
        """Move our clock and the cloud's."""
        self.ahead += timedelta(**by)
        self.cloud.set_clock(offset=self.ahead.total_seconds())

    async def status(self, job: str) -> str:
        assert self.client is not None
        return (await self.client.get_job(PROJECT, job)).status

    async def refused(self) -> errors.CloudError:
        with pytest.raises(errors.CloudError) as raised:
            await self.status("0" * 32)
        return raised.value

    def count(self, path: str) -> int:
        return len(self.cloud.requests(path))


@pytest.fixture
async def asker(cloud: SimulatorProcess) -> AsyncIterator[Asker]:
    asker = Asker(cloud)
    yield asker
    if asker.client is not None:
        await asker.client.aclose()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(JWT + "\n")
    return path


def oidc(cloud: SimulatorProcess, token_file: Path) -> Oidc:
    return Oidc(cloud.url + "/v3", "kubernetes", str(token_file))


async def test_a_machines_key_signs_every_call_and_is_asked_for_once(cloud: SimulatorProcess, asker: Asker) -> None:
    asker.sign_in(InstanceMetadata(cloud.url))
    jobs = [cloud.add_job(begin_in=-60) for _ in range(20)]
    assert await asyncio.gather(*(asker.status(job) for job in jobs)) == ["SUCCESS"] * 20
    assert (asker.count(METADATA_TOKEN), asker.count(METADATA)) == (1, 1)
    sent = {name.lower() for name in cloud.requests("/jobs/")[-1]["headers"]}
    assert {"x-security-token", "x-sdk-date", "authorization"} <= sent


async def test_a_machines_key_is_renewed_before_it_ends(cloud: SimulatorProcess, asker: Asker) -> None:
    asker.sign_in(InstanceMetadata(cloud.url))
    await asker.refused()
    asker.advance(hours=5, minutes=49)
    await asker.refused()
    assert asker.count(METADATA) == 1
    asker.advance(minutes=2)
    assert type(await asker.refused()) is errors.JobMissing
    assert (asker.count(METADATA), asker.count(METADATA_TOKEN)) == (2, 2)


async def test_a_machines_key_that_is_refused_is_replaced_and_the_call_made_again(
    cloud: SimulatorProcess, asker: Asker
) -> None:
    asker.sign_in(InstanceMetadata(cloud.url))
    await asker.refused()
    assert asker.sign_in_ is not None
    key = next(literal for literal in asker.sign_in_.literals() if literal.startswith("HST"))
    cloud.admin("POST", "access_keys", {"access_key": key, "active": False})
    assert type(await asker.refused()) is errors.JobMissing
    assert asker.count(METADATA) == 2


@pytest.mark.parametrize("status", [404, 405, 503])
async def test_a_metadata_service_that_knows_no_tokens_is_asked_without(
    cloud: SimulatorProcess, asker: Asker, status: int
) -> None:
    cloud.add_fault("raw", http_status=status, body="", match={"path": METADATA_TOKEN})
    asker.sign_in(InstanceMetadata(cloud.url))
    assert type(await asker.refused()) is errors.JobMissing
    assert "x-metadata-token" not in {name.lower() for name in cloud.requests(METADATA)[-1]["headers"]}


async def test_a_machine_without_an_agency_says_what_it_lacks_and_is_not_asked_again(
    cloud: SimulatorProcess, asker: Asker
) -> None:
    cloud.admin("PUT", "settings", {"agency": False})
    asker.sign_in(InstanceMetadata(cloud.url))
    for _ in range(3):
        found = await asker.refused()
        assert type(found) is errors.Unauthorized
        assert "agency" in found.advice
        assert "metadata service 127.0.0.1" in found.message
    assert (asker.count(METADATA), asker.count("/jobs/")) == (1, 0)


@pytest.mark.parametrize(
    "body",
    ["", "[]", "<html>", "{}", '{"credential":{}}', '{"credential":{"access":1,"secret":"s","securitytoken":"t"}}'],
)
async def test_metadata_that_is_no_key_is_passing_trouble(cloud: SimulatorProcess, asker: Asker, body: str) -> None:
    cloud.add_fault("raw", http_status=200, body=body, match={"path": METADATA})
    asker.sign_in(InstanceMetadata(cloud.url))
    assert type(await asker.refused()) is errors.InvalidResponse


async def test_the_secrets_of_a_machines_key_are_told_before_they_are_used(
    cloud: SimulatorProcess, asker: Asker
) -> None:
    asker.sign_in(InstanceMetadata(cloud.url))
    await asker.refused()
    assert asker.sign_in_ is not None
    access, *secrets = asker.sign_in_.literals()
    assert access.startswith("HST")
    assert set(secrets) <= set(asker.held)


async def test_an_identity_token_is_exchanged_for_a_token_of_the_project(
    cloud: SimulatorProcess, asker: Asker, token_file: Path
) -> None:
    asker.sign_in(oidc(cloud, token_file))
    jobs = [cloud.add_job(begin_in=-60) for _ in range(20)]
    assert await asyncio.gather(*(asker.status(job) for job in jobs)) == ["SUCCESS"] * 20
    (request,) = cloud.requests(ID_TOKEN)
    sent = {name.lower(): value for name, value in request["headers"].items()}
    assert sent["x-idp-id"] == "kubernetes"
    assert "x-auth-token" not in sent
    assert asker.held[0] == JWT  # a server may echo it
    assert asker.sign_in_ is not None
    assert set(asker.sign_in_.literals()) == set(asker.held), "both may come back for as long as they are in use"


async def test_an_identity_token_is_read_anew_for_each_exchange(
    cloud: SimulatorProcess, asker: Asker, token_file: Path
) -> None:
    asker.sign_in(oidc(cloud, token_file))
    await asker.refused()
    await asyncio.to_thread(token_file.write_text, "not a token any more")
    asker.advance(hours=22, minutes=59)
    assert type(await asker.refused()) is errors.JobMissing
    asker.advance(minutes=2)
    found = await asker.refused()
    assert type(found) is errors.Unauthorized
    assert "--oidc-token-file" in found.advice
    assert "any more" not in found.message
    await asyncio.to_thread(token_file.write_text, JWT)  # Kubernetes has written the next one
    assert type(await asker.refused()) is errors.JobMissing
    assert asker.count(ID_TOKEN) == 2


async def test_a_token_that_was_revoked_is_exchanged_anew(
    cloud: SimulatorProcess, asker: Asker, token_file: Path
) -> None:
    asker.sign_in(oidc(cloud, token_file))
    await asker.refused()
    cloud.admin("POST", "tokens", {"token": asker.held[-1], "revoked": True})
    assert type(await asker.refused()) is errors.JobMissing
    assert asker.count(ID_TOKEN) == 2


async def test_an_identity_provider_that_refuses_is_not_asked_again_for_five_minutes(
    cloud: SimulatorProcess, asker: Asker, token_file: Path
) -> None:
    refusal = {"envelope": "E3", "http_status": 401, "code": "401", "message": "The IdP is not known."}
    cloud.add_fault("envelope", match={"path": ID_TOKEN}, **refusal)
    asker.sign_in(oidc(cloud, token_file))
    for _ in range(3):
        found = await asker.refused()
        assert type(found) is errors.Unauthorized
        assert "identity provider in IAM" in found.advice
    assert asker.count(ID_TOKEN) == 1


@pytest.mark.parametrize("path", ["gone", "directory"])
async def test_a_token_file_that_cannot_be_read_is_named(
    cloud: SimulatorProcess, asker: Asker, tmp_path: Path, path: str
) -> None:
    named = tmp_path / path if path == "gone" else tmp_path
    asker.sign_in(oidc(cloud, named))
    found = await asker.refused()
    assert type(found) is errors.Unauthorized
    assert str(named) in found.message
    assert cloud.requests() == []


@pytest.mark.parametrize("kind", ["oidc", "metadata"])
async def test_neither_is_sent_to_a_host_that_is_not_allowed(
    cloud: SimulatorProcess, token_file: Path, kind: str
) -> None:
    credentials = oidc(cloud, token_file) if kind == "oidc" else InstanceMetadata(cloud.url)
    sign_in = SignIn(credentials, clock=lambda: datetime.now(UTC))
    async with EvsClient("https://evs.eu-de.otc.t-systems.com", sign_in.auth(PROJECT), allow=AllowList()) as client:
        with pytest.raises(errors.EndpointRefused, match=r"127\.0\.0\.1"):
            await client.get_job(PROJECT, "0" * 32)
    assert cloud.requests() == []


async def test_signing_in_alone_proves_a_credential_that_names_no_project(
    cloud: SimulatorProcess, asker: Asker, token_file: Path
) -> None:
    asker.sign_in(oidc(cloud, token_file))
    assert asker.client is not None
    assert asker.sign_in_ is not None
    await asker.client.prove(None, asker.sign_in_.proof())
    assert (asker.count(ID_TOKEN), asker.count("")) == (1, 1)
