"""The real `helm install --wait` and `helm upgrade --wait`, which decide by kstatus, of a chart with EvsJobs."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controlplane import ControlPlane, tool
from support.jobs import batch, body, sub
from support.operator_process import Objects, OperatorProcess, condition, eventually, start_operator
from support.scripted_cloud import ScriptedCloud

_CHART = Path(__file__).parent / "charts" / "volumes"
A, B = "a" * 32, "b" * 32


class Helm:
    """A helm that runs beside the test; `--wait` gives up after two minutes, which no test lets it reach."""

    def __init__(self, program: Path, plane: ControlPlane, namespace: str, home: Path) -> None:
        self._command = [str(program), "--kubeconfig", str(plane.admin_kubeconfig), "--namespace", namespace]
        self._environment = {**os.environ, "HELM_CACHE_HOME": str(home), "HELM_CONFIG_HOME": str(home)}
        self._running: list[subprocess.Popen[str]] = []

    def start(self, verb: str, **jobs: str) -> subprocess.Popen[str]:
        """Start `helm install` or `helm upgrade` of EvsJobs by name and job id."""
        values = [f"--set=jobs.{name}={job_id}" for name, job_id in jobs.items()]
        process = subprocess.Popen(
            [*self._command, verb, "volumes", str(_CHART), "--wait", "--timeout=2m", *values],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process

    def stop(self) -> None:
        """End what a failed test left running."""
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.fixture
def helm(crds: ControlPlane, namespace: str, tmp_path: Path, progress: Callable[[str], None]) -> Iterator[Helm]:
    """Give the real helm, for the namespace of the test."""
    helm = Helm(tool("helm", progress), crds, namespace, tmp_path)
    yield helm
    helm.stop()


def _ended(process: subprocess.Popen[str], timeout: float = 60) -> tuple[int, str]:
    _, said = process.communicate(timeout=timeout)
    return process.returncode, said


def test_helm_waits_while_a_job_runs_and_succeeds_when_it_does(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects, helm: Helm
) -> None:
    cloud.put(A, {**body("RUNNING"), "job_id": A})
    objects.connect(cloud.url)
    installing = helm.start("install", data=A)
    cloud.wait_for_call(A)
    objects.wait_reason("data", "JobRunning")
    cloud.wait_for_call(A, cloud.calls[A] + 3)
    assert installing.poll() is None
    cloud.put(A, {**body("SUCCESS"), "job_id": A})
    assert _ended(installing) == (0, "")


def test_helm_fails_at_once_with_our_message_when_a_job_fails(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects, helm: Helm
) -> None:
    cloud.put(A, {**batch("RUNNING", sub(1, "RUNNING"), sub(2, "RUNNING")), "job_id": A})
    objects.connect(cloud.url)
    installing = helm.start("install", data=A)
    cloud.wait_for_call(A)
    objects.wait_reason("data", "JobRunning")
    quota = {"error_code": "EVS.1042", "fail_reason": "volume gigabytes exceeded volume gigabytes quota!"}
    cloud.put(A, {**batch("FAIL", sub(1, "SUCCESS"), sub(2, "FAIL", **quota)), "job_id": A})
    ready = condition(objects.wait_reason("data", "JobFailed"), "Ready")
    code, said = _ended(installing, 30)  # of the two minutes that --timeout allows
    assert code == 1
    assert f"resource EvsJob/{objects.namespace}/data not ready. status: Failed, message: {ready['message']}" in said


def test_helm_is_not_fooled_while_no_operator_runs_nor_by_the_result_of_another_job_id(
    operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects, helm: Helm
) -> None:
    gate = threading.Event()
    cloud.put(A, {**body("SUCCESS"), "job_id": A})
    cloud.put(B, {**body("SUCCESS"), "job_id": B}, gate=gate)
    objects.connect(cloud.url)
    installing = helm.start("install", data=A)
    eventually(lambda: "data" in objects.jobs(), 60)
    _still_waits(installing)
    with start_operator(operator_kubeconfig, "--namespace", objects.namespace, "--allow-endpoint", cloud.url):
        assert _ended(installing) == (0, "")
        upgrading = helm.start("upgrade", data=B)
        cloud.wait_for_call(B, timeout=60)
        assert condition(objects.get("evsjob", "data")["status"], "Complete")["status"] == "True"
        _still_waits(upgrading)
        gate.set()
        assert _ended(upgrading) == (0, "")
    assert objects.get("evsjob", "data")["status"]["jobId"] == B


def _still_waits(process: subprocess.Popen[str]) -> None:
    """Give helm time to be fooled."""
    time.sleep(2)
    assert process.poll() is None, process.communicate()
