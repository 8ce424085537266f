"""The proxy that makes faults: what it is told to break breaks, and nothing else does."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientPayloadError, ClientResponse, ClientSession, ClientTimeout

from controlplane import ControlPlane, Fault, FaultProxy
from controlplane.faults import verb_of


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy.start(control_plane) as proxy:
        yield proxy


@pytest.fixture
def through(control_plane: ControlPlane, proxy: FaultProxy) -> Path:
    return proxy.kubeconfig(control_plane.admin_kubeconfig)


@asynccontextmanager
async def _client(plane: ControlPlane, proxy: FaultProxy) -> AsyncIterator[ClientSession]:
    token = json.loads(plane.admin_kubeconfig.read_text())["users"][0]["user"]["token"]
    headers = {"Authorization": f"Bearer {token}"}
    timeout = ClientTimeout(total=None, sock_read=20)
    async with ClientSession(proxy.server, headers=headers, timeout=timeout) as session:
        yield session


@asynccontextmanager
async def _watch(plane: ControlPlane, proxy: FaultProxy, namespace: str) -> AsyncIterator[ClientResponse]:
    """Watch the configmaps of a namespace through the proxy; it is open on entry."""
    trust = ssl.create_default_context(cafile=plane.ca_file)
    path = f"/api/v1/namespaces/{namespace}/configmaps?watch=true"
    async with _client(plane, proxy) as session, session.get(path, ssl=trust) as response:
        assert response.status == 200
        yield response
        if response.connection is not None and response.connection.transport is not None:
            response.connection.transport.abort()  # closed in good order it would outlast the event loop


async def _event(response: ClientResponse) -> dict[str, Any]:
    line = await asyncio.wait_for(response.content.readline(), 20)
    event: dict[str, Any] = json.loads(line)
    return event


def test_without_faults_requests_and_answers_pass_through_and_are_noted(
    control_plane: ControlPlane, proxy: FaultProxy, through: Path, namespace: str
) -> None:
    control_plane.kubectl("create", "configmap", "a", "--from-literal=k=v", "-n", namespace, kubeconfig=through)
    shown = control_plane.kubectl("get", "configmap", "a", "-n", namespace, "-o", "json", kubeconfig=through)
    assert json.loads(shown.stdout)["data"] == {"k": "v"}
    noted = [(seen.verb, seen.status) for seen in proxy.journal if f"/{namespace}/configmaps" in seen.path]
    assert noted == [("create", 201), ("get", 200)]
    assert all(seen.user_agent.startswith("kubectl") for seen in proxy.journal)


@pytest.mark.parametrize(
    ("status", "reason"), [(410, "Expired"), (429, "TooManyRequests"), (503, "ServiceUnavailable")]
)
def test_a_status_hits_its_verb_and_path_as_often_as_said(
    control_plane: ControlPlane, proxy: FaultProxy, through: Path, namespace: str, status: int, reason: str
) -> None:
    proxy.fail(Fault(verb="list", path=f"/{namespace}/configmaps", status=status, times=1))
    get = ["get", "-n", namespace, "--output=name"]
    assert control_plane.kubectl(*get, "secrets", kubeconfig=through).returncode == 0
    failed = control_plane.kubectl(*get, "configmaps", kubeconfig=through, check=False)
    assert f"made by the test ({status})" in failed.stderr
    assert control_plane.kubectl(*get, "configmaps", kubeconfig=through).returncode == 0


def test_a_late_answer_is_late_and_right(control_plane: ControlPlane, proxy: FaultProxy, through: Path) -> None:
    proxy.fail(Fault(path="/version", delay=0.7))
    started = time.monotonic()
    shown = control_plane.kubectl("get", "--raw", "/version", kubeconfig=through)
    assert time.monotonic() - started >= 0.7
    assert json.loads(shown.stdout)["major"] == "1"


def test_a_request_that_hangs_ends_by_the_clients_patience(
    control_plane: ControlPlane, proxy: FaultProxy, through: Path
) -> None:
    proxy.fail(Fault(path="/version", hang=True))
    asked = control_plane.kubectl("get", "--raw", "/version", "--request-timeout=1s", kubeconfig=through, check=False)
    assert asked.returncode != 0
    proxy.heal()
    control_plane.kubectl("get", "--raw", "/version", kubeconfig=through)


def test_a_dropped_request_gets_no_answer_at_all(control_plane: ControlPlane, proxy: FaultProxy, through: Path) -> None:
    proxy.fail(Fault(verb="create", drop=True))
    made = control_plane.kubectl("create", "namespace", "never", kubeconfig=through, check=False)
    assert made.returncode != 0
    assert control_plane.kubectl("get", "namespace", "never", check=False).returncode != 0
    assert ("create", None) in [(seen.verb, seen.status) for seen in proxy.journal]


async def test_a_watch_is_passed_on_event_by_event_until_it_is_cut(
    control_plane: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with _watch(control_plane, proxy, namespace) as response:
        control_plane.kubectl("create", "configmap", "a", "-n", namespace)
        event = await _event(response)
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
        assert proxy.watches("/configmaps") == 1
        assert proxy.cut_watches("/secrets") == 0
        assert proxy.cut_watches("/configmaps") == 1
        with pytest.raises((ClientError, ConnectionError)):
            await asyncio.wait_for(response.content.readline(), 20)


async def test_a_mute_watch_stays_open_and_says_nothing(
    control_plane: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with _watch(control_plane, proxy, namespace) as response:
        proxy.wait_for(lambda journal: any(seen.verb == "watch" for seen in journal))
        assert proxy.mute_watches() == 1
        control_plane.kubectl("create", "configmap", "a", "-n", namespace)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.content.readline(), 1.0)
        assert proxy.watches() == 1


async def test_an_expired_watch_says_410_and_ends_in_good_order(
    control_plane: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with _watch(control_plane, proxy, namespace) as response:
        assert proxy.expire_watches() == 1
        event = await _event(response)
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await asyncio.wait_for(response.content.readline(), 20) == b""


async def test_a_watch_ends_when_the_proxy_does(control_plane: ControlPlane, proxy: FaultProxy, namespace: str) -> None:
    async with _watch(control_plane, proxy, namespace) as response:
        await asyncio.to_thread(proxy.stop)
        with pytest.raises((ClientPayloadError, ConnectionError)):
            await asyncio.wait_for(response.content.readline(), 20)


@pytest.mark.parametrize(
    ("method", "path", "watch", "verb"),
    [
        ("GET", "/apis/evs-operator.dev/v1alpha1/evsjobs", False, "list"),
        ("GET", "/apis/evs-operator.dev/v1alpha1/evsjobs", True, "watch"),
        ("GET", "/apis/evs-operator.dev/v1alpha1/namespaces/n/evsjobs", False, "list"),
        ("GET", "/apis/evs-operator.dev/v1alpha1/namespaces/n/evsjobs/j", False, "get"),
        ("PATCH", "/apis/evs-operator.dev/v1alpha1/namespaces/n/evsjobs/j/status", False, "patch"),
        ("GET", "/api/v1/namespaces", False, "list"),
        ("GET", "/api/v1/namespaces/n", False, "get"),
        ("DELETE", "/api/v1/namespaces/n/secrets", False, "deletecollection"),
        ("DELETE", "/api/v1/namespaces/n/secrets/s", False, "delete"),
        ("POST", "/api/v1/namespaces/n/secrets", False, "create"),
        ("PUT", "/api/v1/namespaces/n/secrets/s", False, "update"),
        ("GET", "/version", False, "get"),
    ],
)
def test_a_request_has_the_verb_that_rbac_would_give_it(method: str, path: str, watch: bool, verb: str) -> None:
    assert verb_of(method, path, watch=watch) == verb
