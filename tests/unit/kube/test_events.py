"""The recorder of Events: never in the way, never twice, and quiet where it is not allowed."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from evs_operator.core.plain_status import LEFT_OUT
from evs_operator.core.transitions import Action, Transition
from evs_operator.kube import events
from evs_operator.kube.api import KubeError
from evs_operator.kube.events import EventRecorder
from evs_operator.kube.objects import ObjectKey
from support.api_server import InMemoryApiServer, refusals

pytestmark = pytest.mark.virtual_time
KEY = ObjectKey("EvsJob", "team-a", "data-volume")
FAILED = Transition(Action.FAILED, "JobFailed", "createVolume failed: EVS.2024 volume is error!")
FINISHED = Transition(Action.FINISHED, "JobSucceeded", "createVolume succeeded in 31.1s")
REFUSED = Transition(Action.ACTION_REQUIRED, "Unauthorized", "HTTP 401 APIGW.0301")
_PATH = "/apis/events.k8s.io/v1/namespaces/team-a/events"


class RecorderBench:
    """A recorder with its API server and a clock that the test moves."""

    def __init__(self, capacity: int = 100) -> None:
        self.api = InMemoryApiServer()
        self.now = 1_770_110_102.25
        self.counts: Counter[str] = Counter()
        self.recorder = EventRecorder(
            self.api.kube, lambda: self.now, self._count, instance="evs-operator-7d9f", capacity=capacity
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
        async with self.running(), asyncio.timeout(100):
            await self.recorder.flush(1.0)  # the clock stands still


async def test_an_event_is_of_the_object_and_says_who_tells_it() -> None:
    bench = RecorderBench()
    bench.tell(FAILED)
    await bench.settle()
    (request,) = bench.api.requests
    event = request.body
    assert (request.method, request.path) == ("POST", _PATH)
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
    assert bench.counts == {"written": 1}


async def test_events_of_an_object_sort_by_time_as_kubectl_describe_shows_them() -> None:
    bench = RecorderBench()
    for transition in (REFUSED, FINISHED, FAILED):
        bench.tell(transition)
        bench.now += 0.001
        await bench.settle()
    names = [request.body["metadata"]["name"] for request in bench.api.requests]
    assert names == sorted(set(names))


async def test_an_event_of_a_cluster_connection_is_kept_in_the_namespace_default() -> None:
    bench = RecorderBench()
    bench.tell(REFUSED, key=ObjectKey("ClusterEvsConnection", "", "shared"))
    await bench.settle()
    (request,) = bench.api.requests
    event = request.body
    assert request.path == "/apis/events.k8s.io/v1/namespaces/default/events"
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["regarding"]


async def test_nothing_to_tell_is_not_told() -> None:
    bench = RecorderBench()
    bench.tell(None)
    await bench.settle()
    assert not bench.api.requests


async def test_a_repetition_within_minutes_counts_up_the_series_of_the_event() -> None:
    bench = RecorderBench()
    for _ in range(3):
        bench.tell(REFUSED)
        bench.now += 60
        await bench.settle()
    assert [request.method for request in bench.api.requests] == ["POST", "PATCH", "PATCH"]
    name = bench.api.requests[0].body["metadata"]["name"]
    assert {request.path for request in bench.api.requests[1:]} == {f"{_PATH}/{name}"}
    assert bench.api.requests[-1].body == {"series": {"count": 3, "lastObservedTime": "2026-02-03T09:17:02.250000Z"}}


async def test_what_is_told_of_another_object_or_much_later_is_an_event_of_its_own() -> None:
    bench = RecorderBench()
    bench.tell(REFUSED)
    bench.tell(REFUSED, uid="uid-2")
    await bench.settle()
    bench.now += 361
    bench.tell(REFUSED)
    await bench.settle()
    assert [request.method for request in bench.api.requests] == ["POST"] * 3


async def test_a_series_whose_event_is_gone_begins_anew() -> None:
    bench = RecorderBench()
    bench.tell(REFUSED)
    await bench.settle()
    bench.api.refuse = refusals(KubeError(404, "not found"))
    bench.tell(REFUSED)
    await bench.settle()
    assert [request.method for request in bench.api.requests] == ["POST", "PATCH", "POST"]


async def test_a_slow_api_server_holds_up_nobody_and_what_does_not_fit_is_dropped() -> None:
    bench = RecorderBench(capacity=10)
    gate = asyncio.Event()
    bench.api.meanwhile = lambda request: gate.wait()
    async with bench.running():
        bench.tell(*[FINISHED] * 100)  # returns although nothing can be sent
        assert bench.counts["dropped"] == 95
    gate.set()
    await bench.settle()


async def test_the_normal_leave_half_of_the_queue_to_warnings() -> None:
    bench = RecorderBench(capacity=10)
    bench.tell(*[FINISHED] * 100)
    bench.tell(*[FAILED] * 5)
    assert bench.counts["dropped"] == 95
    bench.tell(FAILED)
    assert bench.counts["dropped"] == 96


@pytest.mark.parametrize("status", [0, 429, 500, 503])
async def test_a_passing_failure_is_tried_again_and_then_dropped(status: int) -> None:
    bench = RecorderBench()
    bench.api.refuse = refusals(KubeError(status, "busy"), KubeError(status, "busy"))
    bench.tell(FAILED)
    await bench.settle()
    assert bench.counts == {"written": 1}
    bench.api.refuse = refusals(*[KubeError(status, "busy")] * 3)
    bench.tell(FAILED)
    await bench.settle()
    assert bench.counts == {"written": 1, "dropped": 1}


@pytest.mark.parametrize("status", [400, 422])
async def test_an_event_whose_text_is_refused_is_told_without_the_clouds_words(status: int) -> None:
    bench = RecorderBench()
    bench.api.refuse = refusals(KubeError(status, "invalid"))
    bench.tell(FAILED)
    await bench.settle()
    first, second = (request.body for request in bench.api.requests)
    assert second == {**first, "note": LEFT_OUT}
    assert bench.counts == {"written": 1}


async def test_what_the_api_server_refuses_for_good_is_not_tried_again() -> None:
    bench = RecorderBench()
    bench.api.refuse = refusals(
        KubeError(422, "invalid"), KubeError(422, "invalid"), KubeError(404, "no such namespace")
    )
    bench.tell(FAILED, FINISHED)
    await bench.settle()
    assert len(bench.api.requests) == 3
    assert bench.counts == {"dropped": 2}


async def test_two_thousand_failures_of_one_namespace_drop_no_warning_of_another() -> None:
    bench = RecorderBench(capacity=events._QUEUE)
    mine = ObjectKey("EvsJob", "victim", "data-volume")
    bench.tell(*[FAILED] * 2_000)
    bench.tell(FAILED, key=mine)
    assert bench.counts["dropped"] == 2_000 - events._QUEUE
    await bench.settle()
    served = ["/victim/" in request.path for request in bench.api.requests]
    assert served.index(True) <= events._SENDERS, "it was its turn"


async def test_many_namespaces_that_fill_all_queues_drop_no_warning_of_another() -> None:
    bench = RecorderBench(capacity=100)
    for number in range(50):
        bench.tell(*[FAILED] * 100, key=ObjectKey("EvsJob", f"attacker-{number}", "x"))
    for name in "abc":
        bench.tell(FAILED, key=ObjectKey("EvsJob", "victim", name))
    await bench.settle()
    told = [one.body["regarding"]["name"] for one in bench.api.requests if "/victim/" in one.path]
    assert told == ["a", "b", "c"]
    assert bench.counts["written"] == 400
    assert bench.counts["written"] + bench.counts["dropped"] == 5_003


async def test_a_namespace_whose_events_hang_holds_up_no_other() -> None:
    bench = RecorderBench()
    bench.api.meanwhile = lambda request: asyncio.sleep(3600.0 if "/attacker/" in request.path else 0.0)
    bench.tell(*[FAILED] * 50, key=ObjectKey("EvsJob", "attacker", "x"))
    bench.tell(*[FAILED] * 20, key=ObjectKey("EvsJob", "victim", "y"))
    async with bench.running():
        await asyncio.sleep(0.05)
    assert len(bench.api.writes) == 20
    assert all("/victim/" in write.path for write in bench.api.writes)


async def test_without_the_permission_it_says_so_once_and_asks_seldom(caplog: pytest.LogCaptureFixture) -> None:
    bench = RecorderBench()
    bench.api.refuse = refusals(*[KubeError(403, "events is forbidden")] * 9)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            bench.tell(FAILED, FINISHED, REFUSED)
            await bench.settle()
            bench.now += 200
    assert len(bench.api.requests) in (2, 3, 4)  # two senders may be on the way at once, every five minutes
    assert [record.message.split(":")[0] for record in caplog.records] == ["no Events"]
    assert bench.counts == {"refused": 9}


async def test_a_namespace_that_is_being_deleted_is_no_missing_permission(caplog: pytest.LogCaptureFixture) -> None:
    bench = RecorderBench()
    bench.api.refuse = refusals(
        KubeError(403, "unable to create new content in namespace a because it is being terminated")
    )
    bench.tell(FAILED)
    await bench.settle()
    bench.tell(FAILED)
    await bench.settle()
    assert not caplog.records
    assert bench.counts == {"refused": 1, "written": 1}


async def test_the_longest_name_gives_an_event_a_name_that_is_short_enough() -> None:
    bench = RecorderBench()
    bench.tell(FAILED, key=ObjectKey("EvsJob", "team-a", f"{'a' * 235}.{'b' * 17}"))
    await bench.settle()
    name = bench.api.requests[0].body["metadata"]["name"]
    assert len(name) <= 253
    assert ".." not in name


async def test_flush_waits_for_what_is_queued_but_not_for_ever() -> None:
    bench = RecorderBench()
    bench.tell(FAILED)
    async with bench.running():
        await bench.recorder.flush(5.0)
        assert bench.counts == {"written": 1}
        bench.api.meanwhile = lambda request: asyncio.sleep(3600.0)
        bench.tell(FAILED)
        flushing = asyncio.create_task(bench.recorder.flush(1.0))
        await asyncio.sleep(0.05)
        assert not flushing.done()
        bench.now += 2
        await asyncio.wait_for(flushing, 5)
