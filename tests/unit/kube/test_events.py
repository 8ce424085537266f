"""The recorder of Events: never in the way, never twice, and quiet where it is not allowed."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from evs_operator.core.plain_status import LEFT_OUT
from evs_operator.core.transitions import Action, Transition
from evs_operator.kube import events
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.events import EventRecorder
from evs_operator.kube.objects import ObjectKey

KEY = ObjectKey("EvsJob", "team-a", "data-volume")
FAILED = Transition(Action.FAILED, "JobFailed", "createVolume failed: EVS.2024 volume is error!")
FINISHED = Transition(Action.FINISHED, "JobSucceeded", "createVolume succeeded in 31.1s")
REFUSED = Transition(Action.ACTION_REQUIRED, "Unauthorized", "HTTP 401 APIGW.0301")
_PATH = "/apis/events.k8s.io/v1/namespaces/team-a/events"


class FakeApi(KubeApi):
    """An API server in the test's hand: remembers requests, answers with the errors that it is given."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.errors: list[KubeError] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, object]:
        await self.gate.wait()
        self.requests.append((method, path, body))
        if self.errors:
            raise self.errors.pop(0)
        return {}


class World:
    """A recorder with its API server and a clock that the test moves."""

    def __init__(self, capacity: int = 100) -> None:
        self.api = FakeApi()
        self.now = 1_770_110_102.25
        self.counts: Counter[str] = Counter()
        self.recorder = EventRecorder(
            self.api, lambda: self.now, self._count, instance="evs-operator-7d9f", capacity=capacity
        )

    def _count(self, result: str) -> None:
        self.counts[result] += 1

    def tell(self, *transitions: Transition | None, key: ObjectKey = KEY, uid: str = "uid-1") -> None:
        for transition in transitions:
            self.recorder.tell(key, uid, transition)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.recorder.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def settle(self) -> None:
        async with self.running(), asyncio.timeout(10):
            await self.recorder.flush(1.0)  # the clock stands still


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_RETRY_AFTER", 0.0)


async def test_an_event_is_of_the_object_and_says_who_tells_it() -> None:
    world = World()
    world.tell(FAILED)
    await world.settle()
    ((method, path, event),) = world.api.requests
    assert (method, path) == ("POST", _PATH)
    assert re.fullmatch(r"data-volume\.[0-9a-f]{16}", event.pop("metadata")["name"])
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "eventTime": "2026-02-03T09:15:02.250000Z",
        "reportingController": "evs-operator.dev/evs-operator",
        "reportingInstance": "evs-operator-7d9f",
        "action": "Failed",
        "reason": "JobFailed",
        "regarding": {
            "apiVersion": "evs-operator.dev/v1alpha1",
            "kind": "EvsJob",
            "namespace": "team-a",
            "name": "data-volume",
            "uid": "uid-1",
        },
        "note": FAILED.note,
        "type": "Warning",
    }
    assert world.counts == {"written": 1}


async def test_events_of_an_object_sort_by_time_as_kubectl_describe_shows_them() -> None:
    world = World()
    for transition in (REFUSED, FINISHED, FAILED):
        world.tell(transition)
        world.now += 0.001
        await world.settle()
    names = [event["metadata"]["name"] for _, _, event in world.api.requests]
    assert names == sorted(set(names))


async def test_an_event_of_a_cluster_connection_is_kept_in_the_namespace_default() -> None:
    world = World()
    world.tell(REFUSED, key=ObjectKey("ClusterEvsConnection", "", "shared"))
    await world.settle()
    ((_, path, event),) = world.api.requests
    assert path == "/apis/events.k8s.io/v1/namespaces/default/events"
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["regarding"]


async def test_nothing_to_tell_is_not_told() -> None:
    world = World()
    world.tell(None)
    await world.settle()
    assert not world.api.requests


async def test_a_repetition_within_minutes_counts_up_the_series_of_the_event() -> None:
    world = World()
    for _ in range(3):
        world.tell(REFUSED)
        world.now += 60
        await world.settle()
    assert [method for method, _, _ in world.api.requests] == ["POST", "PATCH", "PATCH"]
    name = world.api.requests[0][2]["metadata"]["name"]
    assert {path for _, path, _ in world.api.requests[1:]} == {f"{_PATH}/{name}"}
    assert world.api.requests[-1][2] == {"series": {"count": 3, "lastObservedTime": "2026-02-03T09:17:02.250000Z"}}


async def test_what_is_told_of_another_object_or_much_later_is_an_event_of_its_own() -> None:
    world = World()
    world.tell(REFUSED)
    world.tell(REFUSED, uid="uid-2")
    await world.settle()
    world.now += 361
    world.tell(REFUSED)
    await world.settle()
    assert [method for method, _, _ in world.api.requests] == ["POST"] * 3


async def test_a_series_whose_event_is_gone_begins_anew() -> None:
    world = World()
    world.tell(REFUSED)
    await world.settle()
    world.api.errors = [KubeError(404, "not found")]
    world.tell(REFUSED)
    await world.settle()
    assert [method for method, _, _ in world.api.requests] == ["POST", "PATCH", "POST"]


async def test_a_slow_api_server_holds_up_nobody_and_what_does_not_fit_is_dropped() -> None:
    world = World(capacity=10)
    world.api.gate.clear()
    async with world.running():
        world.tell(*[FINISHED] * 100)  # returns although nothing can be sent
        assert world.counts["dropped"] == 95
    world.api.gate.set()
    await world.settle()


