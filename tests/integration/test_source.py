"""kopf's streams as we use them, against the real API server and through the faults that a network makes.

These are the contract with the names of kopf that are not public: what they must do for us is here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from controlplane import ControlPlane, Fault, FaultProxy
from evs_operator.api.names import EVS_CONNECTION, EVS_JOB
from evs_operator.kube.api import KubeApi
from evs_operator.kube.config.cluster import Login, load_cluster
from evs_operator.kube.watch import source
from evs_operator.kube.watch.pulse import Pulse
from evs_operator.kube.watch.stream import USUAL, Pace

_JOBS = "/evsjobs"
Event = tuple[str, str | None, str]


@pytest.fixture
def proxy(crds: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy.start(crds) as proxy:
        yield proxy


class Seen:
    """What came out of the source: kind, event type and name of each event, and how often all was listed."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.lists = 0
        self.failures = 0
        self.task: asyncio.Task[None] | None = None

    def take(self, kind: str, event_type: str | None, body: Mapping[str, object]) -> None:
        name = str(cast(Mapping[str, Any], body["metadata"])["name"])
        if name == "poison":
            raise ValueError("not understood")
        self.events.append((kind, event_type, name))

    def listed(self) -> None:
        self.lists += 1

    def failed(self) -> None:
        self.failures += 1

    async def until(self, condition: Callable[[], bool], timeout: float = 40) -> None:
        async with asyncio.timeout(timeout):
            while not condition():  # noqa: ASYNC110  # conditions of the proxy's thread too
                await asyncio.sleep(0.02)

    async def until_event(self, *event: object) -> None:
        await self.until(lambda: event in self.events)


@asynccontextmanager
async def _watching(
    plane: ControlPlane, proxy: FaultProxy, namespace: str, *kinds: str, pace: Pace = USUAL
) -> AsyncIterator[Seen]:
    seen = Seen()
    cluster = await load_cluster(await asyncio.to_thread(proxy.kubeconfig, plane.admin_kubeconfig))
    api = KubeApi(cluster)
    parts = (seen.take, seen.listed, seen.failed, Pulse(time.monotonic))
    seen.task = asyncio.create_task(
        source.watch(cluster, api, kinds or (EVS_JOB,), [namespace], *parts, pace), name="source"
    )
    try:
        yield seen
    finally:
        seen.task.cancel()
        await asyncio.wait({seen.task}, timeout=10)
        await api.aclose()
        left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("watch ")]
        assert seen.task.done()
        assert not left
        await asyncio.sleep(0.25)  # TLS connections end a moment after they are closed (aiohttp's documentation)


async def _apply(plane: ControlPlane, namespace: str, name: str, **spec: object) -> None:
    body = {
        "apiVersion": "evs-operator.dev/v1alpha1",
        "kind": "EvsJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"jobId": "0123456789abcdef", **spec},
    }
    await asyncio.to_thread(plane.kubectl, "apply", "-f", "-", input=json.dumps(body))


async def _delete(plane: ControlPlane, namespace: str, name: str) -> None:
    await asyncio.to_thread(plane.kubectl, "delete", "evsjob", name, "-n", namespace)


