"""One or two Lease holders, an API server for one Lease, and no real time."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from functools import wraps
from itertools import chain, repeat
from typing import Any

import pytest

from evs_operator.kube.api import KubeError
from evs_operator.kube.lease import LeaseHolder
from support.lease_world import LeaseServer, MachineClock, Trip, in_virtual_time, virtual_loop

UNREACHABLE = KubeError(0, "API server not reachable: refused")


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in virtual time."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        in_virtual_time(test(*arguments, **named))

    return run


class Candidate:
    """A holder and the task that runs it."""

    def __init__(self, server: LeaseServer, identity: str, clock: MachineClock | None = None) -> None:
        self.holder = LeaseHolder(server, "ops", clock or MachineClock(), identity=identity, jitter=lambda: 0.5)
        self.task = asyncio.create_task(self.holder.run())

    @property
    def leads(self) -> bool:
        return self.holder.leads

    async def die(self) -> None:
        """Stop without a word, as kill -9 does."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@virtual
async def test_the_first_process_creates_the_lease_and_leads() -> None:
    server = LeaseServer()
    first = Candidate(server, "a")
    await first.holder.held()
    assert first.leads
    spec = server.writes[0]
    assert spec == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": spec["renewTime"],
        "renewTime": spec["renewTime"],
        "leaseTransitions": 0,
    }
    assert re.fullmatch(r"2026-01-01T00:00:00\.0000\d\dZ", spec["renewTime"])
    await first.die()


@virtual
async def test_a_holder_renews_every_five_seconds_and_says_when() -> None:
    server = LeaseServer()
    first = Candidate(server, "a")
    await asyncio.sleep(21)
    assert first.leads
    assert [write["renewTime"][17:19] for write in server.writes] == ["00", "05", "10", "15", "20"]
    assert {write["leaseTransitions"] for write in server.writes} == {0}
    await first.die()


