"""The simulator for tests: as an own process on a free port, or in this process with a clock that stands still.

`start_simulator` (async) and `run_simulator` (sync) give a `SimulatorProcess`; `StillCloud` needs neither a process
nor a socket: a request goes in, an answer comes out, and time moves when the test says so.
"""

from __future__ import annotations

import asyncio
import json
import select
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from evs_simulator import routes
from evs_simulator.clock import Clock
from evs_simulator.wire import Answer, Request
from evs_simulator.world import DEMO_PROJECT, DEMO_TOKEN, World

PROJECT, TOKEN = DEMO_PROJECT, DEMO_TOKEN
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_STARTED_WITHIN = 20.0


class SimulatorProcess:
    """A running simulator. Admin calls raise urllib's HTTPError where they are refused."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    def admin(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make a call of the admin API, `path` without its prefix; return the JSON answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sim/{path}", data=data, method=method)
        with _DIRECT.open(request, timeout=10) as answer:
            return dict(json.load(answer))

    def add_job(self, **spec: Any) -> str:
        """Make a job; return its id."""
        return str(self.admin("POST", "jobs", spec)["job_id"])

    def change_job(self, job_id: str, **spec: Any) -> None:
        """Change a job."""
        self.admin("PUT", f"jobs/{job_id}", spec)

    def remove_job(self, job_id: str) -> None:
        """Let a job vanish."""
        self.admin("DELETE", f"jobs/{job_id}")

    def add_fault(self, kind: str, **options: Any) -> str:
        """Put a fault into force; return its id."""
        return str(self.admin("POST", "faults", {"kind": kind, **options})["id"])

    def clear_faults(self) -> None:
        """Remove all faults."""
        self.admin("DELETE", "faults")

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        """Return the journal's entries whose path contains `path`, oldest first."""
        return list(self.admin("GET", f"requests?path={path}")["requests"])

    def set_clock(self, **fields: Any) -> None:
        """Move the simulated time: offset, advance, stopped."""
        self.admin("POST", "clock", fields)

    def reset(self) -> None:
        """Go back to the demo world, with an empty journal; the clock stays."""
        self.admin("POST", "reset")


@contextmanager
def run_simulator(*arguments: str) -> Iterator[SimulatorProcess]:
    """Run a simulator with these further arguments; it has ended with 0 when the block is left."""
    command = [sys.executable, "-m", "evs_simulator", "--address", "127.0.0.1:0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield SimulatorProcess(process, _url(process))
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
    if process.returncode != 0:
        raise RuntimeError(f"the simulator ended with {process.returncode}")


@asynccontextmanager
async def start_simulator(*arguments: str) -> AsyncIterator[SimulatorProcess]:
    """Do what `run_simulator` does without holding up the event loop."""
    running = run_simulator(*arguments)
    simulator = await asyncio.to_thread(running.__enter__)
    try:
        yield simulator
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def _url(process: subprocess.Popen[bytes]) -> str:
    if process.stdout is None or not select.select([process.stdout], [], [], _STARTED_WITHIN)[0]:
        raise RuntimeError(f"the simulator did not start within {_STARTED_WITHIN} s")
    line = process.stdout.readline().decode()
    if " on " not in line:
        raise RuntimeError(f"the simulator did not start: {line!r}")
    return line.split(" on ")[1].strip()


class StillCloud:
    """A simulated cloud in this process. `now` is its time in seconds since 1970; it moves by assignment only."""

    def __init__(self, *, speed: float = 1.0) -> None:
        self.now = 1_770_110_100.0  # 2026-02-03T09:15:00Z
        self.world = World(Clock(lambda: self.now), speed=speed)

    def call(
        self, method: str, target: str, body: bytes | Mapping[str, Any] = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request with a valid token, or with exactly these headers."""
        given = {"X-Auth-Token": TOKEN} if headers is None else headers
        path, _, query = target.partition("?")
        request = Request(
            method=method,
            path=path,
            query=query,
            headers=CIMultiDictProxy(CIMultiDict({"Host": "evs.example.com", **given})),
            header_bytes=sum(len(name) + len(value) + 4 for name, value in given.items()),
            body=body if isinstance(body, bytes) else json.dumps(body).encode(),
            request_id=self.world.ids.request(),
            peer="127.0.0.1",
        )
        return routes.answer(self.world, request)

    def admin(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make a call of the admin API that must be accepted; `path` without its prefix."""
        answer = self.call(method, f"/_sim/{path}", b"" if body is None else body)
        if answer.status != 200:
            raise ValueError(answer.body.decode())
        return dict(json.loads(answer.body))

    def add_job(self, **spec: Any) -> str:
        """Make a job; return its id."""
        return str(self.admin("POST", "jobs", spec)["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Ask for a job as a client does; the answer must be 200."""
        answer = self.call("GET", f"/v1/{PROJECT}/jobs/{job_id}")
        if answer.status != 200:
            raise ValueError(answer.body.decode())
        return dict(json.loads(answer.body))

    def status_at(self, job_id: str, moments: Sequence[float], begin: float) -> list[str]:
        """Return the status words at these seconds after `begin`."""
        words = []
        for moment in moments:
            self.now = begin + moment
            words.append(str(self.job(job_id)["status"]))
        return words


def json_of(answer: Answer) -> dict[str, Any]:
    """Return an answer's JSON object."""
    return dict(json.loads(answer.body))
