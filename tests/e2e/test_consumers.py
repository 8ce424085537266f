"""The programs of `examples/consumers/`, each with the rights that its README names, while EvsJobs run to their end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane import ControlPlane, tool
from support.jobs import batch, body, sub
from support.operator_process import ROOT, Objects, OperatorProcess, ended, eventually
from support.scripted_cloud import ScriptedCloud

_CONSUMERS = ROOT / "examples" / "consumers"
A, B = "a" * 32, "b" * 32


@pytest.fixture
def kubeconfig(crds: ControlPlane, namespace: str) -> Path:
    """Give the rights that the README of the examples names, in the namespace of the test."""
    (block,) = re.findall(r"```yaml\n(.*?)```", (_CONSUMERS / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return crds.kubeconfig_for(namespace, "consumer", yaml.safe_load(block)["rules"])


@contextmanager
def _running(command: list[str], kubeconfig: Path, log: Path) -> Iterator[None]:
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
    with ended(process):
        yield
        assert process.poll() is None, log.read_text()


def _work(objects: Objects) -> dict[str, str]:
    """Return the volume ids that work was started with, by the name of the EvsJob."""
    jobs: list[dict[str, Any]] = json.loads(objects.kubectl("get", "jobs", "-o", "json").stdout)["items"]
    return {
        job["metadata"]["ownerReferences"][0]["name"]: job["spec"]["template"]["spec"]["containers"][0]["env"][0][
            "value"
        ]
        for job in jobs
    }


@pytest.mark.parametrize("program", ["kopf", "controller-runtime"])
def test_an_operator_starts_its_work_once_for_each_evs_job_that_completes(
    operator: OperatorProcess,
    cloud: ScriptedCloud,
    objects: Objects,
    kubeconfig: Path,
    progress: Callable[[str], None],
    tmp_path: Path,
    program: str,
) -> None:
    if program == "kopf":
        command = [sys.executable, "-m", "kopf", "run", "--standalone", str(_CONSUMERS / "kopf_operator.py")]
    else:
        command = [str(tool("controller-runtime", progress))]
    command += ["--namespace", objects.namespace]
    cloud.put(A, {**batch("SUCCESS", sub(1, "SUCCESS"), sub(2, "SUCCESS")), "job_id": A})
    cloud.put(B, {**body("RUNNING"), "job_id": B})
    objects.connect(cloud.url)
    objects.add_job("before", A)
    objects.add_job("during", B, polling={"minIntervalSeconds": 1, "maxIntervalSeconds": 1})
    objects.wait_reason("before", "JobSucceeded")
    objects.wait_reason("during", "JobRunning")
    first = " ".join(objects.get("evsjob", "before")["status"]["volumeIds"])
    with _running(command, kubeconfig, tmp_path / "log"):
        eventually(lambda: _work(objects) == {"before": first}, 60, lambda: (tmp_path / "log").read_text())
        cloud.put(B, {**body("SUCCESS"), "job_id": B})
        second = " ".join(objects.wait_reason("during", "JobSucceeded")["volumeIds"])
        eventually(
            lambda: _work(objects) == {"before": first, "during": second}, 30, lambda: (tmp_path / "log").read_text()
        )
        before = objects.get("evsjob", "during")
    assert before["metadata"].get("annotations", {}).keys() <= {"kubectl.kubernetes.io/last-applied-configuration"}
    assert "finalizers" not in before["metadata"]


def test_a_shell_script_runs_a_command_with_the_volume_ids_or_ends_with_the_reason(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects, kubeconfig: Path
) -> None:
    fast = {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}
    cloud.put(A, {**batch("RUNNING", sub(1, "RUNNING"), sub(2, "RUNNING")), "job_id": A})
    cloud.put(B, {**body("RUNNING"), "job_id": B})
    objects.connect(cloud.url)
    objects.add_job("good", A, polling=fast)
    objects.add_job("bad", B, polling=fast)
    good, bad = (_after(objects, kubeconfig, name) for name in ("good", "bad"))
    objects.wait_reason("good", "JobRunning")
    objects.wait_reason("bad", "JobRunning")
    assert (good.poll(), bad.poll()) == (None, None)
    cloud.put(A, {**batch("SUCCESS", sub(1, "SUCCESS"), sub(2, "SUCCESS")), "job_id": A})
    cloud.put(B, {**body("FAIL", error_code="EVS.2024", fail_reason="volume is error!"), "job_id": B})
    ids = objects.wait_reason("good", "JobSucceeded")["volumeIds"]
    assert good.communicate(timeout=30) == (f"now {' '.join(ids)}\n", "")
    assert good.returncode == 0
    out, error = bad.communicate(timeout=30)
    assert (bad.returncode, out) == (1, "")
    assert error.startswith("bad: createVolume failed: EVS.2024 volume is error!")


def _after(objects: Objects, kubeconfig: Path, name: str) -> subprocess.Popen[str]:
    path = f"{objects.plane.binaries.kubectl.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [str(_CONSUMERS / "after-evsjob.sh"), name, "sh", "-c", "echo now $VOLUME_IDS"],
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": path, "TIMEOUT": "60s"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
