"""`examples/pipeline/`: volumes are ordered at the cloud, and the pipeline goes on with their ids or says why not.

It runs as the ServiceAccount of `rbac.yaml` beside it. On every way out the cloud's answer and the job id are printed:
what was ordered is paid for, whoever follows it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.operator_process import ROOT, Objects, start_operator
from support.simulator import TOKEN, SimulatorProcess, run_simulator

_PIPELINE = ROOT / "examples" / "pipeline"
_JOB_ID = re.compile(r"job id: ([0-9a-f]{32})")


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    """Give the simulator, ten times as fast as the cloud."""
    with run_simulator("--speed", "10") as simulator:
        yield simulator


@pytest.fixture
def connected(operator_kubeconfig: Path, objects: Objects, simulator: SimulatorProcess) -> Iterator[Objects]:
    """Give the namespace with a connection to the simulator and a running operator."""
    objects.connect(simulator.url, token=TOKEN)
    with start_operator(operator_kubeconfig, "--namespace", objects.namespace, "--allow-endpoint", simulator.url):
        yield objects


@pytest.fixture
def environment(objects: Objects, tmp_path: Path) -> dict[str, str]:
    """Give what the script needs: its ServiceAccount, kubectl, the cloud's token, and a curl where there is none."""
    objects.kubectl("apply", "-f", str(_PIPELINE / "rbac.yaml"))
    kubeconfig = objects.plane.kubeconfig_of(objects.namespace, "volumes-pipeline")
    if shutil.which("curl") is None:
        curl = tmp_path / "curl"
        curl.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "tests" / "support" / "curl.py"} "$@"\n')
        curl.chmod(0o755)
    path = [str(objects.plane.binaries.kubectl.parent), str(tmp_path), os.environ["PATH"]]
    return {
        **os.environ,
        "PATH": os.pathsep.join(path),
        "KUBECONFIG": str(kubeconfig),
        "EVS_TOKEN": TOKEN,
        "NO_PROXY": "*",
        "TIMEOUT_SECONDS": "60",
    }


