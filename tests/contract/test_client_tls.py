"""Whom the client trusts: the authorities of the connection, and nothing that the environment names."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from evs_operator.cloud.auth.authentication import TokenAuth
from evs_operator.cloud.auth.credentials import Token
from evs_operator.cloud.client import EvsClient
from evs_operator.evs import errors
from support.certificates import make_authority, make_certificate
from support.simulator import PROJECT, TOKEN, SimulatorProcess, run_simulator


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make_authority(directory, "authority")
    make_authority(directory, "stranger")
    make_certificate(directory, "server", "authority", "IP:127.0.0.1")
    make_certificate(directory, "misnamed", "authority", "DNS:evs.example.com")
    return directory


@pytest.fixture(scope="module")
def cloud(certificates: Path) -> Iterator[SimulatorProcess]:
    server = ("--tls-certificate", str(certificates / "server.crt"), "--tls-key", str(certificates / "server.key"))
    with run_simulator(*server) as running:
        yield running


def trust(certificates: Path, name: str = "authority") -> ssl.SSLContext:
    return ssl.create_default_context(cadata=(certificates / f"{name}.crt").read_text())


async def refused(url: str, tls: ssl.SSLContext | None) -> errors.CloudError:
    async with EvsClient(url, TokenAuth(Token(TOKEN)), tls=tls, connect_timeout=2.0) as client:
        with pytest.raises(errors.CloudError) as raised:
            await client.get_job(PROJECT, "0" * 32)
    return raised.value


async def test_the_authority_of_the_connection_is_trusted(cloud: SimulatorProcess, certificates: Path) -> None:
    assert cloud.url.startswith("https://")
    found = await refused(cloud.url, trust(certificates))
    assert type(found) is errors.JobMissing


@pytest.mark.parametrize("name", ["stranger", None])
async def test_another_authority_is_not(cloud: SimulatorProcess, certificates: Path, name: str | None) -> None:
    found = await refused(cloud.url, trust(certificates, name) if name else None)
    assert type(found) is errors.Unreachable
    assert found.message.endswith("is not reachable: its TLS certificate is not trusted")


async def test_the_environment_cannot_add_an_authority(
    cloud: SimulatorProcess, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(certificates / "authority.crt"))
    monkeypatch.setenv("SSL_CERT_DIR", str(certificates))
    assert type(await refused(cloud.url, None)) is errors.Unreachable


async def test_a_certificate_for_another_name_is_not_trusted(certificates: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "misnamed.crt", certificates / "misnamed.key")
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        found = await refused(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", trust(certificates))
    assert type(found) is errors.Unreachable
    assert "certificate is not trusted" in found.message


async def test_a_server_that_speaks_no_tls_is_unreachable() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        found = await refused(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", None)
    assert type(found) is errors.Unreachable
    assert "TLS handshake failed" in found.message


async def test_plain_http_to_a_tls_port_never_gives_a_job(cloud: SimulatorProcess) -> None:
    found = await refused(cloud.url.replace("https://", "http://"), None)
    assert isinstance(found, errors.PassingError | errors.ActionRequired)
    assert not isinstance(found, errors.JobMissing)