async def test_what_is_there_is_listed_first_and_what_changes_follows_in_order(
    crds: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await _apply(crds, namespace, "old")
    async with _watching(crds, proxy, namespace) as seen:
        await seen.until(lambda: seen.lists == 1)
        assert seen.events == [(EVS_JOB, None, "old")]
        await _apply(crds, namespace, "new")
        await _apply(crds, namespace, "new", suspend=True)
        await _delete(crds, namespace, "new")
        await seen.until_event(EVS_JOB, "DELETED", "new")
    assert [event for _, event, name in seen.events if name == "new"] == ["ADDED", "MODIFIED", "DELETED"]


async def test_all_kinds_are_listed_before_the_source_says_so(
    crds: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    proxy.fail(Fault(verb="list", path="/evsconnections", delay=1.5))
    async with _watching(crds, proxy, namespace, EVS_JOB, EVS_CONNECTION) as seen:
        await asyncio.to_thread(proxy.wait_for, lambda journal: any(_JOBS in s.path for s in journal))
        assert seen.lists == 0
        await seen.until(lambda: seen.lists == 1)


async def test_a_watch_that_is_cut_goes_on_where_it_was(crds: ControlPlane, proxy: FaultProxy, namespace: str) -> None:
    async with _watching(crds, proxy, namespace) as seen:
        await seen.until(lambda: seen.lists == 1 and proxy.watches(_JOBS) == 1)
        proxy.fail(Fault(verb="watch", path=_JOBS, status=503, times=1))
        assert proxy.cut_watches(_JOBS) == 1
        await _apply(crds, namespace, "meanwhile")
        await seen.until_event(EVS_JOB, "ADDED", "meanwhile")
        assert seen.lists == 1


async def test_an_expired_watch_lists_anew_and_says_so(crds: ControlPlane, proxy: FaultProxy, namespace: str) -> None:
    async with _watching(crds, proxy, namespace) as seen:
        await seen.until(lambda: seen.lists == 1 and proxy.watches(_JOBS) == 1)
        proxy.fail(Fault(verb="watch", path=_JOBS, status=410, times=1))
        assert proxy.expire_watches(_JOBS) == 1
        await _apply(crds, namespace, "meanwhile")
        await seen.until(lambda: seen.lists >= 2 and any(name == "meanwhile" for _, _, name in seen.events))


async def test_a_connection_that_falls_silent_is_given_up_and_nothing_is_missed(
    crds: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with _watching(crds, proxy, namespace, pace=Pace(silence=2.0)) as seen:
        await seen.until(lambda: seen.lists == 1 and proxy.watches(_JOBS) == 1)
        assert proxy.mute_watches(_JOBS) == 1
        await _apply(crds, namespace, "unheard")
        await seen.until_event(EVS_JOB, "ADDED", "unheard")


@pytest.mark.parametrize("status", [403, 429, 500])
async def test_a_refused_list_is_tried_again(
    crds: ControlPlane, proxy: FaultProxy, namespace: str, status: int
) -> None:
    proxy.fail(Fault(verb="list", path=_JOBS, status=status, times=1))
    await _apply(crds, namespace, "there")
    async with _watching(crds, proxy, namespace) as seen:
        await seen.until(lambda: seen.lists == 1)
        assert (EVS_JOB, None, "there") in seen.events


async def test_a_refused_credential_is_asked_for_again(
    crds: ControlPlane, proxy: FaultProxy, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = []

    async def login(self: source.Cluster) -> Login:
        logins.append("wrong" if not logins else "right")
        given = await original(self)
        if logins[-1] == "right":
            return given
        given.aiohttp_session.headers["Authorization"] = "Bearer wrong"
        return replace(given, credential="Bearer wrong")

    original = source.Cluster.login
    monkeypatch.setattr(source.Cluster, "login", login)
    async with _watching(crds, proxy, namespace) as seen:
        await seen.until(lambda: proxy.watches(_JOBS) == 1)
        assert seen.lists == 1
    assert logins == ["wrong", "right"]


async def test_a_watch_is_ended_by_the_api_server_with_a_bookmark_before_it_counts_as_dead(
    crds: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with _watching(crds, proxy, namespace, pace=Pace(life=5.0, short=2.0)) as seen:
        await seen.until(lambda: _watched(proxy) == 3)
        assert seen.lists == 1
        assert seen.failures == 0


def _watched(proxy: FaultProxy) -> int:
    return sum(1 for seen in proxy.journal if seen.verb == "watch")


async def test_a_credential_that_is_refused_and_has_no_other_ends_the_source(
    crds: ControlPlane, proxy: FaultProxy, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fail(Fault(verb="list", path=_JOBS, status=401))
    async with _watching(crds, proxy, namespace) as seen:
        assert seen.task is not None
        await asyncio.wait_for(asyncio.shield(seen.task), 20)
    assert "watch ended: the API server refuses our credential" in caplog.text


async def test_a_kind_that_is_not_served_ends_the_source(
    crds: ControlPlane, proxy: FaultProxy, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fail(Fault(verb="list", path=_JOBS, status=404))
    async with _watching(crds, proxy, namespace) as seen:
        assert seen.task is not None
        await asyncio.wait_for(asyncio.shield(seen.task), 20)
    assert "watch ended" in caplog.text


async def test_an_object_that_cannot_be_understood_keeps_no_other_from_being_seen(
    crds: ControlPlane, proxy: FaultProxy, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    await _apply(crds, namespace, "poison")
    await _apply(crds, namespace, "sound")
    async with _watching(crds, proxy, namespace) as seen:
        await seen.until(lambda: seen.lists == 1)
        await _apply(crds, namespace, "poison", suspend=True)
        await _apply(crds, namespace, "next")
        await seen.until_event(EVS_JOB, "ADDED", "next")
    assert (EVS_JOB, None, "sound") in seen.events
    assert seen.lists == 1
    assert "could not process an event" in caplog.text
