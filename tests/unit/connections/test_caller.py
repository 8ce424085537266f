"""What one call does to budget, credential and connection: the same for a poll and for a verification."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from evs_operator.api.reasons import Reason
from evs_operator.connections.caller import Caller
from evs_operator.connections.connection import Connection
from evs_operator.evs import errors
from support.connections import PROJECT, ConnectionsWorld
from support.jobs import JOB_ID, job

Way = Callable[[Caller], Awaitable[object]]
WAYS: dict[str, Way] = {
    "poll": lambda caller: caller.get_job(PROJECT, JOB_ID),
    "verification": lambda caller: caller.prove(PROJECT),
}


@dataclass(frozen=True)
class After:
    """What is known after a call: how many may wait together, seconds of pause, credential, connection's trouble."""

    in_flight: int = 5
    pause: float = 0.0
    accepted: bool = False
    refused: bool = False
    trouble: Reason | None = None


AFTER: dict[type[errors.CloudError], After] = {
    errors.RateLimited: After(in_flight=4, pause=60.0),
    errors.PollTimeout: After(in_flight=2, trouble=Reason.TIMEOUT),
    errors.Unreachable: After(in_flight=2, trouble=Reason.UNREACHABLE),
    errors.ServerError: After(trouble=Reason.SERVER_ERROR),
    errors.InvalidResponse: After(),
    errors.JobMissing: After(accepted=True),
    errors.Unauthorized: After(refused=True),
    errors.AccessKeyLocked: After(refused=True),
    errors.Forbidden: After(accepted=True),
    errors.WrongProject: After(accepted=True),
    errors.EndpointInvalid: After(trouble=Reason.ENDPOINT_INVALID),
    errors.EndpointRefused: After(refused=True),
    errors.Rejected: After(accepted=True),
}


async def opened() -> tuple[ConnectionsWorld, Connection, Caller]:
    """Return a connection whose Secret was read, with a call taken from its budget."""
    world = ConnectionsWorld()
    world.api.put_secret("team-a", "evs-credentials", token="a-token")
    connection = world.connect()
    await world.registry.prepare(connection)
    caller = world.registry.client(connection, PROJECT, "team-a")
    assert caller.budget.take(world.now) == 0.0
    return world, connection, caller


def state(world: ConnectionsWorld, connection: Connection) -> After:
    assert connection.identity is not None
    return After(
        connection.budget.in_flight,
        max(connection.budget.paused_until - world.now, 0.0),
        connection.identity.accepted,
        connection.identity.refusal is not None,
        connection.trouble and connection.trouble.reason,
    )


@pytest.mark.parametrize("call", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("kind", "after"), AFTER.items(), ids=lambda value: getattr(value, "__name__", ""))
async def test_a_call_is_taken_by_budget_credential_and_connection_whoever_makes_it(
    kind: type[errors.CloudError], after: After, call: Way
) -> None:
    world, connection, caller = await opened()
    world.cloud.answer = lambda job_id: kind("what happened")
    with pytest.raises(kind):
        await call(caller)
    assert state(world, connection) == after
    assert connection.budget.calls == 1


@pytest.mark.parametrize("kind", AFTER, ids=lambda kind: kind.__name__)
async def test_what_passes_and_is_not_of_the_way_says_nothing_of_the_way(kind: type[errors.CloudError]) -> None:
    world, connection, caller = await opened()
    world.cloud.answer = lambda job_id: errors.Unreachable("no route")
    with pytest.raises(errors.Unreachable):
        await caller.prove(PROJECT)
    world.cloud.answer = lambda job_id: kind("what happened")
    with pytest.raises(kind):
        await caller.prove(PROJECT)
    passes = kind in (errors.RateLimited, errors.InvalidResponse)
    expected = Reason.UNREACHABLE if passes else AFTER[kind].trouble
    assert (connection.trouble and connection.trouble.reason) == expected


@pytest.mark.parametrize("call", WAYS.values(), ids=WAYS)
async def test_an_answer_heals_what_was_known_of_the_way(call: Way) -> None:
    world, connection, caller = await opened()
    world.cloud.answer = lambda job_id: errors.Unreachable("no route")
    with pytest.raises(errors.Unreachable):
        await call(caller)
    world.cloud.answer = lambda job_id: job("RUNNING")
    await call(caller)
    assert state(world, connection) == After(in_flight=3, accepted=True)
    assert connection.reach.reached


@pytest.mark.parametrize("call", WAYS.values(), ids=WAYS)
async def test_what_another_call_met_costs_nothing_from_the_budget(call: Way) -> None:
    world, connection, caller = await opened()
    world.cloud.slow = True
    world.cloud.answer = lambda job_id: errors.Unauthorized("no", http_status=401)
    found = await asyncio.gather(*(call(caller) for _ in range(5)), return_exceptions=True)
    assert sorted(isinstance(error, errors.CloudError) and error.shared for error in found) == [False] + [True] * 4
    assert (len(world.cloud.calls), connection.budget.calls) == (1, 1)


async def test_a_call_that_is_given_up_counts_as_unanswered_and_says_nothing_else() -> None:
    world, connection, caller = await opened()
    world.cloud.slow = True
    within = asyncio.timeout(0)
    with pytest.raises(TimeoutError):
        await caller.get_job(PROJECT, JOB_ID, within=within)
    assert state(world, connection) == After(in_flight=2)
    assert not connection.reach.reached


async def test_a_call_goes_only_from_the_budget_it_was_taken_from_and_not_into_a_pause() -> None:
    world, connection, caller = await opened()
    assert caller.may_spend(connection.budget)
    assert not caller.may_spend(None)
    assert not caller.may_spend(world.connect(name="other").budget)
    connection.budget.hold(world.now + 10.0)
    assert not caller.may_spend(connection.budget)


async def test_a_caller_knows_that_the_secret_holds_another_credential_by_now() -> None:
    world, connection, caller = await opened()
    assert not caller.replaced
    world.api.put_secret("team-a", "evs-credentials", token="a-better-token")
    world.now += 2
    assert await world.registry.refresh(connection)
    assert caller.replaced
    assert not caller.may_spend(connection.budget)
