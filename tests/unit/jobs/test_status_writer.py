"""The status writer where the API server refuses: nothing that is known is lost, and nothing is taken for gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from evs_operator.api.names import REQUESTED_AT
from evs_operator.clock import Clock
from evs_operator.core.observation import JobSeen
from evs_operator.core.plain_status import LEFT_OUT
from evs_operator.evs.job import Job
from evs_operator.jobs.entry import Entry
from evs_operator.jobs.status_writer import StatusWriter
from evs_operator.jobs.store import Store
from evs_operator.kube.api import KubeError
from evs_operator.observe.metrics import Metrics
from support.api_server import UNHEARD, InMemoryApiServer, Request, times

pytestmark = pytest.mark.virtual_time
PATH = "/apis/evs-operator.dev/v1alpha1/namespaces/ns/evsjobs/job"


class WriterBench:
    """A writer, the store and one EvsJob in it, which the API server holds."""

    def __init__(self) -> None:
        self.api = InMemoryApiServer()
        self.store = Store(lambda: 1000.0)
        self.lists = 0
        self.seen: Callable[[Job], JobSeen] = lambda job: JobSeen(job, lambda texts: str)
        clock = Clock(time.time, lambda: asyncio.get_running_loop().time())
        self.writer = StatusWriter(self.api.kube, self.store, Metrics(), clock, UNHEARD, list_soon=self._list_soon)
        metadata = {"uid": "uid-1", "namespace": "ns", "name": "job", "resourceVersion": "10", "generation": 1}
        self.object: dict[str, Any] = {"metadata": metadata, "spec": {"jobId": "0123456789abcdef"}, "status": {}}
        self.api.objects[PATH] = self.object
        entry, _ = self.store.apply(None, self.object)
        assert entry is not None
        self.entry: Entry = entry

    def _list_soon(self) -> None:
        self.lists += 1

    @property
    def written(self) -> list[dict[str, Any]]:
        return self.api.statuses()

    @property
    def tried(self) -> int:
        return sum(bool(request.status) for request in self.api.requests)

    def ask_now(self, requested_at: str) -> None:
        """Have somebody ask for a poll."""
        self.object["metadata"] |= {"annotations": {REQUESTED_AT: requested_at}, "resourceVersion": "11"}
        self.store.apply("MODIFIED", self.object)

    async def see(self, status: str, **fields: Any) -> None:
        job = Job(
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
        await self.writer.write(self.entry, self.seen(job), "0" * 32, None)


@pytest.fixture
async def bench() -> WriterBench:
    return WriterBench()


def _says(status: dict[str, Any], kind: str) -> Any:
    return next(c for c in status["conditions"] if c["type"] == kind)


def _refusing(*words: str, code: int = 400) -> Callable[[Request], KubeError | None]:
    refusal = KubeError(code, "not this text")
    return lambda request: refusal if any(word in str(request.status) for word in words) else None


@pytest.mark.parametrize("code", [400, 422])
async def test_a_status_whose_text_is_refused_is_written_without_the_clouds_texts(
    bench: WriterBench, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    bench.api.refuse = _refusing("poison", code=code)
    await bench.see(
        "FAIL", entities={"name": "poison", "volume_id": "v1"}, error_code="EVS.2024", fail_reason="poison!"
    )
    (status,) = bench.written
    assert "poison" not in str(status)
    assert "entities" not in status
    assert (status["jobStatus"], status["jobType"], status["errorCode"]) == ("FAIL", "createVolume", "EVS.2024")
    assert status["volumeIds"] == ["v1"]
    assert status["completionTime"]
    assert _says(status, "Failed") | {"message": LEFT_OUT} == _says(status, "Failed")
    assert _says(status, "Ready")["reason"] == "JobFailed"
    assert "ns/job" in caplog.text
    assert bench.entry.seen.finished


async def test_a_word_of_the_cloud_that_is_not_plain_is_left_out_too(bench: WriterBench) -> None:
    bench.api.refuse = _refusing("<RUN>")
    await bench.see("<RUN>")
    assert "jobStatus" not in bench.written[-1]
    assert _says(bench.written[-1], "Ready")["status"] == "Unknown"


async def test_a_request_whose_echo_is_refused_does_not_keep_the_rest_from_being_written(bench: WriterBench) -> None:
    bench.ask_now("poison")
    bench.api.refuse = _refusing("poison")
    await bench.see("RUNNING")
    (status,) = bench.written
    assert status["jobStatus"] == "RUNNING"
    assert "lastHandledReconcileAt" not in status


async def test_the_echo_of_a_request_is_kept_where_it_is_not_what_is_refused(bench: WriterBench) -> None:
    bench.ask_now("now, please")
    bench.api.refuse = _refusing("poison")
    await bench.see("RUNNING", entities={"name": "poison"})
    assert bench.written[-1]["lastHandledReconcileAt"] == "now, please"


async def test_a_refused_status_is_not_tried_whole_again_and_another_one_is(
    bench: WriterBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.api.refuse = _refusing("poison")
    for _ in range(5):
        await bench.see("RUNNING", entities={"name": "poison"})
    assert bench.tried == 2
    assert len(bench.written) == 1
    assert caplog.text.count("written without the cloud's texts") == 1
    await bench.see("RUNNING", entities={"name": "fine"})
    assert bench.written[-1]["entities"] == {"name": "fine"}
    assert bench.tried == 3


async def test_what_is_refused_with_our_own_words_alone_is_an_error_of_the_write(bench: WriterBench) -> None:
    bench.api.refuse = lambda request: KubeError(422, "state: Unsupported value")
    with pytest.raises(KubeError, match="Unsupported value"):
        await bench.see("RUNNING")
    assert bench.tried == 3


async def test_a_404_alone_is_no_deletion(bench: WriterBench) -> None:
    bench.api.refuse = lambda request: KubeError(404, "the server could not find the requested resource")
    with pytest.raises(KubeError):
        await bench.see("SUCCESS")
    assert not bench.entry.seen.deleted
    assert bench.store.get("uid-1") is bench.entry
    assert bench.lists == 1, "a list is asked whether it is gone"
    bench.api.refuse = lambda request: None
    await bench.see("SUCCESS")
    assert bench.written[-1]["jobStatus"] == "SUCCESS"


async def test_a_read_that_is_404_after_a_conflict_is_no_deletion(bench: WriterBench) -> None:
    bench.api.meddle = times(1)
    bench.api.refuse = lambda request: KubeError(404, "not found") if request.method == "GET" else None
    with pytest.raises(KubeError):
        await bench.see("SUCCESS")
    assert not bench.entry.seen.deleted
    assert bench.lists == 1
    bench.api.refuse = lambda request: None
    await bench.see("SUCCESS")
    assert bench.written


async def test_a_deletion_that_the_watch_tells_of_ends_a_write_in_peace(bench: WriterBench) -> None:
    bench.api.refuse = lambda request: KubeError(404, "not found")
    writing = asyncio.create_task(bench.see("SUCCESS"))
    await asyncio.sleep(0)
    bench.store.apply("DELETED", bench.object)
    await writing
    assert bench.entry.seen.deleted
    assert bench.lists == 0


async def test_a_namesake_with_another_uid_means_that_ours_is_gone(bench: WriterBench) -> None:
    bench.object["metadata"]["uid"] = "uid-2"
    bench.api.meddle = times(1)
    await bench.see("SUCCESS")
    assert bench.entry.seen.deleted
    assert not bench.written


async def test_a_deletion_by_time_to_live_that_is_404_is_tried_again(bench: WriterBench) -> None:
    bench.api.refuse = lambda request: KubeError(404, "not found")
    with pytest.raises(KubeError):
        await bench.writer.delete(bench.entry)
    assert not bench.entry.seen.deleted
    bench.api.refuse = lambda request: None
    await bench.writer.delete(bench.entry)
    assert bench.entry.seen.deleted


async def test_an_object_that_changes_under_thirty_writes_is_written_all_the_same(bench: WriterBench) -> None:
    bench.api.meddle = times(30)
    await bench.see("SUCCESS")
    assert len(bench.written) == 1


async def test_an_object_that_never_stops_changing_is_given_up_after_seconds(bench: WriterBench) -> None:
    bench.api.meddle = lambda request: True
    with pytest.raises(KubeError, match="again and again"):
        await asyncio.wait_for(bench.see("SUCCESS"), 10)


async def test_an_answer_whose_call_nobody_named_is_hidden_whole(bench: WriterBench) -> None:
    bench.seen = JobSeen
    await bench.see("SUCCESS")
    (status,) = bench.written
    assert status["jobStatus"] == status["jobType"] == "***"
