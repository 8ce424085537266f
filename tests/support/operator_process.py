"""The operator as users run it: an own process with its own ServiceAccount, and the objects around it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controlplane import ControlPlane

from .deployed import ROOT as ROOT
from .deployed import deployment, local_arguments
from .deployed import leader_election_rules as leader_election_rules
from .deployed import operator_rules as operator_rules
from .scripted_cloud import PROJECT, TOKEN

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Object = dict[str, Any]


def install_crds(plane: ControlPlane) -> None:
    """Apply the CRDs and return once they are served."""
    crds = str(ROOT / "crds")
    plane.kubectl("apply", "--server-side", "-f", crds)
    plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", crds)


class OperatorProcess:
    """A running `evs-operator run`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self.process = process
        self.log_file = log
        self._port = port

    @property
    def log(self) -> str:
        """All that it logged so far."""
        return self.log_file.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        """Port of its HTTP address."""
        return self._port

    def http(self, path: str) -> tuple[int, str]:
        """GET a path of its HTTP address; status 0 where nobody answers."""
        try:
            with _DIRECT.open(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self, timeout: float = 30) -> None:
        """Return once /readyz says ok."""
        eventually(lambda: self.http("/readyz")[0] == 200, timeout, lambda: self.log)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout)


@contextmanager
def start_operator(
    kubeconfig: Path,
    *flags: str,
    ready: bool = True,
    command: Sequence[str] = (),
    deployed: Object | None = None,
    **environment: str,
) -> Iterator[OperatorProcess]:
    """Run the operator until the end of the block; its log is checked for tracebacks.

    It gets the flags of a Deployment, that of `deploy/` where no other is given, and then `flags`. `command` replaces
    `evs-operator` with its flags and its kubeconfig.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="evs-operator-test-") as directory:
        log = Path(directory) / "log"
        address = f"127.0.0.1:{port}"
        arguments = local_arguments(deployed or deployment(), address)
        words = [*(command or [sys.executable, "-m", "evs_operator", *arguments, "--kubeconfig", str(kubeconfig)])]
        words += ["--log-format", "text", "--http-address", address, *flags]
        with log.open("wb") as stderr:
            process = subprocess.Popen(words, stderr=stderr, env={**os.environ, **environment})
        operator = OperatorProcess(process, log, port)
        with ended(process):
            if ready:
                operator.wait_ready()
            yield operator
        assert "Traceback" not in operator.log, operator.log


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Tell a process to end after the block, and wait until it has; one that does not listen is killed."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Objects:
    """Objects of one namespace, through kubectl as admin."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace

    def apply(self, *objects: Object) -> None:
        """Apply manifests."""
        items = [{**o, "metadata": {"namespace": self.namespace, **o["metadata"]}} for o in objects]
        self.plane.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def kubectl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the namespace."""
        return self.plane.kubectl("-n", self.namespace, *arguments, check=check)

    def get(self, kind: str, name: str) -> Object:
        """Return an object."""
        return dict(json.loads(self.kubectl("get", kind, name, "-o", "json").stdout))

    def jobs(self) -> dict[str, Object]:
        """Return all EvsJobs by name."""
        items = json.loads(self.kubectl("get", "evsjobs", "-o", "json").stdout)["items"]
        return {item["metadata"]["name"]: item for item in items}

    def connect(self, url: str, name: str = "default", token: str = TOKEN, **spec: Any) -> None:
        """Apply a Secret with a token and the EvsConnection that uses it."""
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-token"},
            "stringData": {"token": token},
        }
        auth = {"token": {"secretRef": {"name": f"{name}-token"}}}
        body = {"endpoint": url, "projectId": PROJECT, "auth": auth, **spec}
        self.apply(secret, custom("EvsConnection", name, **body))

    def add_job(self, name: str, job_id: str, **spec: Any) -> None:
        """Apply an EvsJob."""
        self.apply(custom("EvsJob", name, jobId=job_id, **spec))

    def wait_job(self, name: str, test: Callable[[Object], bool], timeout: float = 20) -> Object:
        """Return the status of an EvsJob once it passes the test."""
        found: Object = {}

        def passes() -> bool:
            found.clear()
            found.update(self.get("evsjob", name).get("status", {}))
            return test(found)

        eventually(passes, timeout, lambda: json.dumps(found, indent=1))
        return found

    def wait_reason(self, name: str, reason: str, timeout: float = 20) -> Object:
        """Return the status of an EvsJob once its Ready condition has that reason."""
        return self.wait_job(name, lambda status: condition(status, "Ready").get("reason") == reason, timeout)


def custom(kind: str, name: str, **spec: Any) -> Object:
    """Return a manifest of our group."""
    return {"apiVersion": "evs-operator.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def condition(status: Object, kind: str) -> Object:
    """Return a condition of a status, {} where it is absent."""
    return next((dict(c) for c in status.get("conditions", []) if c["type"] == kind), {})


def eventually(test: Callable[[], bool], timeout: float, shown: Callable[[], str] = str) -> None:
    """Return once the test passes; fail with what is shown when it does not in time (seconds)."""
    end = time.monotonic() + timeout
    while not test():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s; last: {shown()}")
        time.sleep(0.1)
