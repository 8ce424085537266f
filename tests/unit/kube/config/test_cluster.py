"""Where the API server is found, and as whom we talk to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest
import yaml

from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.config import cluster as module
from evs_operator.kube.config.cluster import ClusterError, load_cluster
from evs_operator.kube.config.plain_config import TokenFile
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
    told: list[str] = []
    found = await load_cluster(_config(tmp_path / "config", user={"token": "s3cret-token"}), told.append)
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
    told: list[str] = []
    found = await load_cluster(_config(tmp_path / "config", user={"exec": run}), told.append)
    assert await found.headers() == {"Authorization": "Bearer from-plugin"}
    assert told == ["from-plugin"]
    assert len(found.tls().get_ca_certs()) == 1


async def test_a_password_is_basic_authentication_and_is_told_as_the_secret(tmp_path: Path) -> None:
    told: list[str] = []
    found = await load_cluster(
        _config(tmp_path / "config", user={"username": "ann", "password": "pa55word"}), told.append
    )
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
    token = TokenFile(path)
    assert token.read() == "one"
    path.write_text("two")
    assert token.read() == "one"
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    assert token.read() == "two"


@pytest.mark.parametrize("module", ["kubernetes", "rich"])
def test_a_pod_imports_neither_the_official_client_nor_what_the_command_line_of_httpx_needs(module: str) -> None:
    code = f"import sys, evs_operator.runtime.supervisor; sys.exit({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False, timeout=60)
    assert done.returncode == 0
    assert importlib.util.find_spec(module) is not None, "where it is not installed this test says nothing"


AS = {"as": "ann", "as-uid": "u-1", "as-groups": ["g1", "g2"], "as-user-extra": {"Scope/x": ["a", "b"]}}


async def test_as_whom_a_kubeconfig_acts_goes_with_every_request_as_kubectl_sends_it(tmp_path: Path) -> None:
    found = await load_cluster(_config(tmp_path / "config", user={"token": "t0ken", **AS}))
    login = await found.login()
    async with login.aiohttp_session as session:
        for headers in (await found.headers(), session.headers):
            assert headers["Authorization"] == "Bearer t0ken"
            assert headers["Impersonate-User"] == "ann"
            assert headers["Impersonate-Uid"] == "u-1"
            assert headers.getall("Impersonate-Group") == ["g1", "g2"]
            assert headers.getall("Impersonate-Extra-scope%2Fx") == ["a", "b"]


@pytest.mark.parametrize("ending", ["\n", "\r\n", " \n\n"])
async def test_a_token_file_may_end_with_a_line_end_and_is_found_beside_the_kubeconfig(
    tmp_path: Path, ending: str
) -> None:
    (tmp_path / "token").write_text(f"from-file{ending}", newline="")
    found = await load_cluster(_config(tmp_path / "config", user={"tokenFile": "token", "token": "older"}))
    assert await found.headers() == {"Authorization": "Bearer from-file"}


REFUSED = {
    "a proxy by SOCKS": ({"token": "t"}, {"proxy-url": "socks5://127.0.0.1:1080"}, "proxy-url"),
    "a proxy by https": ({"token": "t"}, {"proxy-url": "https://127.0.0.1:3128"}, "proxy-url"),
    "groups of nobody": ({"token": "t", "as-groups": ["g"]}, {}, "as-groups"),
    "as somebody on two lines": ({"token": "t", "as": "a\nX-Evil: 1"}, {}, "Impersonate-User"),
    "as a list": ({"token": "t", "as": ["a"]}, {}, "Impersonate-User"),
    "groups that are no list": ({"token": "t", "as": "a", "as-groups": "g"}, {}, "as-groups"),
    "a token file that is not there": ({"tokenFile": "/nowhere/token"}, {}, "/nowhere/token"),
    "a token on two lines": ({"token": "a\nb"}, {}, "one line"),
    "a provider that kubectl has no more": ({"auth-provider": {"name": "azure"}}, {}, "azure"),
    "no scheme": ({"token": "t"}, {"server": "10.0.0.1:6443"}, "https://"),
    "an authority that is none": ({"token": "t"}, {"certificate-authority-data": "bm9uZQ=="}, "certificate"),
    "an authority that is not there": (
        {"token": "t"},
        {"certificate-authority-data": None, "certificate-authority": "/nowhere/ca.crt"},
        "/nowhere/ca.crt",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_cannot_be_honoured_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    user, cluster, said = REFUSED[what]
    path = _config(tmp_path / "config", user=user, cluster=cluster)
    text = yaml.safe_load(path.read_text())
    entry = text["clusters"][1]["cluster"]
    text["clusters"][1]["cluster"] = {key: value for key, value in entry.items() if value is not None}
    path.write_text(yaml.safe_dump(text))
    with pytest.raises(ClusterError, match=said) as raised:
        await load_cluster(path)
    assert "\n" not in str(raised.value)


async def test_of_several_files_the_first_word_counts_as_with_kubectl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _config(tmp_path / "first", user={"token": "first"})
    second = _config(tmp_path / "second", user={"token": "second"})
    monkeypatch.setenv("KUBECONFIG", f"{first}{os.pathsep}{tmp_path / 'none'}{os.pathsep}{second}")
    assert await (await load_cluster(None)).headers() == {"Authorization": "Bearer first"}


async def _served(
    directory: Path, name: str, answer: Callable[[bytes], bytes], *, common_name: str = "IP:127.0.0.1"
) -> asyncio.Server:
    """Serve HTTPS on this machine with a certificate of an authority of that name."""
    openssl(
        directory, "req", "-x509", *NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}"
    )
    make_certificate(directory, f"server-{name}", name, common_name)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(directory / f"server-{name}.crt", directory / f"server-{name}.key")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await reader.readuntil(b"\r\n\r\n")))
        await writer.drain()
        writer.close()

    return await asyncio.start_server(handle, "127.0.0.1", 0, ssl=ours)


async def _closed(*servers: asyncio.Server) -> None:
    for server in servers:
        server.close()
    await asyncio.sleep(0.3)  # TLS says goodbye after that


def _ok(asked: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def _address(server: asyncio.Server) -> str:
    return f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _trusting(path: Path, server: asyncio.Server, authority: Path, **more: str) -> Path:
    data = base64.b64encode(authority.read_bytes()).decode()
    where = {"server": _address(server), "certificate-authority-data": data, **more}
    return _config(path, user={"token": "t0ken"}, cluster=where)


async def test_an_authority_that_is_exchanged_is_trusted_within_a_minute_by_requests_and_by_kopf(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = await _served(tmp_path, "old", _ok)
    new = await _served(tmp_path, "new", _ok)
    config = _trusting(tmp_path / "config", old, tmp_path / "old.crt")
    now = 0.0
    cluster = await load_cluster(config, now=lambda: now)
    api = KubeApi(cluster)
    assert await api.request("GET", "/api") == {}
    first = await cluster.login()

    _trusting(config, new, tmp_path / "old.crt")  # the address, but not yet the authority
    now += 30.0
    with pytest.raises(KubeError, match="certificate"):
        await api.request("GET", "/api")
    config.write_text("half a fi")
    now += 30.0
    with pytest.raises(KubeError):
        await api.request("GET", "/api")
    assert "cannot be used, keeping the last one" in caplog.text
    _trusting(config, new, tmp_path / "new.crt")
    now += 30.0
    assert await api.request("GET", "/api") == {}
    second = await cluster.login()
    assert first != second, "kopf has to take the new one"
    for login in (first, second):
        await login.aiohttp_session.close()
    async with (await cluster.login()).aiohttp_session as session, session.get(f"{cluster.server}/api") as response:
        assert response.status == 200
    await api.aclose()
    await _closed(old, new)


async def test_the_authority_of_a_pod_is_read_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _mounted(tmp_path)
    server = await _served(tmp_path, "new", _ok)
    monkeypatch.setattr(module, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.sockets[0].getsockname()[1]))
    cluster = await load_cluster(None)
    api = KubeApi(cluster)
    with pytest.raises(KubeError):
        await api.request("GET", "/api")
    (tmp_path / "ca.crt").write_bytes((tmp_path / "new.crt").read_bytes())
    cluster._looked -= 60.0
    assert await api.request("GET", "/api") == {}
    await api.aclose()
    await _closed(server)


async def test_a_certificate_for_another_name_is_judged_by_the_name_that_the_kubeconfig_gives(tmp_path: Path) -> None:
    server = await _served(tmp_path, "ca", _ok, common_name="DNS:kubernetes.internal")
    for name, good in (("kubernetes.internal", True), ("other.internal", False)):
        path = _trusting(tmp_path / name, server, tmp_path / "ca.crt", **{"tls-server-name": name})
        cluster = await load_cluster(path)
        api = KubeApi(cluster)
        login = await cluster.login()
        async with login.aiohttp_session as session:
            if good:
                assert await api.request("GET", "/api") == {}
                async with session.get(f"{cluster.server}/api") as response:
                    assert response.status == 200
            else:
                with pytest.raises(KubeError, match="certificate"):
                    await api.request("GET", "/api")
        await api.aclose()
    await _closed(server)


async def test_a_proxy_of_the_kubeconfig_is_gone_through(tmp_path: Path) -> None:
    server = await _served(tmp_path, "ca", _ok)
    asked: list[bytes] = []

    async def proxied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        host, _, port = asked[-1].split()[1].decode().partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    proxy = await asyncio.start_server(proxied, "127.0.0.1", 0)
    address = f"http://ann:pa55@127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    cluster = await load_cluster(_trusting(tmp_path / "config", server, tmp_path / "ca.crt", **{"proxy-url": address}))
    api = KubeApi(cluster)
    assert await api.request("GET", "/api") == {}
    async with (await cluster.login()).aiohttp_session as session, session.get(f"{cluster.server}/api") as response:
        assert response.status == 200
    await api.aclose()
    assert len(asked) == 2
    assert all(line.startswith(b"CONNECT 127.0.0.1:") for line in asked)
    assert all(b"Proxy-Authorization: Basic" in line for line in asked)
    await _closed(proxy, server)


async def test_a_token_that_is_being_replaced_leaves_the_last_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    token = TokenFile(path)
    assert token.read() == "one"
    for broken in (path.unlink, lambda: path.write_text("")):
        broken()
        now += 61
        assert token.read() == "one"
    path.write_text("two\n")
    now += 61
    assert token.read() == "two"


async def test_a_credential_that_is_refused_is_read_again_at_once_but_not_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _mounted(tmp_path)
    valid = b"new-token"

    def answer(asked: bytes) -> bytes:
        if b"Authorization: Bearer " + valid in asked:
            return _ok(asked)
        return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"

    server = await _served(tmp_path, "new", answer)
    (tmp_path / "ca.crt").write_bytes((tmp_path / "new.crt").read_bytes())
    monkeypatch.setattr(module, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.sockets[0].getsockname()[1]))
    now = 0.0
    cluster = await load_cluster(None, now=lambda: now)
    api = KubeApi(cluster)
    first = await cluster.login()
    (tmp_path / "token").write_text("new-token")
    now += 15.0
    with pytest.raises(KubeError) as raised:
        await api.request("GET", "/api")
    assert raised.value.status == 401
    assert await api.request("GET", "/api") == {}
    second = await cluster.login()
    assert first != second, "kopf may try it"
    valid = b"nobody"
    for _ in range(5):
        with pytest.raises(KubeError):
            await api.request("GET", "/api")
    assert cluster.generation == 2
    for login in (first, second):
        await login.aiohttp_session.close()
    await api.aclose()
    await _closed(server)
