"""`check --connection` connects to the address that it judged, for each of its steps."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from evs_operator.check.network import check_way
from evs_operator.check.report import Report
from evs_operator.cloud.endpoints import AllowList
from support.certificates import make_authority, make_certificate

HOST = "evs.corp.example"


async def serve(
    tls: ssl.SSLContext | None, address: str = "127.0.0.1", port: int = 0
) -> tuple[asyncio.Server, list[str]]:
    """Serve on an address of this machine; return what was connected to."""
    reached: list[str] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("sockname")[0])
        writer.close()

    return await asyncio.start_server(take, address, port, ssl=tls), reached


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for DNS, for one host, which gives each of these addresses once, and then the last for ever."""
    addresses = ["127.0.0.1", "127.0.0.2"]
    real = socket.getaddrinfo

    def getaddrinfo(host: str | None, port: int, *rest: int, **more: int) -> list[object]:
        if host == HOST:
            address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]
        return list(real(host, port, *rest, **more))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return addresses


@pytest.mark.parametrize("trusted", [True, False])
async def test_every_step_goes_to_the_address_that_was_judged(
    tmp_path: Path, answers: list[str], capsys: pytest.CaptureFixture[str], trusted: bool
) -> None:
    for authority in ("ours", "theirs"):
        make_authority(tmp_path, authority)
    make_certificate(tmp_path, "server", "ours", f"DNS:{HOST}")
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    tls = ssl.create_default_context(cafile=str(tmp_path / ("ours.crt" if trusted else "theirs.crt")))
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    server, reached = await serve(theirs)
    port = server.sockets[0].getsockname()[1]
    elsewhere, reached_elsewhere = await serve(theirs, "127.0.0.2", port)
    endpoint = f"https://{HOST}:{port}"
    async with server, elsewhere:
        assert await check_way(endpoint, tls, AllowList([endpoint]), Report()) is trusted
        await asyncio.sleep(0.05)
    assert answers == ["127.0.0.2"]
    assert (bool(reached), reached_elsewhere) == (True, [])
    out = capsys.readouterr().out
    assert "127.0.0.1" in out
    if not trusted:
        assert "subject server" in out


async def test_of_several_addresses_the_first_that_takes_a_connection_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server, _ = await serve(None)
    port = server.sockets[0].getsockname()[1]

    def getaddrinfo(host: str, port: int, *rest: int) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    endpoint = f"http://{HOST}:{port}"
    async with server:
        assert await check_way(endpoint, ssl.create_default_context(), AllowList([endpoint]), Report())
    assert "connected" in capsys.readouterr().out
