"""`python -m benchmarks.traces`: the trace benchmark as Markdown on standard output."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from benchmarks.traces import runs
from benchmarks.traces.worlds import RESTARTS, STANDARD, Variant, backlog, calm, crowd, rough


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.traces", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all traces, seeds and worlds (minutes)")
    parser.add_argument("--only", metavar="NAME", help="only the runs whose name contains this")
    parser.add_argument("--seed", type=int, default=1, help="seed of calm and rough (published: 1)")
    parser.add_argument("--slower", type=float, default=1.0, help="factor on all durations")
    parser.add_argument("--spread", type=float, default=1.0, help="factor on all log-normal spreads")
    options = parser.parse_args()
    plan = _plan(options.full, options.seed, Variant(options.slower, options.spread))
    for name, run in plan.items():
        if options.only and options.only not in name:
            continue
        started = time.perf_counter()
        print(run(), flush=True)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return 0


def _plan(full: bool, seed: int, variant: Variant) -> dict[str, Callable[[], str]]:
    note = "" if (seed, variant) == (1, STANDARD) else f", seed {seed}, {variant.slower:g} {variant.spread:g}"
    plan: dict[str, Callable[[], str]] = {
        "check": runs.check,
        "calm": lambda: runs.day(f"calm{note}", calm(seed=seed, variant=variant)),
        "rough": lambda: runs.day(f"rough{note}", rough(seed=seed, variant=variant), RESTARTS),
        "cold": lambda: runs.cold(100 if full else 30),
        "bursts": runs.bursts,
        "hours": lambda: runs.hours((10.0, 3.0, 1 / 3, 0.1) if full else (3.0, 1 / 3)),
        "backlog": lambda: runs.short_budget("backlog 9500, 1.5", backlog(9500, 1.5), 9500),
        "crowd": lambda: runs.short_budget("crowd", crowd()),
    }
    if full:
        plan["backlog 2000"] = lambda: runs.short_budget("backlog 2000, 1", backlog(2000, 1), 2000)
        plan["backlog 4"] = lambda: runs.short_budget("backlog 9500, 4", backlog(9500, 4), 9500)
        plan["prices"] = lambda: runs.prices(calm(seed=seed, variant=variant))
    seeds, worlds = ((7, 8, 9), tuple(runs.VARIANTS)) if full else ((7,), tuple(runs.VARIANTS)[:6:2])
    plan["worlds"] = lambda: runs.variants(seeds, worlds)
    return plan


if __name__ == "__main__":
    sys.exit(main())
