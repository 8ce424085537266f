"""`check --connection` over real HTTP and TLS: it names the step that fails and what to do, and never a secret."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from evs_operator.api.names import EVS_CONNECTION
from evs_operator.check.connection import check_connection
from evs_operator.check.report import Report
from evs_operator.kube.api import KubeApi
from evs_operator.kube.objects import ObjectKey
from evs_operator.settings import Settings
from evs_simulator.world import (
    DEMO_ACCESS_KEY,
    DEMO_DOMAIN,
    DEMO_PASSWORD,
    DEMO_PROJECT,
    DEMO_SECRET_KEY,
    DEMO_TOKEN,
    DEMO_USER,
)
from support.api_server import InMemoryApiServer
from support.certificates import make_authority, make_certificate
from support.simulator import SimulatorProcess, run_simulator

SECRETS = {
    "token": {"token": DEMO_TOKEN},
    "accessKey": {"accessKey": DEMO_ACCESS_KEY, "secretKey": DEMO_SECRET_KEY},
    "password": {"username": DEMO_USER, "password": DEMO_PASSWORD, "domainName": DEMO_DOMAIN},
}


def api_with(spec: Mapping[str, Any], **secret: str) -> KubeApi:
    """Return an API server that holds one connection, and its Secret if that has values."""
    api = InMemoryApiServer()
    held = {"metadata": {"uid": "7a1f"}, "spec": dict(spec)}
    api.objects[ObjectKey(EVS_CONNECTION, "team-a", "main").path] = held
    if secret:
        api.put_secret("team-a", "evs", **secret)
    return api.kube


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with run_simulator() as running:
        yield running


@pytest.fixture
def cloud(simulator: SimulatorProcess) -> SimulatorProcess:
    simulator.reset()
    simulator.set_clock(offset=0)
    return simulator


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make_authority(directory, "authority")
    make_authority(directory, "stranger")
    make_certificate(directory, "server", "authority", "IP:127.0.0.1")
    make_certificate(directory, "misnamed", "authority", "DNS:evs.example.com")
    make_certificate(directory, "expired", "authority", "IP:127.0.0.1", days=-1)
    return directory


async def look(
    capsys: pytest.CaptureFixture[str],
    url: str,
    kind: str = "token",
    secret: Mapping[str, str] | None = None,
    allow: tuple[str, ...] | None = None,
    **spec: Any,
) -> tuple[int, str]:
    """Check a connection; return exit code and what was printed, which holds no secret."""
    given = SECRETS[kind] if secret is None else secret
    auth = {"secretRef": {"name": "evs"}, **({"iamEndpoint": url} if kind == "password" else {})}
    body = {"endpoint": url, "projectId": DEMO_PROJECT, "auth": {kind: auth}, **spec}
    settings = Settings(allow_endpoints=(url,) if allow is None else allow)
    report = Report()
    api = api_with({key: value for key, value in body.items() if value is not None}, **given)
    await check_connection(api, settings, ("team-a", "main"), report)
    out = capsys.readouterr().out
    for key, value in given.items():
        assert key in ("username", "domainName") or not value.strip() or value not in out
    return report.exit_code, out


@pytest.mark.parametrize("kind", SECRETS)
async def test_a_connection_that_works_is_ok_at_every_step_and_costs_one_call(
    kind: str, cloud: SimulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = await look(capsys, cloud.url, kind)
    assert code == 0, out
    assert all(line.startswith("ok  ") for line in out.splitlines())
    for step in (
        "EvsConnection team-a/main",
        "spec",
        "endpoint",
        "Secret",
        "DNS",
        "TCP",
        "clock",
        "credential",
        "query",
    ):
        assert f"ok    {step}" in out
    assert len(cloud.requests("/jobs/")) == 1


WRONG = {
    "an unknown access key": (
        "accessKey",
        {"accessKey": "AKNOBODY0000000000", "secretKey": "x" * 40},
        "correct accessKey",
    ),
    "a wrong secret key": ("accessKey", {"accessKey": DEMO_ACCESS_KEY, "secretKey": "y" * 40}, "correct secretKey"),
    "a token that nobody issued": ("token", {"token": "a-token-of-nobody"}, "complete, of this cloud"),
    "a wrong password": ("password", {**SECRETS["password"], "password": "not-the-password"}, "password or domainName"),
    "a Secret with a key missing": ("accessKey", {"accessKey": DEMO_ACCESS_KEY}, "lacks secretKey"),
    "a Secret with nothing in it": ("token", {"token": " "}, "lacks token"),
}


@pytest.mark.parametrize(("kind", "secret", "said"), WRONG.values(), ids=WRONG)
async def test_a_wrong_credential_is_named_with_what_to_do_and_is_tried_once(
    kind: str, secret: dict[str, str], said: str, cloud: SimulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = await look(capsys, cloud.url, kind, secret)
    assert code == 1
    assert said in out.splitlines()[-1]
    assert out.splitlines()[-1].startswith("FAIL  ")
    assert len(cloud.requests("/jobs/")) + len(cloud.requests("/auth/tokens")) <= 1


async def test_an_expired_token_a_locked_key_and_a_locked_user_are_told_apart(
    cloud: SimulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.admin("POST", "tokens", {"token": "an-old-token", "project_id": DEMO_PROJECT, "expires_in": -60})
    assert "the token has expired" in (await look(capsys, cloud.url, "token", {"token": "an-old-token"}))[1]
    cloud.admin("POST", "access_keys", {"access_key": DEMO_ACCESS_KEY, "locked_for": 300})
    assert "wait 5 minutes" in (await look(capsys, cloud.url, "accessKey"))[1]
    cloud.admin("POST", "users", {"name": DEMO_USER, "domain": DEMO_DOMAIN, "locked": True})
    assert "the user is locked" in (await look(capsys, cloud.url, "password"))[1].lower()


async def test_another_project_is_told_from_a_wrong_credential(
    cloud: SimulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.admin("POST", "projects", {"project_id": "b" * 32, "name": "other", "domain": DEMO_DOMAIN})
    code, out = await look(capsys, cloud.url, projectId="b" * 32)
    assert code == 1
    assert "ok    credential" in out
    assert "FAIL  project bbbb" in out
    code, out = await look(capsys, cloud.url, projectId=None)
    assert "--project" in out.splitlines()[-1]


FAULTS = {
    "403": ({"kind": "envelope", "envelope": "E1", "http_status": 403, "code": "EVS.5403", "message": "no"}, "grant"),
    "429": ({"kind": "throttled", "retry_after": "7"}, "throttled"),
    "503": ({"kind": "envelope", "envelope": "E1", "http_status": 503, "code": "EVS.5503", "message": "x"}, "later"),
    "a redirect": ({"kind": "redirect", "location": "https://sso.example.com/?token=abc"}, "correct spec.endpoint"),
    "a page of a proxy": ({"kind": "html"}, "proxy"),
}


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS)
async def test_an_answer_that_is_no_job_is_named_with_what_to_do(
    fault: dict[str, Any], said: str, cloud: SimulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.add_fault(fault.pop("kind"), match={"path": "/jobs/"}, **fault)
    code, out = await look(capsys, cloud.url)
    assert code == 1
    assert said in out.splitlines()[-1]


async def test_an_echoed_credential_is_not_printed(cloud: SimulatorProcess, capsys: pytest.CaptureFixture[str]) -> None:
    said = f"refused {base64.b64encode(DEMO_TOKEN.encode()).decode()} and {DEMO_TOKEN}\x1b[2J\nok    credential"
    cloud.add_fault("envelope", envelope="E2", http_status=401, code="APIGW.0301", message=said)
    code, out = await look(capsys, cloud.url)
    assert code == 1
    assert base64.b64encode(DEMO_TOKEN.encode()).decode().rstrip("=") not in out
    assert "\x1b" not in out
    assert not any(line.startswith("ok    credential") for line in out.splitlines())


async def test_a_clock_that_is_off_is_told_in_seconds(
    cloud: SimulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.set_clock(offset=1200)
    code, out = await look(capsys, cloud.url, "accessKey")
    assert code == 0, out
    assert any(f"this machine is {seconds} s behind it" in out for seconds in range(1195, 1206)), out


async def test_tls_faults_name_the_certificate_and_its_issuer(
    certificates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def bundle(name: str) -> dict[str, str]:
        return {"caBundle": base64.b64encode((certificates / f"{name}.crt").read_bytes()).decode()}

    async def with_certificate(name: str, trusted: str | None) -> tuple[int, str]:
        flags = ("--tls-certificate", str(certificates / f"{name}.crt"), "--tls-key", str(certificates / f"{name}.key"))
        with run_simulator(*flags) as running:
            return await look(capsys, running.url, tls=bundle(trusted) if trusted else None)

    code, out = await with_certificate("server", "authority")
    assert code == 0, out
    assert "ok    TLS 127.0.0.1: TLSv1.3, subject server for 127.0.0.1, issuer authority" in out
    for trusted in ("stranger", None):
        code, out = await with_certificate("server", trusted)
        assert code == 1
        assert "not trusted (subject server for 127.0.0.1, issuer authority" in out.splitlines()[-1]
        assert "caBundle" in out.splitlines()[-1]
    code, out = await with_certificate("misnamed", "authority")
    assert "for another host (subject misnamed for evs.example.com, issuer authority)" in out.splitlines()[-1]
    code, out = await with_certificate("expired", "authority")
    assert re.search(r"the certificate expired on .* GMT \(subject expired", out.splitlines()[-1])


async def test_what_run_does_not_take_for_an_authority_check_refuses_too(
    certificates: Path, cloud: SimulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    leaf = (certificates / "server.crt").read_text()
    for pem in (leaf, "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"):
        held, bundle = {**SECRETS["token"], "ca.crt": pem}, base64.b64encode(pem.encode()).decode()
        for tls, where in (
            ({"caBundle": bundle}, "spec.tls.caBundle"),
            ({"caSecretRef": {"name": "evs"}}, "key ca.crt of Secret team-a/evs"),
        ):
            code, out = await look(capsys, cloud.url, secret=held, tls=tls)
            assert code == 1
            assert out.splitlines()[-1].startswith(f"FAIL  spec.tls: {where} holds no CA certificate that can be read")
    assert not cloud.requests("/jobs/")


async def test_an_authority_that_is_missing_is_named_by_its_key(
    cloud: SimulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = await look(capsys, cloud.url, tls={"caSecretRef": {"name": "evs"}})
    assert code == 1
    assert "FAIL  spec.tls: Secret team-a/evs lacks ca.crt for tls.caSecretRef" in out


async def test_what_is_wrong_on_the_way_is_found_before_the_credential_is_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        assert "refused" in (await look(capsys, f"http://127.0.0.1:{port}"))[1].splitlines()[-1]
    code, out = await look(capsys, "https://no-such-name.invalid")
    assert "FAIL  DNS no-such-name.invalid: the name is not known" in out
    code, out = await look(capsys, "https://evs.attacker.example.com", allow=())
    assert code == 1
    assert "FAIL  endpoint" in out
    assert "--allow-endpoint" in out
    assert "Secret" not in out


async def test_a_port_that_speaks_no_tls_is_told_from_a_certificate(capsys: pytest.CaptureFixture[str]) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        code, out = await look(capsys, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert code == 1
    assert "no handshake" in out.splitlines()[-1]


async def test_a_secret_that_is_missing_and_a_spec_that_is_wrong_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    spec = {"endpoint": "https://evs.eu-de.otc.t-systems.com", "auth": {"token": {"secretRef": {"name": "gone"}}}}
    await check_connection(api_with(spec), Settings(), ("team-a", "main"), report)
    assert "FAIL  Secret team-a/gone: does not exist: create it" in capsys.readouterr().out
    await check_connection(api_with({"endpoint": 1}), Settings(), ("team-a", "main"), report)
    assert "FAIL  spec: spec.endpoint" in capsys.readouterr().out
    await check_connection(api_with({}), Settings(), ("", "gone"), report)
    assert "FAIL  ClusterEvsConnection gone: does not exist" in capsys.readouterr().out
