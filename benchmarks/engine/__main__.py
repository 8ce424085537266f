"""`python -m benchmarks.engine`: what the engine costs, as Markdown on standard output and plots in docs/."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # the control plane that the tests use

from benchmarks.engine import report, scenarios  # noqa: E402  # after the path
from benchmarks.engine.operators import DAEMON, OURS, TIMER  # noqa: E402
from benchmarks.engine.scenarios import Row  # noqa: E402

Run = Callable[[], Awaitable[list[Row]]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer jobs: two minutes instead of ten")
    parser.add_argument("--only", metavar="NAME", help="only the runs whose name contains this")
    parser.add_argument("--plots", type=Path, metavar="DIRECTORY", help="where to draw the plots; none without")
    options = parser.parse_args()
    rows: list[Row] = []
    for name, run in _plan(options.quick).items():
        if options.only and options.only not in name:
            continue
        started = time.perf_counter()
        found = asyncio.run(_listed(run))
        rows += found
        if options.plots:
            _draw(options.plots, rows)
        print(f"{name}: {time.perf_counter() - started:.0f} s\n{report.table(found)}", file=sys.stderr, flush=True)
    print(report.table(rows))
    return 0


async def _listed(run: Run) -> list[Row]:
    return await run()


def _plan(quick: bool) -> dict[str, Run]:
    few = 10 if quick else 1
    idle = (100, 300, 1000) if quick else (1000, 3000, 10000)

    async def lifecycle() -> list[Row]:
        count = 1000 // few
        return [await scenarios.lifecycle(f"{count} × 10 s", who, count, 10.0) for who in (OURS, DAEMON, TIMER)]

    async def many() -> list[Row]:
        return [await scenarios.lifecycle(f"{5000 // few} × 20 s", OURS, 5000 // few, 20.0)]

    async def batches() -> list[Row]:
        count = 200 // few
        return [await scenarios.lifecycle(f"{count} batches of 200", OURS, count, 20.0, subs=200)]

    async def beside() -> list[Row]:
        return await scenarios.idle((OURS,), idle, jobs=300 // few, watch_for=10.0)

    async def naive() -> list[Row]:
        return await scenarios.idle((DAEMON, TIMER), idle[-1:], jobs=0, watch_for=10.0)

    async def restart() -> list[Row]:
        return [await scenarios.restart(OURS, 2000 // few, 20.0)]

    return {
        "lifecycle": lifecycle,
        "idle": beside,
        "restart": restart,
        "many": many,
        "batches": batches,
        "naive": naive,
    }


def _draw(directory: Path, rows: list[Row]) -> None:
    cycles = [row for row in rows if row.wall is not None and "beside" not in row.scenario]
    report.bars(
        directory / "engine-cpu.svg", "CPU for each job, milliseconds", cycles, lambda row: row.cpu_ms_per_job, "ms"
    )
    idle = [row for row in rows if row.ready is not None and row.idle is not None]
    report.bars(directory / "engine-memory.svg", "Memory beside finished EvsJobs, MB", idle, lambda row: row.rss, "MB")
    for row in rows:
        if row.by_second:
            title = f"Calls in the seconds after a {row.scenario}"
            report.columns(
                directory / "engine-restart.svg", title, row.by_second, "calls in each second after the kill"
            )


if __name__ == "__main__":
    sys.exit(main())