@pytest.fixture
def request_for(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes the request of the example with words for the simulator."""

    def written(**metadata: str) -> Path:
        request = json.loads((_PIPELINE / "volumes.json").read_text(encoding="utf-8"))
        request["volume"]["metadata"] = metadata
        (tmp_path / "request.json").write_text(json.dumps(request))
        return tmp_path / "request.json"

    return written


def _start(environment: dict[str, str], request: Path) -> subprocess.Popen[str]:
    script = [str(_PIPELINE / "create-volumes.sh"), str(request)]
    return subprocess.Popen(
        script, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _run(environment: dict[str, str], request: Path = _PIPELINE / "volumes.json") -> tuple[int, str, str]:
    process = _start(environment, request)
    out, err = process.communicate(timeout=90)
    return process.returncode, out, err


def _until_it_follows(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    out = ""
    while "follows job" not in out:
        line = process.stdout.readline()
        assert line, out
        out += line
    return out


def _orders(simulator: SimulatorProcess) -> list[dict[str, Any]]:
    return [entry for entry in simulator.requests("/cloudvolumes") if entry["method"] == "POST"]


def _ordered_and_said_so(simulator: SimulatorProcess, out: str) -> str:
    """Return the id of the one job that was ordered; the output has it and the cloud's answer."""
    (order,) = _orders(simulator)
    assert order["status"] == 200
    (job_id,) = set(_JOB_ID.findall(out))
    assert f'the cloud answered: {{"job_id":"{job_id}"' in out
    assert simulator.admin("GET", f"jobs/{job_id}")["job_id"] == job_id
    return job_id


def test_the_pipeline_goes_on_with_the_ids_of_the_volumes(
    connected: Objects, simulator: SimulatorProcess, environment: dict[str, str]
) -> None:
    code, out, err = _run(environment)
    assert (code, err) == (0, "")
    job_id = _ordered_and_said_so(simulator, out)
    (name,) = re.findall(rf"^evsjob\.evs-operator\.dev/(\S+) follows job {job_id}$", out, re.MULTILINE)
    evsjob = connected.get("evsjob", name)
    assert evsjob["spec"]["jobId"] == evsjob["status"]["jobId"] == job_id
    assert len(evsjob["status"]["volumeIds"]) == 3
    assert out.splitlines()[-3:] == [f"volume {volume} is there" for volume in evsjob["status"]["volumeIds"]]


def test_a_job_that_failed_ends_the_pipeline_with_the_reason_and_what_to_do(
    connected: Objects,
    simulator: SimulatorProcess,
    environment: dict[str, str],
    request_for: Callable[..., Path],
) -> None:
    code, out, err = _run(environment, request_for(__sim_fail="EVS.5413"))
    job_id = _ordered_and_said_so(simulator, out)
    assert code == 1
    assert re.search(r"the job failed: JobFailed: .*EVS\.5413 .*\nRaise the quota of the project", err)
    assert f"job id: {job_id}, followed by evsjob.evs-operator.dev/" in err


def test_where_a_person_must_act_the_pipeline_ends_with_the_reason_before_its_time_is_over(
    connected: Objects,
    simulator: SimulatorProcess,
    environment: dict[str, str],
    request_for: Callable[..., Path],
) -> None:
    process = _start(environment, request_for(__sim_duration="3000"))
    out = _until_it_follows(process)
    simulator.admin("DELETE", f"tokens/{TOKEN}")
    more, err = process.communicate(timeout=50)
    assert process.returncode == 3
    _ordered_and_said_so(simulator, out + more)
    assert "a person must act: Unauthorized: " in err


def test_nothing_is_ordered_over_a_connection_that_is_not_ready(
    connected: Objects, simulator: SimulatorProcess, environment: dict[str, str]
) -> None:
    connected.connect(simulator.url, token="a-token-that-nobody-knows")
    connected.kubectl("wait", "evsconnection/default", "--for=condition=Ready=False", "--timeout=30s")
    code, out, err = _run(environment)
    assert (code, out, _orders(simulator)) == (1, "", [])
    assert "nothing was ordered: evsconnection/default is not ready: Unauthorized: " in err


def test_nothing_is_ordered_without_a_connection(
    objects: Objects, simulator: SimulatorProcess, environment: dict[str, str]
) -> None:
    code, out, err = _run({**environment, "CONNECTION": "evsconnection/missing"})
    assert (code, out, _orders(simulator)) == (1, "", [])
    assert re.search(r"nothing was ordered: evsconnection/missing is not ready: .*not found", err)


def test_an_order_that_the_cloud_refuses_ends_with_the_clouds_answer(
    connected: Objects, simulator: SimulatorProcess, environment: dict[str, str]
) -> None:
    code, out, err = _run({**environment, "EVS_TOKEN": "a-token-that-nobody-knows"})
    assert code == 1
    assert re.search(r"the cloud answered: \{.*error", out)
    assert "job id: none" in out
    assert "the cloud refused the order" in err


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "reset_before_headers"}, "the order may have arrived all the same"),
        ({"kind": "raw", "body": '{"order_id": "CS2211171600X4J6V"}'}, "the answer names no job"),
    ],
)
def test_an_answer_without_a_job_ends_the_pipeline_and_is_shown(
    connected: Objects,
    simulator: SimulatorProcess,
    environment: dict[str, str],
    fault: dict[str, str],
    words: str,
) -> None:
    simulator.add_fault(**fault, match={"path": "/cloudvolumes"})
    code, out, err = _run(environment)
    assert code == 1
    assert "job id: none" in out
    assert fault.get("body", "the cloud answered: nothing") in out
    assert words in err


def test_where_no_evsjob_can_be_created_the_job_id_is_not_lost(
    connected: Objects, simulator: SimulatorProcess, environment: dict[str, str]
) -> None:
    connected.kubectl("delete", "rolebinding", "volumes-pipeline")
    rules = [{"apiGroups": ["evs-operator.dev"], "resources": ["evsconnections"], "verbs": ["get", "list", "watch"]}]
    reader = connected.plane.kubeconfig_for(connected.namespace, "reader", rules)
    code, out, err = _run({**environment, "KUBECONFIG": str(reader)})
    job_id = _ordered_and_said_so(simulator, out)
    assert code != 0
    assert "forbidden" in err
    assert err.splitlines()[-1] == f"job id: {job_id}: look at it before you order again"


def test_a_pipeline_that_is_told_to_end_or_runs_out_of_time_has_said_what_was_ordered(
    connected: Objects,
    simulator: SimulatorProcess,
    environment: dict[str, str],
    request_for: Callable[..., Path],
) -> None:
    code, out, err = _run({**environment, "TIMEOUT_SECONDS": "1"}, request_for(__sim_duration="3000"))
    assert code == 124
    assert "not finished within 1 s: Job" in err
    _ordered_and_said_so(simulator, out)
    simulator.admin("DELETE", "requests")
    process = _start(environment, request_for(__sim_duration="3000"))
    out = _until_it_follows(process)
    os.killpg(process.pid, signal.SIGTERM)
    more, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert f"job id: {_ordered_and_said_so(simulator, out + more)}, followed by" in err
