"""The operators that are compared, each started as its users start it, and the jobs API beside it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine import process
from benchmarks.engine.cluster import NAMESPACE

_HERE = Path(__file__).parent
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
TOKEN = "a-token-that-is-valid"
READY_WITHIN = 300.0


@dataclass(frozen=True, slots=True)
class Operator:
    """How one operator is started; `port` is where it says that it is ready."""

    name: str
    command: tuple[str, ...]
    ready: str


OURS = Operator(
    "evs-operator",
    (
        *("-m", "evs_operator", "run", "--kubeconfig", "{kubeconfig}", "--http-address", "127.0.0.1:{port}"),
        *("--allow-endpoint", "{endpoint}"),
    ),
    "http://127.0.0.1:{port}/readyz",
)


def _naive(kind: str) -> Operator:
    command = ("-m", "kopf", "run", "-A", "--standalone", "--liveness", "http://127.0.0.1:{port}/healthz")
    return Operator(
        f"naive {kind}", (*command, str(_HERE / "rivals" / f"{kind}.py")), "http://127.0.0.1:{port}/healthz"
    )


TIMER, DAEMON = _naive("timer"), _naive("daemon")


class Process:
    """A running operator."""

    def __init__(self, popen: subprocess.Popen[bytes], ready: str) -> None:
        self._popen = popen
        self._ready = ready
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._popen.pid

    def cpu(self) -> float:
        """CPU seconds so far."""
        return process.cpu_seconds(self.pid)

    def memory(self) -> tuple[float, float]:
        """Resident memory and its peak in MB."""
        return process.memory_mb(self.pid)

    async def wait_ready(self) -> float:
        """Return the seconds from the start until it says that it is ready."""
        while time.monotonic() < self.started + READY_WITHIN:
            if self._popen.poll() is not None:
                raise RuntimeError(f"the operator ended with {self._popen.returncode}")
            if await asyncio.to_thread(_answers, self._ready):
                return time.monotonic() - self.started
            await asyncio.sleep(0.05)
        raise RuntimeError("the operator is not ready")

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it and wait."""
        self._popen.send_signal(number)
        try:
            self._popen.wait(30)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


@contextmanager
def running(operator: Operator, kubeconfig: Path, endpoint: str, log: Path) -> Iterator[Process]:
    """Start an operator; it has ended when the block is left."""
    port = _free_port()
    values = {"kubeconfig": str(kubeconfig), "endpoint": endpoint, "port": str(port)}
    command = [*_profiler(), *(part.format(**values) for part in operator.command)]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "EVS_ENDPOINT": endpoint, "EVS_TOKEN": TOKEN}
    with log.open("ab") as output:
        popen = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    started = Process(popen, operator.ready.format(**values))
    try:
        yield started
    finally:
        if popen.poll() is None:
            started.end()


def _profiler() -> list[str]:
    """Return the start of the command line; EVS_BENCH_PYTHON names another, for example a profiler."""
    named = os.environ.get("EVS_BENCH_PYTHON")
    return named.split() if named else [sys.executable]


class Cloud:
    """The jobs API's process."""

    def __init__(self, url: str) -> None:
        self.url = url

    def stats(self, *, anew: bool = False) -> dict[str, Any]:
        """Return its counts, or start them anew."""
        request = urllib.request.Request(f"{self.url}/stats", method="POST" if anew else "GET")
        with _DIRECT.open(request, timeout=10) as response:
            return dict(json.load(response))


@contextmanager
def jobs_api() -> Iterator[Cloud]:
    """Run the jobs API until the end of the block."""
    command = [sys.executable, "-m", "benchmarks.engine.cloud"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        assert popen.stdout is not None
        try:
            yield Cloud(popen.stdout.readline().strip())
        finally:
            popen.terminate()


def connection(endpoint: str) -> list[dict[str, Any]]:
    """Return the Secret and the EvsConnection that our operator needs; no rival has a limit, so ours is high."""
    secret = {"metadata": {"name": "token"}, "stringData": {"token": TOKEN}, "apiVersion": "v1", "kind": "Secret"}
    spec = {
        "endpoint": endpoint,
        "projectId": "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6",
        "auth": {"token": {"secretRef": {"name": "token"}}},
        "rateLimit": {"requestsPerSecond": 1000, "burst": 1000},
    }
    own = {"apiVersion": "evs-operator.dev/v1alpha1", "kind": "EvsConnection"}
    return [
        {**item, "metadata": {**item["metadata"], "namespace": NAMESPACE}}
        for item in (secret, {**own, "metadata": {"name": "default"}, "spec": spec})
    ]


def _answers(url: str) -> bool:
    try:
        with _DIRECT.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
