"""Whose Secrets are read now: the broken first, none too often, and never more than agreed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from evs_operator.api.connection import parse_connection
from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.connections.connection import Connection
from evs_operator.connections.credential.identity import Refusal
from evs_operator.connections.refresh_order import BROKEN_PER_SECOND, HEALTHY_PER_SECOND, TICK, due
from evs_operator.core.observation import Trouble
from support.connections import ENDPOINT, TOKEN_AUTH, ConnectionsWorld

NOW = 1_000_000.0
SPEC = parse_connection({"endpoint": ENDPOINT, "auth": TOKEN_AUTH})
BLOCK = Refusal(Trouble(Reason.CREDENTIALS_INVALID, "no Secret"), ConnectionReason.SECRET_NOT_FOUND, float("inf"))


def connections(
    number: int, *, broken: bool, read_at: float = NOW - 60, asked_at: float = NOW, namespace: str = "team-a"
) -> list[Connection]:
    block = BLOCK if broken else None
    return [
        Connection(
            ConnectionsWorld.key(namespace, f"c{n}"), spec=SPEC, own_refusal=block, read_at=read_at, asked_at=asked_at
        )
        for n in range(number)
    ]


def reads_in(found: list[Connection], seconds: float) -> list[list[float]]:
    """Run rounds; return the times at which each connection was read."""
    times: list[list[float]] = [[] for _ in found]
    for tick in range(int(seconds / TICK)):
        now = NOW + tick * TICK
        for connection in due(found, now):
            connection.read_at = now
            times[found.index(connection)].append(now)
    return times


def test_each_of_hundreds_of_broken_connections_is_read_within_five_seconds() -> None:
    found = [*connections(250, broken=True), *connections(300, broken=False)]
    times = reads_in(found, 30)
    for at in times[:250]:
        gaps = [later - earlier for earlier, later in pairwise(at)]
        assert max(gaps) <= 5.0
    assert all(times[250:])  # those in good order are read too, if more seldom


def test_no_more_is_read_in_a_second_than_agreed() -> None:
    found = [*connections(1000, broken=True), *connections(1000, broken=False)]
    times = reads_in(found, 20)
    assert sum(len(at) for at in times[:1000]) <= BROKEN_PER_SECOND * 20
    assert sum(len(at) for at in times[1000:]) <= HEALTHY_PER_SECOND * 20


def test_a_connection_is_read_every_two_seconds_while_jobs_use_it_or_wait_for_it_and_seldom_elsewhere() -> None:
    used, waited_for = connections(1, broken=False), connections(1, broken=True, asked_at=NOW - 300)
    idle = [*connections(1, broken=False, asked_at=NOW - 61), *connections(1, broken=True, asked_at=0.0)]
    counts = [len(at) for at in reads_in([*used, *waited_for, *idle], 20)]
    assert counts == [10, 10, 1, 2]  # once a minute in good order, every ten seconds where broken


def test_broken_connections_that_nobody_uses_hold_up_none_that_jobs_wait_for() -> None:
    found = [*connections(1000, broken=True, asked_at=0.0), *connections(150, broken=True)]
    times = reads_in(found, 20)
    assert [len(at) for at in times[1000:]] == [10] * 150
    assert sum(len(at) for at in times[:1000])


def test_a_connection_that_was_never_read_is_read_at_once() -> None:
    found = [*connections(500, broken=False), *connections(1, broken=False, read_at=0.0)]
    assert due(found, NOW)[0] is found[-1]


def test_a_connection_whose_spec_cannot_be_read_has_no_secret_to_read() -> None:
    (connection,) = connections(1, broken=True)
    connection.spec = None
    assert due([connection], NOW) == []


@pytest.mark.parametrize("broken", [False, True])
def test_a_namespace_with_a_thousand_connections_delays_no_other_namespaces_secret(broken: bool) -> None:
    crowd = connections(1000, broken=broken, namespace="crowd")
    one = connections(1, broken=broken, namespace="other", read_at=NOW - 2)
    times = reads_in([*crowd, *one], 60)
    gaps = [later - earlier for earlier, later in pairwise([NOW, *times[-1]])]
    assert max(gaps) <= 2.0
    assert all(times[:100]), "the crowd has its turns too"


def test_namespaces_take_turns_whatever_they_have_waiting() -> None:
    found = [
        s for n in range(20) for s in connections(2 + 10 * n, broken=False, read_at=NOW - 60 - n, namespace=f"ns-{n}")
    ]
    times = reads_in(found, 10)
    by_namespace = Counter(found[index].key.namespace for index, at in enumerate(times) for _ in at)
    assert sum(by_namespace.values()) == 100
    assert min(by_namespace.values()) >= 4
