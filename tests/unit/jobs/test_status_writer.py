"""The status writer where the API server refuses: nothing that is known is lost, and nothing is taken for gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from evs_operator.api.names import REQUESTED_AT
from evs_operator.clock import Clock
from evs_operator.core.observation import JobSeen
from evs_operator.core.plain_status import LEFT_OUT
from evs_operator.evs.job import Job
from evs_operator.jobs import status_writer as module
from evs_operator.jobs.entry import Entry
from evs_operator.jobs.status_writer import StatusWriter
from evs_operator.jobs.store import Store
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.events import EventRecorder
from evs_operator.observe.metrics import Metrics

Answer = KubeError | None
Body = dict[str, Any]


class Api:
    """Holds one EvsJob; `refuse` says what a write gets, `reads` what a read gets in place of the object."""

    def __init__(self) -> None:
        self.version = 10
        self.uid = "uid-1"
        self.annotations: dict[str, str] = {}
        self.tried: list[Body] = []
        self.written: list[Body] = []
        self.refuse: Callable[[Body], Answer] = lambda status: None
        self.reads: list[KubeError] = []
        self.changes = 0

    def body(self) -> Body:
        metadata = {"uid": self.uid, "namespace": "ns", "name": "job", "resourceVersion": str(self.version)}
        status = self.written[-1] if self.written else {}
        more = {"generation": 1, "annotations": dict(self.annotations)}
        return {"metadata": metadata | more, "spec": {"jobId": "0123456789abcdef"}, "status": status}

    async def request(self, method: str, path: str, **more: Any) -> Body:
        await asyncio.sleep(0)
        if method == "GET":
            if self.reads:
                raise self.reads.pop(0)
            return self.body()
        if method == "DELETE":
            refused = self.refuse({})
            if refused is not None:
                raise refused
            return {}
        status = more["body"]["status"]
        self.tried.append(status)
        refused = self.refuse(status)
        if refused is not None:
            raise refused
        if self.changes or more["body"]["metadata"]["resourceVersion"] != str(self.version):
            self.changes = max(self.changes - 1, 0)
            self.version += 1
            raise KubeError(409, "the object has been modified")
        self.version += 1
        self.written.append(status)
        return {"metadata": {"resourceVersion": str(self.version)}}


class World:
    """A writer, the store and one EvsJob in it."""

    def __init__(self) -> None:
        self.api = Api()
        self.store = Store(lambda: 1000.0)
        self.lists = 0
        unheard = cast(EventRecorder, type("Events", (), {"tell": lambda *_: None})())
        self.writer = StatusWriter(
            cast(KubeApi, self.api), self.store, Metrics(), Clock(), unheard, list_soon=self._list_soon
        )
        entry, _ = self.store.apply(None, self.api.body())
        assert entry is not None
        self.entry: Entry = entry

    def _list_soon(self) -> None:
        self.lists += 1

    @staticmethod
    def seen(job: Job) -> JobSeen:
        return JobSeen(job, lambda texts: str)

    async def see(self, status: str, **fields: Any) -> None:
        seen = Job(
            job_id="0123456789abcdef",
            job_type="createVolume",
            status=status,
            begin_time=None,
            end_time=None,
            entities=fields.pop("entities", {}),
            error_code=fields.pop("error_code", None),
            fail_reason=fields.pop("fail_reason", None),
            sub_jobs=(),
        )
        await self.writer.write(self.entry, self.seen(seen), "0" * 32, None)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(module, "_DELETION_LAG", 0.01)
    return World()


def _says(status: Body, kind: str) -> Any:
    return next(c for c in status["conditions"] if c["type"] == kind)


def _refusing(*words: str, code: int = 400) -> Callable[[Body], Answer]:
    return lambda status: KubeError(code, "not this text") if any(word in str(status) for word in words) else None


@pytest.mark.parametrize("code", [400, 422])
async def test_a_status_whose_text_is_refused_is_written_without_the_clouds_texts(
    world: World, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    world.api.refuse = _refusing("poison", code=code)
    await world.see(
        "FAIL", entities={"name": "poison", "volume_id": "v1"}, error_code="EVS.2024", fail_reason="poison!"
    )
    (status,) = world.api.written
    assert "poison" not in str(status)
    assert "entities" not in status
    assert (status["jobStatus"], status["jobType"], status["errorCode"]) == ("FAIL", "createVolume", "EVS.2024")
    assert status["volumeIds"] == ["v1"]
    assert status["completionTime"]
    assert _says(status, "Failed") | {"message": LEFT_OUT} == _says(status, "Failed")
    assert _says(status, "Ready")["reason"] == "JobFailed"
    assert "ns/job" in caplog.text
    assert world.entry.seen.finished


async def test_a_word_of_the_cloud_that_is_not_plain_is_left_out_too(world: World) -> None:
    world.api.refuse = _refusing("<RUN>")
    await world.see("<RUN>")
    assert "jobStatus" not in world.api.written[-1]
    assert _says(world.api.written[-1], "Ready")["status"] == "Unknown"


async def test_a_request_whose_echo_is_refused_does_not_keep_the_rest_from_being_written(world: World) -> None:
    world.api.annotations[REQUESTED_AT] = "poison"
    world.api.version += 1
    world.store.apply("MODIFIED", world.api.body())
    world.api.refuse = _refusing("poison")
    await world.see("RUNNING")
    (status,) = world.api.written
    assert status["jobStatus"] == "RUNNING"
    assert "lastHandledReconcileAt" not in status


async def test_the_echo_of_a_request_is_kept_where_it_is_not_what_is_refused(world: World) -> None:
    world.api.annotations[REQUESTED_AT] = "now, please"
    world.api.version += 1
    world.store.apply("MODIFIED", world.api.body())
    world.api.refuse = _refusing("poison")
    await world.see("RUNNING", entities={"name": "poison"})
    assert world.api.written[-1]["lastHandledReconcileAt"] == "now, please"


async def test_a_refused_status_is_not_tried_whole_again_and_another_one_is(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.api.refuse = _refusing("poison")
    for _ in range(5):
        await world.see("RUNNING", entities={"name": "poison"})
    assert len(world.api.tried) == 2
    assert len(world.api.written) == 1
    assert caplog.text.count("written without the cloud's texts") == 1
    await world.see("RUNNING", entities={"name": "fine"})
    assert world.api.written[-1]["entities"] == {"name": "fine"}
    assert len(world.api.tried) == 3


async def test_what_is_refused_with_our_own_words_alone_is_an_error_of_the_write(world: World) -> None:
    world.api.refuse = lambda status: KubeError(422, "state: Unsupported value")
    with pytest.raises(KubeError, match="Unsupported value"):
        await world.see("RUNNING")
    assert len(world.api.tried) == 3


async def test_a_404_alone_is_no_deletion(world: World) -> None:
    world.api.refuse = lambda status: KubeError(404, "the server could not find the requested resource")
    with pytest.raises(KubeError):
        await world.see("SUCCESS")
    assert not world.entry.seen.deleted
    assert world.store.get("uid-1") is world.entry
    assert world.lists == 1, "a list is asked whether it is gone"
    world.api.refuse = lambda status: None
    await world.see("SUCCESS")
    assert world.api.written[-1]["jobStatus"] == "SUCCESS"


async def test_a_read_that_is_404_after_a_conflict_is_no_deletion(world: World) -> None:
    world.api.changes = 1
    world.api.reads = [KubeError(404, "not found")]
    with pytest.raises(KubeError):
        await world.see("SUCCESS")
    assert not world.entry.seen.deleted
    assert world.lists == 1
    await world.see("SUCCESS")
    assert world.api.written


async def test_a_deletion_that_the_watch_tells_of_ends_a_write_in_peace(world: World) -> None:
    world.api.refuse = lambda status: KubeError(404, "not found")
    writing = asyncio.create_task(world.see("SUCCESS"))
    await asyncio.sleep(0)
    world.store.apply("DELETED", world.api.body())
    await writing
    assert world.entry.seen.deleted
    assert world.lists == 0


async def test_a_namesake_with_another_uid_means_that_ours_is_gone(world: World) -> None:
    world.api.uid = "uid-2"
    world.api.changes = 1
    await world.see("SUCCESS")
    assert world.entry.seen.deleted
    assert not world.api.written


async def test_a_deletion_by_time_to_live_that_is_404_is_tried_again(world: World) -> None:
    world.api.refuse = lambda status: KubeError(404, "not found")
    with pytest.raises(KubeError):
        await world.writer.delete(world.entry)
    assert not world.entry.seen.deleted
    world.api.refuse = lambda status: None
    await world.writer.delete(world.entry)
    assert world.entry.seen.deleted


async def test_an_object_that_changes_under_thirty_writes_is_written_all_the_same(world: World) -> None:
    world.api.changes = 30
    await world.see("SUCCESS")
    assert len(world.api.written) == 1


async def test_an_object_that_never_stops_changing_is_given_up_after_seconds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHASE", 0.05)
    world.api.changes = 10**9
    with pytest.raises(KubeError, match="again and again"):
        await asyncio.wait_for(world.see("SUCCESS"), 5)


async def test_an_answer_whose_call_nobody_named_is_hidden_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "seen", JobSeen)
    await world.see("SUCCESS")
    (status,) = world.api.written
    assert status["jobStatus"] == status["jobType"] == "***"
