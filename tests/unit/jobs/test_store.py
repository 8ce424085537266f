"""The store: newest resourceVersion wins, deletes are final, a finished EvsJob keeps little."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evs_operator.api.names import REQUESTED_AT
from evs_operator.jobs.entry import Entry
from evs_operator.jobs.store import Change, Store, shrink
from support.memory import traced

DONE = {"observedGeneration": 1, "jobId": "a" * 32, "completionTime": "2026-02-03T09:15:10Z", "jobStatus": "SUCCESS"}


def evs_job(version: int = 1, generation: int = 1, *, uid: str = "u1", **more: Any) -> dict[str, Any]:
    metadata = {"uid": uid, "namespace": "ns", "name": "job", "resourceVersion": str(version), "generation": generation}
    metadata.update(more.pop("metadata", {}))
    return {"metadata": metadata, "spec": {"jobId": "a" * 32, **more.pop("spec", {})}, **more}


def store_at(now: float = 100.0) -> Store:
    return Store(lambda: now)


def entry_of(store: Store, body: dict[str, Any]) -> tuple[Entry, Change]:
    entry, change = store.apply("MODIFIED", body)
    assert entry is not None
    return entry, change


def test_a_new_object_is_a_change() -> None:
    entry, change = entry_of(store_at(), evs_job())
    assert change is Change.SPEC
    assert entry.seen.spec is not None
    assert entry.seen.first_seen == 100.0


def test_an_event_that_is_not_newer_is_ignored() -> None:
    store = store_at()
    entry_of(store, evs_job(5, 2))
    entry, change = entry_of(store, evs_job(5, 3))
    assert (change, entry.seen.generation) == (Change.NONE, 2)
    entry, change = entry_of(store, evs_job(4, 4))
    assert (change, entry.seen.generation) == (Change.NONE, 2)


def test_the_echo_of_our_own_write_is_no_change() -> None:
    store = store_at()
    entry, _ = entry_of(store, evs_job())
    store.wrote(entry, {"observedGeneration": 1, "jobId": "a" * 32}, "7")
    assert entry_of(store, evs_job(7, status={"observedGeneration": 1}))[1] is Change.NONE


def test_a_label_is_no_change_and_a_request_is_one() -> None:
    store = store_at()
    entry_of(store, evs_job())
    assert entry_of(store, evs_job(2, metadata={"labels": {"a": "b"}}))[1] is Change.NONE
    annotations = {"evs-operator.dev/requestedAt": "now"}
    entry, change = entry_of(store, evs_job(3, metadata={"annotations": annotations}))
    assert change is Change.SPEC
    assert entry.seen.request_open


def test_a_deleted_object_stays_deleted_whatever_comes_later() -> None:
    store = store_at()
    entry_of(store, evs_job())
    entry, change = store.apply("DELETED", evs_job(9))
    assert entry is not None
    assert (change, entry.seen.deleted) == (Change.DELETED, True)
    assert store.apply("MODIFIED", evs_job(8)) == (None, Change.NONE)
    assert len(store) == 0


def test_a_namesake_with_another_uid_is_another_entry() -> None:
    store = store_at()
    first, _ = entry_of(store, evs_job())
    store.apply("DELETED", evs_job(2))
    second, _ = entry_of(store, evs_job(3, uid="u2"))
    assert second is not first
    assert store.get("u2") is second


def test_a_list_removes_what_it_does_not_show_unless_it_is_younger() -> None:
    moments = iter([100.0, 300.0])
    store = Store(lambda: next(moments))
    entry_of(store, evs_job())
    entry_of(store, evs_job(uid="u2"))
    assert [entry.uid for entry in store.retain([], before=200.0)] == ["u1"]
    assert store.get("u2") is not None


def test_another_job_id_starts_anew_and_drops_what_was_pending() -> None:
    store = store_at()
    entry, _ = entry_of(store, evs_job(status=DONE))
    assert entry.seen.finished
    entry_of(store, evs_job(2, 2, spec={"jobId": "b" * 32}, status=DONE))
    assert (entry.seen.retargeted, entry.seen.finished) == (True, False)


def test_a_change_of_polling_does_not_start_anew() -> None:
    store = store_at()
    entry, _ = entry_of(store, evs_job(status=DONE))
    entry_of(store, evs_job(2, 2, spec={"ttlSecondsAfterFinished": 5}, status=DONE))
    assert (entry.seen.retargeted, entry.seen.finished) == (False, True)


def test_a_finished_entry_knows_without_its_status_that_it_is_settled() -> None:
    store = store_at()
    entry, _ = entry_of(store, evs_job(status=DONE))
    shrink(entry)
    assert entry.seen.status == {}
    assert (entry.seen.finished, entry.seen.observed_generation) == (True, 1)


def test_a_status_that_somebody_emptied_is_a_foreign_write_and_the_end_is_asked_for_again() -> None:
    store = store_at()
    entry, _ = entry_of(store, evs_job(status=DONE))
    assert entry_of(store, evs_job(2, status={"observedGeneration": 1}))[1] is Change.FOREIGN
    assert (entry.seen.finished, entry.seen.spoiled, entry.seen.completion) == (False, True, DONE["completionTime"])


def test_a_list_that_shows_an_older_version_leaves_a_doubt_and_a_read_is_the_truth() -> None:
    """After a restore of etcd resourceVersions go back."""
    store = store_at()
    entry, _ = entry_of(store, evs_job(9, generation=3))
    assert entry_of(store, evs_job(5, generation=2))[1] is Change.NONE  # an event that comes late
    listed = evs_job(5, generation=2, spec={"deadlineSeconds": 7})
    assert store.apply(None, listed) == (entry, Change.DOUBT)
    assert (entry.seen.resource_version, entry.seen.generation) == ("9", 3)
    assert store.apply("MODIFIED", listed, fresh=True)[1] is Change.SPEC
    assert (entry.seen.resource_version, entry.seen.generation) == ("5", 2)
    assert entry_of(store, evs_job(6, generation=3))[1] is Change.SPEC


def test_what_was_deleted_and_is_brought_back_is_taken_once_it_was_read() -> None:
    store = store_at()
    store.apply("ADDED", evs_job(5))
    store.apply("DELETED", evs_job(6))
    assert store.apply("MODIFIED", evs_job(7)) == (None, Change.NONE)
    assert store.apply(None, evs_job(4)) == (None, Change.DOUBT)
    assert len(store) == 0
    assert store.apply("MODIFIED", evs_job(4), fresh=True)[1] is Change.SPEC
    assert len(store) == 1


def test_a_spec_that_cannot_be_read_keeps_the_entry_and_says_why() -> None:
    entry, _ = entry_of(store_at(), evs_job(spec={"jobId": "!"}))
    assert entry.seen.spec is None
    assert "spec.jobId" in entry.seen.spec_error


def test_what_is_no_object_is_refused_with_a_declared_error() -> None:
    for metadata in (None, 7, [], {}, {"uid": 1, "namespace": "ns", "name": "n"}, {"uid": "u", "namespace": "ns"}):
        with pytest.raises(ValueError, match="an object without uid, namespace and name"):
            store_at().apply("ADDED", {"metadata": metadata})


def test_of_an_object_of_a_megabyte_a_few_kilobytes_are_kept() -> None:
    """Labels, annotations, managed fields, foreign parts of a status and fields of a spec that nobody knows."""
    wide = {f"key-{number}": f"{number:0500}" for number in range(400)}
    objects = [json.dumps(evs_job(uid=f"uid-{number}", status={"jobId": "x"})) for number in range(20)]
    store = store_at()
    with traced() as held:
        for text in objects:
            body = json.loads(text)
            body["metadata"] |= {"labels": dict(wide), "managedFields": [dict(wide)]}
            body["metadata"]["annotations"] = {**wide, REQUESTED_AT: "x" * 262_144}
            body["spec"] |= {"theirs": dict(wide)}
            foreign = {"type": "Theirs", **wide}
            body["status"] |= {"theirs": dict(wide), "failReason": "x" * 262_144, "conditions": [foreign] * 9}
            store.apply("ADDED", json.loads(json.dumps(body)))
            del body, foreign
        assert held() < 20 * 16 * 1024
    assert all(entry.seen.status == {"jobId": "x", "conditions": []} for entry in store)
    assert all(len(entry.seen.requested_at or "") == 1024 for entry in store)
