"""`examples/pipeline/`: volumes are created at the cloud, and the pipeline goes on with their ids or says why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.operator_process import ROOT, Objects, start_operator
from support.simulator import PROJECT, TOKEN, SimulatorProcess, run_simulator

_PIPELINE = ROOT / "examples" / "pipeline"


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    """Give the simulator, ten times as fast as the cloud."""
    with run_simulator("--speed", "10") as simulator:
        yield simulator


@pytest.fixture
def environment(objects: Objects, simulator: SimulatorProcess, tmp_path: Path) -> dict[str, str]:
    """Give what the script needs: the cloud, a kubeconfig of the namespace, kubectl, and a curl where there is none."""
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(objects.plane.admin_kubeconfig, kubeconfig)
    objects.plane.kubectl(
        "config", "set-context", "--current", f"--namespace={objects.namespace}", kubeconfig=kubeconfig
    )
    if shutil.which("curl") is None:
        curl = tmp_path / "curl"
        curl.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "tests" / "support" / "curl.py"} "$@"\n')
        curl.chmod(0o755)
    path = [str(objects.plane.binaries.kubectl.parent), str(tmp_path), os.environ["PATH"]]
    return {
        **os.environ,
        "PATH": os.pathsep.join(path),
        "KUBECONFIG": str(kubeconfig),
        "EVS_ENDPOINT": simulator.url,
        "EVS_TOKEN": TOKEN,
        "PROJECT_ID": PROJECT,
        "NO_PROXY": "*",
        "TIMEOUT": "60s",
    }


def _run(environment: dict[str, str], request: Path) -> subprocess.CompletedProcess[str]:
    script = str(_PIPELINE / "create-volumes.sh")
    return subprocess.run(
        [script, str(request)], env=environment, capture_output=True, text=True, check=False, timeout=90
    )


def test_the_pipeline_goes_on_with_the_ids_of_the_volumes_or_ends_with_the_reason(
    operator_kubeconfig: Path,
    objects: Objects,
    simulator: SimulatorProcess,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    objects.connect(simulator.url, token=TOKEN)
    request = json.loads((_PIPELINE / "volumes.json").read_text(encoding="utf-8"))
    request["volume"]["metadata"] = {"__sim_fail": "EVS.5413"}
    (tmp_path / "failing.json").write_text(json.dumps(request))
    with start_operator(operator_kubeconfig, "--namespace", objects.namespace, "--allow-endpoint", simulator.url):
        done = _run(environment, _PIPELINE / "volumes.json")
        failed = _run(environment, tmp_path / "failing.json")
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    name, job_id = re.fullmatch(r"evsjob\.evs-operator\.dev/(\S+) follows job ([0-9a-f]{32})", first).groups()
    status = objects.get("evsjob", name)["status"]
    assert status["jobId"] == job_id
    assert rest == [f"volume {volume} is there" for volume in status["volumeIds"]]
    assert len(rest) == 3
    assert failed.returncode == 1
    assert re.search(r"EVS\.5413 .*\nRaise the quota of the project", failed.stderr)
