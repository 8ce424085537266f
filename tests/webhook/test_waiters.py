"""Who is told what and when: the waiters and the wait itself, without a network and on a scripted API server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evs_operator.kube.watch.stream import RESTORED
from evs_webhook.access import Caller
from evs_webhook.following import follow
from evs_webhook.jobs import Jobs
from evs_webhook.problems import Problem
from evs_webhook.routes import ended, ended_as
from evs_webhook.sightings import Sighting, sighting_of
from evs_webhook.waiters import Waiter, Waiters, Word
from support.webhook import status_of

ME = Caller("token")


def job(
    version: int, *, uid: str = "u-1", name: str = "a", namespace: str = "ns", word: str = "", job: str = "j" * 8
) -> dict[str, Any]:
    """Return an EvsJob of that version, with a status if there is a word for it."""
    metadata = {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": str(version), "generation": 1}
    obj: dict[str, Any] = {"metadata": metadata, "spec": {"jobId": job}}
    return {**obj, "status": status_of(obj, word)} if word else obj


class Store:
    """What a GET shows; a Problem is raised. It counts how often it was asked."""

    def __init__(self, *shown: dict[str, Any] | Problem) -> None:
        self._shown = list(shown)
        self.asked = 0

    async def read(self, caller: Caller, namespace: str, name: str) -> Sighting:
        assert caller is ME
        self.asked += 1
        found = self._shown.pop(0) if len(self._shown) > 1 else self._shown[0]
        if isinstance(found, Problem):
            raise found
        return sighting_of(found)


async def wait(store: Store, waiter: Waiter, first: Mapping[str, Any], seconds: float = 30) -> list[Sighting]:
    versions = follow(cast(Jobs, store), ME, waiter, sighting_of(first), seconds, ended)
    return [seen async for seen in versions if seen is not None]


async def test_the_end_of_the_object_that_was_shown_is_told_and_ends_the_wait() -> None:
    waiters, store = Waiters(1), Store(job(1))
    with waiters.registered("ns", "a") as waiter:
        for version, word in ((2, "InProgress"), (3, "Complete"), (4, "Complete")):
            waiters.take("EvsJob", "MODIFIED", job(version, word=word))
        told = await wait(store, waiter, job(1))
    assert [(seen.version, seen.view["state"]) for seen in told] == [("2", "InProgress"), ("3", "Complete")]
    assert store.asked == 0


async def test_what_came_before_the_get_is_no_news() -> None:
    waiters, store = Waiters(1), Store(job(5))
    with waiters.registered("ns", "a") as waiter:
        waiters.take("EvsJob", None, job(3, word="Complete"))
        waiters.take("EvsJob", "DELETED", job(4, uid="u-0"))
        waiters.take("EvsJob", "MODIFIED", job(4, uid="u-0", word="Complete"))
        assert await wait(store, waiter, job(5), 0.05) == []
    assert store.asked == 1  # at the end of the time


async def test_a_namesake_is_asked_about_and_never_told_as_the_one_that_was_shown() -> None:
    waiters, store = Waiters(1), Store(job(9, uid="u-2", word="Complete"))
    with waiters.registered("ns", "a") as waiter:
        waiters.take("EvsJob", "ADDED", job(8, uid="u-2", word="Complete"))
        with pytest.raises(Problem, match="was deleted while you waited"):
            await wait(store, waiter, job(5))


async def test_its_deletion_ends_the_wait_and_that_of_a_namesake_before_it_does_not() -> None:
    waiters, store = Waiters(1), Store(job(5))
    with waiters.registered("ns", "a") as waiter:
        waiters.take("EvsJob", "DELETED", job(2, uid="u-0"))
        waiters.take("EvsJob", "DELETED", job(7))
        with pytest.raises(Problem) as raised:
            await wait(store, waiter, job(5))
    assert (raised.value.status, store.asked) == (404, 0)


async def test_a_restored_store_is_believed_whatever_its_version() -> None:
    waiters, store = Waiters(1), Store(job(3, word="Complete"))
    with waiters.registered("ns", "a") as waiter:
        waiters.take("EvsJob", RESTORED, job(3, word="Complete"))
        (told,) = await wait(store, waiter, job(50))
    assert (told.version, told.view["state"]) == ("3", "Complete")


async def test_what_a_new_list_does_not_show_is_read_again_and_what_it_shows_is_not() -> None:
    waiters, store = Waiters(2), Store(Problem(404, "not found"))
    with waiters.registered("ns", "a") as gone, waiters.registered("ns", "b") as there:
        waiters.take("EvsJob", None, job(9, name="b", word="Complete"))
        waiters.listed()
        (told,) = await wait(store, there, job(5, name="b"))
        assert told.view["ended"]
        assert store.asked == 0
        with pytest.raises(Problem, match="deleted while you waited"):
            await wait(store, gone, job(5))


async def test_an_api_server_that_is_away_ends_no_wait_and_a_refusal_does() -> None:
    waiters = Waiters(1)
    with waiters.registered("ns", "a") as waiter:
        assert await wait(Store(Problem(503, "away")), waiter, job(5), 0.01) == []
        with pytest.raises(Problem, match="not any more"):
            await wait(Store(Problem(403, "not any more")), waiter, job(5), 0.01)


async def test_doubt_is_settled_once_the_api_server_is_back() -> None:
    waiters, store = Waiters(1), Store(Problem(503, "away"), job(9, word="Failed"))
    with waiters.registered("ns", "a") as waiter:
        waiter.say(Word.DOUBT)
        (told,) = await wait(store, waiter, job(5))
    assert (told.view["state"], store.asked) == ("Failed", 2)


async def test_at_the_end_of_the_process_every_waiter_leaves_and_new_ones_do_at_once() -> None:
    waiters = Waiters(5)
    with waiters.registered("ns", "a") as waiter:
        waits = asyncio.create_task(wait(Store(job(1)), waiter, job(1)))
        await asyncio.sleep(0)
        waiters.stop()
        assert await asyncio.wait_for(waits, 5) == []
        with waiters.registered("ns", "b") as late:
            assert await wait(Store(job(1)), late, job(1)) == []


async def test_changes_that_nobody_reads_are_bounded_and_the_last_one_stays() -> None:
    waiters = Waiters(1)
    with waiters.registered("ns", "a") as waiter:
        for version in range(2, 500):
            waiters.take("EvsJob", "MODIFIED", job(version, word="Complete" if version == 499 else "InProgress"))
        told = await wait(Store(job(1)), waiter, job(1))
    assert len(told) <= 16
    assert told[-1].view["ended"]


def test_an_end_of_another_job_id_is_a_conflict() -> None:
    judge = ended_as("j" * 8)
    assert judge(sighting_of(job(2, word="Complete")))
    with pytest.raises(Problem, match="another job"):
        judge(sighting_of(job(2, word="Complete", job="k" * 8)))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60), st.integers(1, 6))
@settings(max_examples=200)
def test_places_are_never_more_than_there_are_and_no_namespace_starves(
    moves: list[tuple[str, bool]], most: int
) -> None:
    """However they come and go: a namespace is refused only if it has as many places as any other, but for one."""
    waiters = Waiters(most)
    open_ones: list[tuple[Any, Waiter]] = []
    for namespace, leaves in moves:
        if leaves and open_ones:
            context, _ = open_ones.pop(0)
            context.__exit__(None, None, None)
            continue
        context = waiters.registered(namespace, "x")
        waiter = context.__enter__()
        open_ones.append((context, waiter))
        places = {ns: len(own) for ns, own in waiters._admitted.items()}
        try:
            waiters.admit(waiter)
        except Problem as problem:
            assert (problem.status, sum(places.values())) == (429, most)  # noqa: PT017  # raised or not
            assert places.get(namespace, 0) + 1 >= max(places.values())
        assert waiters.number == sum(len(own) for own in waiters._admitted.values()) <= most
    for context, _ in open_ones:
        context.__exit__(None, None, None)
    assert (waiters.number, waiters._by_name, waiters._admitted) == (0, {}, {})


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ADDED", "MODIFIED", "DELETED", None, RESTORED]),
            st.integers(1, 12),
            st.sampled_from(["u-1", "u-2"]),
            st.sampled_from(["InProgress", "Complete"]),
        ),
        max_size=12,
    )
)
@settings(max_examples=300)
def test_whatever_the_watch_brings_nothing_of_another_object_is_told(
    events: list[tuple[str | None, int, str, str]],
) -> None:
    async def run() -> None:
        waiters, store = Waiters(1), Store(job(6))
        with waiters.registered("ns", "a") as waiter:
            for kind, version, uid, word in events:
                waiters.take("EvsJob", kind, job(version, uid=uid, word=word))
            try:
                told = await wait(store, waiter, job(6), 0)
            except Problem as problem:
                assert problem.status == 404  # noqa: PT017  # raised or not
                assert ("DELETED", "u-1") in {(kind, uid) for kind, _, uid, _ in events}
                return
        assert {seen.uid for seen in told} <= {"u-1"}
        assert all(int(seen.version) > 6 or seen.version == "6" for seen in told)

    asyncio.run(run())
