"""Which namespaces may use a ClusterEvsConnection, also after their labels changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from evs_operator.api.reasons import Reason
from evs_operator.connections.access import ConnectionTroubleError
from evs_operator.kube.api import KubeError
from support.connections import ConnectionsWorld

PATH = "/api/v1/namespaces/team-a"
BY_LABEL = {"allowedNamespaces": {"selector": {"matchLabels": {"evs": "allowed"}}}}


@pytest.fixture
def world() -> ConnectionsWorld:
    world = ConnectionsWorld()
    world.api.put_secret("evs-operator", "evs-credentials", token="the-token-of-the-platform")
    world.api.put_namespace("team-a", evs="allowed")
    return world


async def refusal(world: ConnectionsWorld, namespace: str = "team-a") -> str:
    try:
        await world.poll(namespace, connectionRef={"kind": "ClusterEvsConnection", "name": "shared"})
    except ConnectionTroubleError as error:
        trouble = error.trouble
    else:
        return ""
    assert trouble.reason is Reason.CONNECTION_NOT_ALLOWED
    return trouble.message()


@pytest.mark.parametrize(
    ("allowed", "may"),
    [
        ({}, False),
        ({"allowedNamespaces": {"names": []}}, False),
        ({"allowedNamespaces": {"names": ["team-b"]}}, False),
        ({"allowedNamespaces": {"names": ["team-a"]}}, True),
        ({"allowedNamespaces": {"selector": {}}}, True),
        (BY_LABEL, True),
        ({"allowedNamespaces": {"selector": {"matchLabels": {"evs": "no"}}}}, False),
        (
            {"allowedNamespaces": {"selector": {"matchExpressions": [{"key": "evs", "operator": "Later"}]}}},
            False,
        ),
    ],
)
async def test_a_namespace_may_where_the_connection_says_so(
    world: ConnectionsWorld, allowed: dict[str, Any], may: bool
) -> None:
    world.connect("", "shared", **allowed)
    said = await refusal(world)
    assert (said == "") is may
    if not may:
        assert said == (
            "ClusterEvsConnection shared does not allow namespace 'team-a': name it in spec.allowedNamespaces"
        )
        assert world.cloud.calls == []
        assert world.reads("evs-operator") == 0


async def test_a_namespace_that_lost_its_label_loses_the_connection_within_ten_seconds(world: ConnectionsWorld) -> None:
    world.connect("", "shared", **BY_LABEL)
    assert await refusal(world) == ""
    world.api.put_namespace("team-a")
    world.now += 9.9
    assert await refusal(world) == ""
    world.now += 0.1
    assert await refusal(world) != ""
    assert len(world.cloud.calls) == 2


async def test_a_namespace_that_gets_the_label_is_noticed_without_a_poll(world: ConnectionsWorld) -> None:
    world.connect("", "shared", **BY_LABEL)
    world.api.put_namespace("team-a")
    assert await refusal(world) != ""
    assert await world.registry.tenancy.newly_allowed() == []
    world.api.put_namespace("team-a", evs="allowed")
    world.now += 10
    assert await world.registry.tenancy.newly_allowed() == [(world.key("", "shared"), "team-a")]
    assert await world.registry.tenancy.newly_allowed() == []


async def test_labels_are_read_once_for_all_jobs_of_a_namespace(world: ConnectionsWorld) -> None:
    world.connect("", "shared", **BY_LABEL)
    assert set(await asyncio.gather(*(refusal(world) for _ in range(100)))) == {""}
    assert world.api.asked(PATH) == 1


async def test_labels_that_may_not_be_read_allow_nobody_and_say_why(world: ConnectionsWorld) -> None:
    world.api.objects[PATH] = 403
    world.connect("", "shared", **BY_LABEL)
    assert "grant it `get` on namespaces" in await refusal(world)


@pytest.mark.parametrize("status", [404, 500, 0])
async def test_labels_that_cannot_be_read_now_are_no_verdict(world: ConnectionsWorld, status: int) -> None:
    world.connect("", "shared", **BY_LABEL)
    world.api.objects[PATH] = status
    with pytest.raises(KubeError):
        await refusal(world)
    assert world.cloud.calls == []


async def test_a_connection_of_a_namespace_asks_for_no_labels(world: ConnectionsWorld) -> None:
    world.api.put_secret("team-a", "evs-credentials", token="the-token-of-team-a")
    world.connect("team-a", "default")
    await world.poll()
    assert world.api.asked(PATH) == 0
