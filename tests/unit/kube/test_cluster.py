"""Where the API server is found, and as whom we talk to it."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import certifi
import pytest
import yaml

from evs_operator.kube import cluster as module
from evs_operator.kube.cluster import ClusterError, load_cluster
from evs_operator.kube.plain_config import ServiceAccountToken
from support.certificates import NEW_KEY, judge_as_python_3_13, make_certificate, openssl

PEM = Path(certifi.where()).read_text(encoding="ascii").partition("-----END CERTIFICATE-----")[0] + (
    "-----END CERTIFICATE-----\n"
)
PEM = PEM[PEM.index("-----BEGIN") :]
CA = base64.b64encode(PEM.encode()).decode()


def _config(path: Path, *, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> Path:
    inner = {"server": "https://10.0.0.1:6443", "certificate-authority-data": CA, **(cluster or {})}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "other", "cluster": {}}, {"name": "c", "cluster": inner}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(autouse=True)
def _outside_of_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


async def test_a_kubeconfig_with_a_token_gives_server_trust_and_header_and_tells_the_secret(tmp_path: Path) -> None:
    found = await load_cluster(_config(tmp_path / "config", user={"token": "s3cret-token"}))
    told: list[str] = []
    found.on_secret = told.append
    assert found.server == "https://10.0.0.1:6443"
    assert await found.headers() == {"Authorization": "Bearer s3cret-token"}
    assert await found.headers() == {"Authorization": "Bearer s3cret-token"}
    assert told == ["s3cret-token"]
    assert len(found.tls().get_ca_certs()) == 1
    login = await found.login()
    async with login.aiohttp_session as session:
        assert login.server == "https://10.0.0.1:6443"
        assert session.headers["Authorization"] == "Bearer s3cret-token"
        assert "s3cret" not in repr(login)


async def test_kopf_is_given_a_session_that_trusts_certificates_as_clusters_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_as_python_3_13(monkeypatch)
    openssl(tmp_path, "req", "-x509", *NEW_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=kubernetes")
    make_certificate(tmp_path, "server", "ca", "IP:127.0.0.1")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    asked: list[str] = []
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=ours) as server:
        address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        authority = base64.b64encode((tmp_path / "ca.crt").read_bytes()).decode()
        where = {"server": address, "certificate-authority-data": authority}
        found = await load_cluster(_config(tmp_path / "config", user={"token": "s3cret-token"}, cluster=where))
        login = await found.login()
        async with login.aiohttp_session as session, session.get(f"{address}/api") as response:
            assert await response.json(content_type=None) == {}
    assert "Authorization: Bearer s3cret-token" in asked[0]


async def test_a_kubeconfig_of_another_form_says_the_same_through_the_official_client(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text(PEM)
    plugin = tmp_path / "plugin.py"
    answer = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-plugin"}}'
    plugin.write_text(f"print({answer!r})")
    run = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(plugin)],
        "interactiveMode": "Never",
    }
    found = await load_cluster(_config(tmp_path / "config", user={"exec": run}))
    told: list[str] = []
    found.on_secret = told.append
    assert await found.headers() == {"Authorization": "Bearer from-plugin"}
    assert told == ["from-plugin"]
    assert len(found.tls().get_ca_certs()) == 1


async def test_a_password_is_basic_authentication_and_is_told_as_the_secret(tmp_path: Path) -> None:
    found = await load_cluster(_config(tmp_path / "config", user={"username": "ann", "password": "pa55word"}))
    told: list[str] = []
    found.on_secret = told.append
    assert await found.headers() == {"Authorization": "Basic " + base64.b64encode(b"ann:pa55word").decode()}
    assert told == ["pa55word"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "config"),
        ("current-context: x\n", "config"),
        ("{[", "config"),
        ("clusters: 5\ncurrent-context: x", "config"),
    ],
)
async def test_a_kubeconfig_that_says_nothing_is_a_one_line_error_that_names_the_file(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClusterError) as raised:
        await load_cluster(path)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_kubeconfig_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no such file"):
        await load_cluster(tmp_path / "none")


def _mounted(directory: Path) -> None:
    (directory / "token").write_text("pod-token\n")
    (directory / "ca.crt").write_text(PEM)


@pytest.mark.parametrize(
    ("host", "server"), [("10.0.0.1", "https://10.0.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")]
)
async def test_in_a_pod_the_mounted_service_account_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, server: str
) -> None:
    _mounted(tmp_path)
    monkeypatch.setattr(module, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    found = await load_cluster(None)
    assert found.server == server
    assert await found.headers() == {"Authorization": "Bearer pod-token"}
    assert len(found.tls().get_ca_certs()) == 1


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
async def test_a_pod_without_a_service_account_says_which_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    _mounted(tmp_path)
    (tmp_path / missing).unlink()
    monkeypatch.setattr(module, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(ClusterError, match=missing):
        await load_cluster(None)


def test_a_token_that_kubernetes_replaced_is_read_again_within_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    token = ServiceAccountToken(path)
    assert token.read() == "one"
    path.write_text("two")
    assert token.read() == "one"
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    assert token.read() == "two"


@pytest.mark.parametrize("module", ["kubernetes", "rich"])
def test_a_pod_imports_neither_the_official_client_nor_what_the_command_line_of_httpx_needs(module: str) -> None:
    code = f"import sys, evs_operator.engine.supervisor; sys.exit({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False, timeout=60)
    assert done.returncode == 0
    assert importlib.util.find_spec(module) is not None, "where it is not installed this test says nothing"
