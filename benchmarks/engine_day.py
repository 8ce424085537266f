"""`PYTHONPATH=operator:tests python -m benchmarks.engine_day`: the engine through a day of 10,000 jobs in virtual time.

The real store, scheduler, dispatcher, budget, reconciler and status writer; only the cloud and the API server are in
memory. It ends with an error where a call exceeds the budget, an end stays unseen or a job starves.
"""

from __future__ import annotations

import time

from support.engine_world import EngineWorld, in_world, judge, live

JOBS = 10_000


def main() -> None:
    started = time.process_time()

    async def run(world: EngineWorld) -> None:
        await live(world, JOBS, hours=24.0)
        for name, value in judge(world, JOBS).items():
            print(f"{name}: {value:.2f}")
        print(f"status writes per job: {len(world.api.writes) / JOBS:.2f}")

    in_world(run)
    print(f"CPU: {time.process_time() - started:.0f} s")


if __name__ == "__main__":
    main()
