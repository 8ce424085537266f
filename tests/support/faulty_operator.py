"""The operator with its own times shortened and, on request, with a fault inside: `python -m support.faulty_operator`.

    python -m support.faulty_operator none|stuck-scheduler|restarting run --kubeconfig …

For tests of alerts. It compares its store with the API server every 2 s instead of every 5 minutes, as the windows
of the rules are shortened too. `stuck-scheduler` lets the scheduler stand still some turns after the start, which no
fault from outside can do; `restarting` starts the operator as a child again and again, as a kubelet would.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence

from evs_operator import cli
from evs_operator.jobs import resync
from evs_operator.jobs.queue.dispatcher import Dispatcher

_TURNS_BEFORE_STUCK = 20
_LIFE = 2.5
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main(fault: str, arguments: Sequence[str]) -> int:
    """Run until told to stop; return the exit code."""
    if fault == "restarting":
        return _restart(arguments)
    resync._PERIOD, resync._SETTLE, resync._WATCH_LAG = 2.0, 0.2, 1.5  # type: ignore[misc]  # constants of the product
    if fault == "stuck-scheduler":
        _get_stuck()
    return cli.main(arguments)


def _get_stuck() -> None:
    turn, turns = Dispatcher.turn, 0

    def stuck(self: Dispatcher) -> float:
        nonlocal turns
        turns += 1
        return turn(self) if turns < _TURNS_BEFORE_STUCK else 3600.0

    Dispatcher.turn = stuck  # type: ignore[method-assign]


def _restart(arguments: Sequence[str]) -> int:
    address = arguments[list(arguments).index("--http-address") + 1]
    ended = False

    def end(number: int, frame: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    while not ended:
        child = subprocess.Popen([sys.executable, "-m", __spec__.name, "none", *arguments])
        try:
            while not ended and not _serves(address):
                time.sleep(0.1)
            born = time.monotonic()
            while not ended and time.monotonic() < born + _LIFE:
                time.sleep(0.1)
        finally:
            child.terminate()
            child.wait(20)
    return 0


def _serves(address: str) -> bool:
    try:
        with _DIRECT.open(f"http://{address}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