async def test_the_normal_leave_half_of_the_queue_to_warnings() -> None:
    world = World(capacity=10)
    world.tell(*[FINISHED] * 100)
    world.tell(*[FAILED] * 5)
    assert world.counts["dropped"] == 95
    world.tell(FAILED)
    assert world.counts["dropped"] == 96


@pytest.mark.parametrize("status", [0, 429, 500, 503])
async def test_a_passing_failure_is_tried_again_and_then_dropped(status: int) -> None:
    world = World()
    world.api.errors = [KubeError(status, "busy"), KubeError(status, "busy")]
    world.tell(FAILED)
    await world.settle()
    assert world.counts == {"written": 1}
    world.api.errors = [KubeError(status, "busy")] * 3
    world.tell(FAILED)
    await world.settle()
    assert world.counts == {"written": 1, "dropped": 1}


@pytest.mark.parametrize("status", [400, 422])
async def test_an_event_whose_text_is_refused_is_told_without_the_clouds_words(status: int) -> None:
    world = World()
    world.api.errors = [KubeError(status, "invalid")]
    world.tell(FAILED)
    await world.settle()
    first, second = (event for _, _, event in world.api.requests)
    assert second == {**first, "note": LEFT_OUT}
    assert world.counts == {"written": 1}


async def test_what_the_api_server_refuses_for_good_is_not_tried_again() -> None:
    world = World()
    world.api.errors = [KubeError(422, "invalid"), KubeError(422, "invalid"), KubeError(404, "no such namespace")]
    world.tell(FAILED, FINISHED)
    await world.settle()
    assert len(world.api.requests) == 3
    assert world.counts == {"dropped": 2}


async def test_two_thousand_failures_of_one_namespace_drop_no_warning_of_another() -> None:
    world = World(capacity=events._QUEUE)
    mine = ObjectKey("EvsJob", "victim", "data-volume")
    world.tell(*[FAILED] * 2_000)
    world.tell(FAILED, key=mine)
    assert world.counts["dropped"] == 2_000 - events._QUEUE
    await world.settle()
    served = ["/victim/" in path for _, path, _ in world.api.requests]
    assert served.index(True) <= events._SENDERS, "it was its turn"


async def test_many_namespaces_that_fill_all_queues_drop_no_warning_of_another() -> None:
    world = World(capacity=100)
    for number in range(50):
        world.tell(*[FAILED] * 100, key=ObjectKey("EvsJob", f"attacker-{number}", "x"))
    for name in "abc":
        world.tell(FAILED, key=ObjectKey("EvsJob", "victim", name))
    await world.settle()
    told = [event["regarding"]["name"] for _, path, event in world.api.requests if "/victim/" in path]
    assert told == ["a", "b", "c"]
    assert world.counts["written"] == 400
    assert world.counts["written"] + world.counts["dropped"] == 5_003


async def test_a_namespace_whose_events_hang_holds_up_no_other() -> None:
    world = World()
    hanging, original = asyncio.Event(), world.api.request

    async def request(method: str, path: str, **more: Any) -> dict[str, object]:
        if "/attacker/" in path:
            await hanging.wait()
        return await original(method, path, **more)

    world.api.request = request  # type: ignore[method-assign]
    world.tell(*[FAILED] * 50, key=ObjectKey("EvsJob", "attacker", "x"))
    world.tell(*[FAILED] * 20, key=ObjectKey("EvsJob", "victim", "y"))
    async with world.running():
        await asyncio.sleep(0.05)
    assert len(world.api.requests) == 20
    assert all("/victim/" in path for _, path, _ in world.api.requests)


async def test_without_the_permission_it_says_so_once_and_asks_seldom(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.api.errors = [KubeError(403, "events is forbidden")] * 9
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            world.tell(FAILED, FINISHED, REFUSED)
            await world.settle()
            world.now += 200
    assert len(world.api.requests) in (2, 3, 4)  # two senders may be on the way at once, every five minutes
    assert [record.message.split(":")[0] for record in caplog.records] == ["no Events"]
    assert world.counts == {"refused": 9}


async def test_a_namespace_that_is_being_deleted_is_no_missing_permission(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.api.errors = [KubeError(403, "unable to create new content in namespace a because it is being terminated")]
    world.tell(FAILED)
    await world.settle()
    world.tell(FAILED)
    await world.settle()
    assert not caplog.records
    assert world.counts == {"refused": 1, "written": 1}


async def test_the_longest_name_gives_an_event_a_name_that_is_short_enough() -> None:
    world = World()
    world.tell(FAILED, key=ObjectKey("EvsJob", "team-a", f"{'a' * 235}.{'b' * 17}"))
    await world.settle()
    name = world.api.requests[0][2]["metadata"]["name"]
    assert len(name) <= 253
    assert ".." not in name


async def test_flush_waits_for_what_is_queued_but_not_for_ever() -> None:
    world = World()
    world.tell(FAILED)
    async with world.running():
        await world.recorder.flush(5.0)
        assert world.counts == {"written": 1}
        world.api.gate.clear()
        world.tell(FAILED)
        flushing = asyncio.create_task(world.recorder.flush(1.0))
        await asyncio.sleep(0.05)
        assert not flushing.done()
        world.now += 2
        await asyncio.wait_for(flushing, 5)
