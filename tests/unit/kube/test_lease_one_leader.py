"""Whatever the network, the clocks and the processes do: no two lead at once, and in the end one leads.

Simulated in virtual time with the code that runs in production; what is drawn is the world around it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import chain, cycle, islice, repeat

from hypothesis import given, settings
from hypothesis import strategies as st

from evs_operator.kube.lease import LeaseHolder
from support.lease_world import LeaseServer, MachineClock, Trip, in_virtual_time, virtual_loop

TROUBLE = 120.0
CALM = 60.0

_SECONDS = st.one_of(st.sampled_from([0.0, 0.01, 1.0, 2.9, 5.0, 14.0, 16.0, 30.0]), st.floats(0, 40))
_QUICK = st.floats(0, 0.2)
_TRIPS = st.one_of(
    st.builds(Trip, _QUICK, _QUICK),
    st.builds(Trip, _SECONDS, _SECONDS, st.sampled_from(["", "", "there", "back"])),
)
_CLOCKS = st.builds(MachineClock, st.floats(-1e6, 1e6), st.floats(0.9, 1.1), st.floats(-1e6, 1e6))


@dataclass(frozen=True)
class Life:
    """A process: seconds until it starts, seconds that it runs, and whether it ends by SIGTERM or by kill -9."""

    start: float
    length: float
    politely: bool
    clock: MachineClock
    jitter: float


_LIVES = st.lists(
    st.builds(Life, st.floats(0, 20), st.floats(1, 60), st.booleans(), _CLOCKS, st.floats(0, 1)), min_size=1, max_size=4
)


class LeaseWorld:
    """LeaseWorld on one Lease, watched at every moment at which anything happens."""

    def __init__(self, trips: list[Trip]) -> None:
        self.server = LeaseServer(chain(islice(cycle(trips), 400), repeat(Trip())))
        self.holders: list[LeaseHolder] = []

    def watch(self) -> None:
        """Fail where two lead."""
        leaders = [holder.identity for holder in self.holders if holder.leads]
        assert len(leaders) < 2, f"at {virtual_loop().now} s both lead: {leaders}"

    async def replica(self, name: str, lives: list[Life]) -> None:
        """Live one life after another; the last one has no end. Who loses the Lease starts anew, as in a pod."""
        for number, life in enumerate(chain(lives, repeat(lives[-1]))):
            await asyncio.sleep(life.start)
            holder = LeaseHolder(
                self.server,
                "ops",
                life.clock,
                identity=f"{name}-{number}",
                jitter=lambda life=life: life.jitter,  # type: ignore[misc]
            )
            self.holders.append(holder)
            run = asyncio.create_task(holder.run())
            try:
                end = life.length if number < len(lives) - 1 else TROUBLE + CALM
                await asyncio.wait([run], timeout=end)
            finally:
                run.cancel()
                await asyncio.gather(run, return_exceptions=True)
            if life.politely:
                await holder.release()
            self.holders.remove(holder)


@settings(max_examples=300)
@given(trips=st.lists(_TRIPS, min_size=1, max_size=40), replicas=st.lists(_LIVES, min_size=2, max_size=3))
def test_no_two_processes_lead_at_the_same_time(trips: list[Trip], replicas: list[list[Life]]) -> None:
    async def main() -> None:
        world = LeaseWorld(trips)
        virtual_loop().watcher = world.watch
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(world.replica(f"r{n}", lives)) for n, lives in enumerate(replicas)]
            await asyncio.sleep(TROUBLE)
            for task in tasks:
                task.cancel()

    in_virtual_time(main())


@settings(max_examples=60)
@given(trips=st.lists(_TRIPS, min_size=1, max_size=20), clocks=st.lists(_CLOCKS, min_size=2, max_size=3))
def test_once_the_network_is_well_one_process_leads(trips: list[Trip], clocks: list[MachineClock]) -> None:
    async def main() -> None:
        world = LeaseWorld(trips)
        virtual_loop().watcher = world.watch
        lives = [[Life(0.0, 0.0, False, clock, 0.5)] for clock in clocks]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(world.replica(f"r{n}", life)) for n, life in enumerate(lives)]
            await asyncio.sleep(TROUBLE)
            world.server.heal()
            # One request of before may be on its way for 80 s, but its sender does not wait that long.
            await asyncio.sleep(CALM)
            assert [holder.identity for holder in world.holders if holder.leads]
            for task in tasks:
                task.cancel()

    in_virtual_time(main())
