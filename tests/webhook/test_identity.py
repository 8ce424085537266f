"""The connections for callers carry no identity of the webhook, and go to an API server that proved who it is."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from evs_operator.kube.config.cluster import load_cluster
from evs_webhook.access import Caller, CallerApi
from evs_webhook.problems import Problem
from support.certificates import make_authority, make_certificate


def _kubeconfig(path: Path, server: str, **cluster: Any) -> Path:
    user = {"client-certificate": str(path / "client.crt"), "client-key": str(path / "client.key"), "as": "admin"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file = path / "kubeconfig"
    file.write_text(json.dumps(config))
    return file


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make_authority(directory, "authority")
    for name in ("server", "client"):
        make_certificate(directory, name, "authority", "IP:127.0.0.1")
    return directory


async def test_a_callers_request_shows_the_callers_token_and_not_our_client_certificate(certificates: Path) -> None:
    """A certificate would be the webhook's signature under whatever a caller asks, also with a wrong token."""
    seen: list[tuple[object, dict[str, str]]] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        seen.append((request.transport.get_extra_info("peercert"), dict(request.headers)))
        if request.path == "/moved":
            raise web.HTTPFound("/stolen")
        return web.json_response({"metadata": {}})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "authority.crt"))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server = f"https://127.0.0.1:{runner.addresses[0][1]}"
    kubeconfig = _kubeconfig(certificates, server, **{"certificate-authority": str(certificates / "authority.crt")})
    cluster = await load_cluster(kubeconfig)
    assert cluster.trusted
    api = CallerApi(cluster)
    try:
        async with cluster.session(connections=1, timeout=aiohttp.ClientTimeout(10)) as ours:
            await ours.get(f"{server}/")  # as ourselves: the control of this test
        await api.request(Caller("theirs"), "GET", "/x")
        with pytest.raises(Problem) as moved:
            await api.request(Caller("theirs"), "GET", "/moved")
    finally:
        await api.aclose()
        await runner.cleanup()
    (our_certificate, _), (certificate, headers), *_ = seen
    assert our_certificate
    assert not certificate
    assert headers["Authorization"] == "Bearer theirs"
    assert not [name for name in headers if name.startswith("Impersonate")]
    assert moved.value.status == 503
    assert len(seen) == 3
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("server", "cluster"), [("http://127.0.0.1:1", {}), ("https://127.0.0.1:1", {"insecure-skip-tls-verify": True})]
)
def test_an_api_server_that_proves_nothing_gets_no_token(
    certificates: Path, tmp_path: Path, server: str, cluster: dict[str, Any]
) -> None:
    for name in ("client.crt", "client.key"):
        (tmp_path / name).write_bytes((certificates / name).read_bytes())
    words = [
        "webhook",
        "--plain-http",
        "--log-format",
        "text",
        "--kubeconfig",
        str(_kubeconfig(tmp_path, server, **cluster)),
    ]
    done = subprocess.run([sys.executable, "-m", "evs_operator", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "the API server must be reached by https, with a certificate that is verified" in done.stderr
    assert "Traceback" not in done.stderr