@virtual
async def test_a_second_process_stands_by_for_as_long_as_the_first_renews(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = LeaseServer()
    first, second = Candidate(server, "a"), Candidate(server, "b", MachineClock(offset=1e6, wall_offset=-1e5))
    await asyncio.sleep(600)
    assert first.leads
    assert not second.leads
    assert second.holder.problem == ""
    assert [text for text in caplog.messages if "standby" in text] == ["standby: Lease ops/evs-operator is held by a"]
    await first.die()
    await second.die()


@virtual
async def test_another_takes_over_within_twenty_seconds_of_the_death_of_the_holder() -> None:
    server = LeaseServer()
    first, second = Candidate(server, "a"), Candidate(server, "b")
    await asyncio.sleep(33)
    await first.die()
    died = virtual_loop().now
    await second.holder.held()
    assert 10 < virtual_loop().now - died < 18
    assert server.writes[-1]["holderIdentity"] == "b"
    assert server.writes[-1]["leaseTransitions"] == 1
    await second.die()


@virtual
async def test_a_released_lease_is_taken_within_three_seconds() -> None:
    server = LeaseServer()
    first, second = Candidate(server, "a"), Candidate(server, "b")
    await asyncio.sleep(33)
    await first.die()
    await first.holder.release()
    released = virtual_loop().now
    assert not first.leads
    assert server.writes[-1]["holderIdentity"] == ""
    await second.holder.held()
    assert virtual_loop().now - released < 3
    await second.die()


@virtual
async def test_a_process_that_never_led_releases_nothing() -> None:
    server = LeaseServer()
    first = Candidate(server, "a")
    await first.holder.held()
    second = Candidate(server, "b")
    await asyncio.sleep(5)
    await second.die()
    before = len(server.requests)
    await second.holder.release()
    assert len(server.requests) == before
    assert first.leads
    await first.die()


@virtual
async def test_a_release_gets_over_a_renewal_that_arrives_between_its_look_and_its_write() -> None:
    server = LeaseServer()
    first = Candidate(server, "a")
    await first.holder.held()
    await first.die()
    request, moved = server.request, False

    async def late_renewal(method: str, path: str, *, body: object = None) -> dict[str, object]:
        nonlocal moved
        if method == "PUT" and not moved and server.lease:
            moved = True
            server.lease["metadata"]["resourceVersion"] = "late"
        return await request(method, path, body=body)

    server.request = late_renewal  # type: ignore[method-assign]
    await first.holder.release()
    assert moved
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == ""


@virtual
async def test_a_release_that_gets_no_answer_gives_up_in_two_seconds(caplog: pytest.LogCaptureFixture) -> None:
    server = LeaseServer(chain(repeat(Trip(), 2), repeat(Trip(there=60))))
    first = Candidate(server, "a")
    await first.holder.held()
    await first.die()
    began = virtual_loop().now
    await first.holder.release()
    assert virtual_loop().now - began == pytest.approx(2, abs=0.01)
    assert caplog.messages == ["Lease ops/evs-operator was not released and will expire: no answer in time"]


@pytest.mark.parametrize("trip", [Trip(lost="there"), Trip(there=60), Trip(back=60)])
@virtual
async def test_who_cannot_renew_stops_ten_seconds_after_the_last_renewal_was_sent(
    caplog: pytest.LogCaptureFixture, trip: Trip
) -> None:
    # The write that succeeds takes 2 s on its way: they count.
    server = LeaseServer(chain([Trip(), Trip(there=1, back=1)], repeat(trip)))
    first = Candidate(server, "a")
    await first.task
    assert virtual_loop().now == pytest.approx(10, abs=0.01)
    assert not first.leads
    assert caplog.messages[-1].startswith("stopping: Lease ops/evs-operator is lost: not renewed within 10 s: ")


@virtual
async def test_a_single_failure_to_renew_costs_nothing() -> None:
    hiccup = [Trip(), Trip(), Trip(there=60), Trip(), Trip(), Trip(), Trip(lost="back")]
    server = LeaseServer(chain(hiccup, repeat(Trip())))
    first = Candidate(server, "a")
    await asyncio.sleep(120)
    assert first.leads
    assert not first.task.done()
    await first.die()


@virtual
async def test_a_lease_that_names_another_is_lost_at_once(caplog: pytest.LogCaptureFixture) -> None:
    server = LeaseServer()
    first = Candidate(server, "a")
    await first.holder.held()
    assert server.lease is not None
    server.lease["spec"]["holderIdentity"] = "b"
    server.lease["metadata"]["resourceVersion"] = "99"
    await first.task
    assert virtual_loop().now == pytest.approx(5, abs=0.01)
    assert not first.leads
    assert caplog.messages == ["stopping: Lease ops/evs-operator is lost: held by b now"]


@pytest.mark.parametrize("emptied", [True, False])
@virtual
async def test_a_lease_emptied_or_deleted_under_its_holder_is_lost_and_not_taken_back(emptied: bool) -> None:
    # Between its end and now another may have led, and may lead still.
    server = LeaseServer()
    first = Candidate(server, "a")
    await first.holder.held()
    if emptied:
        assert server.lease is not None
        server.lease["spec"]["holderIdentity"] = ""
        server.lease["metadata"]["resourceVersion"] = "99"
    else:
        server.lease = None
    await first.task
    assert len(server.writes) == 1


@virtual
async def test_an_answer_that_was_lost_is_not_taken_for_success() -> None:
    server = LeaseServer(chain([Trip(), Trip(lost="back")], repeat(Trip())))
    first = Candidate(server, "a")
    await asyncio.sleep(1)
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == "a"
    assert not first.leads
    await first.holder.held()
    assert virtual_loop().now == pytest.approx(2, abs=0.01)
    await first.die()


@virtual
async def test_without_permission_it_waits_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    server = LeaseServer()
    server.refusal = KubeError(403, "leases.coordination.k8s.io is forbidden")
    first = Candidate(server, "a")
    await asyncio.sleep(60)
    words = (
        "no permission to get leases.coordination.k8s.io in namespace ops: grant it to the operator's ServiceAccount"
    )
    assert caplog.messages == [f"waiting: {words}"]
    assert first.holder.problem == words
    server.refusal = None
    await first.holder.held()
    assert first.holder.problem == ""
    await first.die()


@virtual
async def test_what_others_wrote_into_the_lease_stays_in_it() -> None:
    server = LeaseServer()
    server.lease = {
        "metadata": {"name": "evs-operator", "resourceVersion": "5", "labels": {"team": "storage"}},
        "spec": {"holderIdentity": "", "leaseTransitions": 6, "strategy": "OldestEmulationVersion"},
    }
    first = Candidate(server, "a")
    await first.holder.held()
    assert server.lease["metadata"]["labels"] == {"team": "storage"}
    assert server.lease["spec"]["strategy"] == "OldestEmulationVersion"
    assert server.lease["spec"]["leaseTransitions"] == 7
    await first.die()


def test_two_processes_on_one_machine_have_different_identities() -> None:
    first, second = (LeaseHolder(LeaseServer(), "ops", MachineClock()) for _ in range(2))
    assert first.identity != second.identity
