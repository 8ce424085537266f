"""Pools that all namespaces share: what hangs for one of them is waited for by that one alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from evs_operator.clock import Clock
from evs_operator.connections.connection import Connection
from evs_operator.connections.refresh_order import TICK
from evs_operator.connections.secret_refresh import SecretRefresh
from evs_operator.connections.verification import Verification
from evs_operator.evs import errors
from evs_operator.kube.api import KubeError
from support.connections import ConnectionsWorld
from support.lease_world import VirtualLoop, virtual_loop

HANGS = 30.0
HUNG, WELL = "e" * 32, "a" * 32


class Shared:
    """Connections of several namespaces, looked after in virtual time."""

    def __init__(self) -> None:
        self.world = ConnectionsWorld(clock=Clock(loop_time, loop_time))
        self.api, self.registry, self.cloud = self.world.api, self.world.registry, self.world.cloud
        self.api.meanwhile = lambda request: asyncio.sleep(HANGS if self.mute(request.path) else 0.01)
        self.mute: Callable[[str], bool] = lambda path: False
        self.verification = Verification(self.registry, self.world.clock)
        self.looks = SecretRefresh(self.look, self.world.clock)
        self.cloud.answer = lambda job_id: errors.JobMissing("no such job")

    async def look(self, connection: Connection) -> None:
        with contextlib.suppress(KubeError):
            await self.registry.refresh(connection)

    def add(self, namespace: str, number: int, project: str) -> Connection:
        name = f"c{number}"
        self.api.put_secret(namespace, name, token=f"token of {namespace}/{name}")
        auth = {"token": {"secretRef": {"name": name}}}
        return self.world.connect(namespace, name, uid=f"{namespace}/{name}", projectId=project, auth=auth)

    async def rounds(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Let rounds pass; return the seconds until it was so."""
        began = loop_time()
        while loop_time() < began + seconds and not until():
            await asyncio.sleep(TICK)
            self.looks.start_due(self.registry)
            self.verification.start_due(self.registry)
        return loop_time() - began


def loop_time() -> float:
    return 1_000_000.0 + virtual_loop().now


def in_shared(main: Callable[[Shared], Awaitable[None]]) -> None:
    async def within() -> None:
        shared = Shared()
        await main(shared)
        await shared.verification.aclose()
        await shared.looks.aclose()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(within())


@pytest.mark.parametrize("namespaces", [1, 30])
def test_a_connection_is_verified_in_seconds_beside_sixty_whose_endpoint_hangs(namespaces: int) -> None:
    async def main(shared: Shared) -> None:
        shared.cloud.hung.add(HUNG)
        for number in range(60):
            shared.add(f"crowd-{number % namespaces}", number, HUNG)
        await shared.rounds(10)
        good = shared.add("victim", 0, WELL)
        assert await shared.rounds(60, lambda: good.verified) <= 4.5

    in_shared(main)


def test_a_namespace_has_one_verification_under_way_and_a_new_connection_of_its_own_is_next() -> None:
    async def main(shared: Shared) -> None:
        shared.cloud.hung.add(HUNG)
        for number in range(10):
            shared.add("crowd", number, HUNG)
        await shared.rounds(15)
        assert len(shared.cloud.calls) == 1
        await shared.rounds(301)
        good = shared.add("crowd", 10, WELL)
        assert await shared.rounds(60, lambda: good.verified) <= HANGS + 5

    in_shared(main)


def test_a_connection_that_is_corrected_does_not_wait_for_what_was_asked_before() -> None:
    async def main(shared: Shared) -> None:
        shared.cloud.hung.add(HUNG)
        shared.add("team-a", 0, HUNG)
        await shared.rounds(6)
        auth = {"token": {"secretRef": {"name": "c0"}}}
        good = shared.world.connect("team-a", "c0", uid="team-a/c0", generation=2, projectId=WELL, auth=auth)
        assert await shared.rounds(60, lambda: good.verified) <= 4.5

    in_shared(main)


def test_sixty_secrets_that_do_not_come_delay_no_other_namespaces() -> None:
    async def main(shared: Shared) -> None:
        shared.mute = lambda path: "/crowd/" in path
        for number in range(60):
            shared.add("crowd", number, WELL)
        await shared.rounds(10)
        good = shared.add("victim", 0, WELL)
        assert await shared.rounds(60, lambda: good.identity is not None) <= 1.1
        shared.api.put_secret("victim", "c0", token="another")
        assert await shared.rounds(60, lambda: good.credentials_seen == 2) <= 3.1

    in_shared(main)


def test_a_secret_that_does_not_come_is_given_up_and_what_was_read_before_serves_meanwhile() -> None:
    async def main(shared: Shared) -> None:
        connection = shared.add("team-a", 0, WELL)
        await shared.rounds(1)
        shared.mute = lambda path: True
        await shared.rounds(5)
        assert [request.name for request in shared.api.in_flight] == ["c0"]
        began = loop_time()
        with pytest.raises(errors.JobMissing):
            await shared.world.poll("team-a", connectionRef={"kind": "EvsConnection", "name": "c0"})
        assert loop_time() - began < 0.5
        await shared.rounds(3)
        assert connection.refusal is None

    in_shared(main)


def test_many_who_wait_for_a_secret_that_does_not_come_wait_five_seconds_together() -> None:
    async def main(shared: Shared) -> None:
        shared.mute = lambda path: True
        shared.add("team-a", 0, WELL)
        for number in range(1, 20):
            auth = {"token": {"secretRef": {"name": "c0"}}}
            shared.world.connect("team-a", f"c{number}", uid=str(number), auth=auth)
        refs = [{"connectionRef": {"kind": "EvsConnection", "name": f"c{number}"}} for number in range(20)]
        began = loop_time()
        await asyncio.gather(*(shared.world.poll("team-a", **ref) for ref in refs), return_exceptions=True)
        assert loop_time() - began < 6.0

    in_shared(main)


def test_namespaces_whose_labels_do_not_come_delay_no_other_that_got_its_label() -> None:
    async def main(shared: Shared) -> None:
        shared.api.put_secret("evs-operator", "evs-credentials", token="shared")
        shared.world.connect("", "default", allowedNamespaces={"selector": {"matchLabels": {"evs": "yes"}}})
        for name in [f"crowd-{number}" for number in range(19)] + ["victim"]:
            shared.api.put_namespace(name)
            with pytest.raises(Exception, match="does not allow"):
                await shared.world.poll(name)
        shared.api.put_namespace("victim", evs="yes")
        shared.mute = lambda path: "crowd" in path
        await asyncio.sleep(11)
        began = loop_time()
        assert [namespace for _, namespace in await shared.registry.tenancy.newly_allowed()] == ["victim"]
        assert loop_time() - began < 6.0

    in_shared(main)
