"""What the README shows with kubectl, run with the real one; and jobs made as users make them."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane import ControlPlane
from support import crds as crd_files
from support.jobs import batch, body, sub
from support.operator_process import Objects, OperatorProcess, start_operator
from support.scripted_cloud import PROJECT, ScriptedCloud
from support.simulator import SimulatorProcess, run_simulator

A, B, C = "a" * 32, "b" * 32, "c" * 32
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def ended(operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects) -> Objects:
    """Give a namespace with a job that succeeded, a batch of which one sub-job failed, and one that goes on."""
    ends = {"end_time": "2026-02-03T09:15:31.208Z"}
    cloud.put(A, {**body("SUCCESS", **ends), "job_id": A})
    failed = sub(2, "FAIL", error_code="EVS.1042", fail_reason="volume gigabytes exceeded volume gigabytes quota!")
    cloud.put(B, {**batch("FAIL", sub(1, "SUCCESS"), failed, **ends), "job_id": B})
    cloud.put(C, batch("WAITING_EXECUTE", sub(1, "SUCCESS"), sub(2, "RUNNING"), job_id=C))
    objects.connect(cloud.url)
    objects.add_job("good", A)
    objects.add_job("bad", B)
    objects.add_job("data-postgres-0", C)
    objects.wait_reason("good", "JobSucceeded")
    objects.wait_reason("bad", "JobFailed")
    objects.wait_reason("data-postgres-0", "UnknownJobStatus")
    return objects


def _wait(objects: Objects, *arguments: str) -> subprocess.CompletedProcess[str]:
    return objects.kubectl("wait", *arguments, "--timeout=15s", check=False)


def test_get_shows_what_a_person_wants_to_know_in_a_hundred_characters(ended: Objects) -> None:
    lines = ended.kubectl("get", "evsjobs").stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATUS", "READY", "REASON", "PROGRESS", "TYPE", "AGE"]
    assert lines[1].split()[:6] == ["bad", "FAIL", "False", "JobFailed", "2/2", "batchCreateVolume"]
    assert lines[2].split()[:5] == ["data-postgres-0", "WAITING_EXECUTE", "Unknown", "UnknownJobStatus", "1/2"]
    assert lines[3].split()[:5] == ["good", "SUCCESS", "True", "JobSucceeded", "createVolume"]
    assert max(len(line) for line in lines) <= 100


def test_get_wide_shows_job_volumes_duration_and_message(ended: Objects) -> None:
    lines = ended.kubectl("get", "evsjobs", "-o", "wide").stdout.splitlines()
    assert lines[0].split()[7:] == ["JOB", "VOLUMES", "DURATION", "MESSAGE"]
    assert "31.1s" in lines[1]
    assert len(lines) == 4
    assert "1 of 2 sub-jobs failed: EVS.1042 volume gigabytes exceeded volume gigabytes quota!" in lines[1]


def test_describe_tells_the_failure_and_what_to_do(ended: Objects) -> None:
    text = ended.kubectl("describe", "evsjob", "bad").stdout
    assert "EVS.1042" in text
    assert "Raise the quota of the project" in text
    lines = [line.strip() for line in text.splitlines()]
    failure = lines[lines.index("Failure:") + 1 :][:5]
    assert [line.split(":")[0] for line in failure] == ["Category", "Code", "Hint", "Job Id", "Message"]


@pytest.mark.parametrize("kind", crd_files.KINDS)
def test_explain_describes_every_field(crds: ControlPlane, kind: str) -> None:
    text = crds.kubectl("explain", kind.lower(), "--recursive").stdout
    declared = {path.rsplit(".", 1)[-1].rstrip("[]{}") for path, _ in crd_files.fields(crd_files.schema(kind))}
    explained = set(re.findall(r"^ +(\w+)\t", text, re.MULTILINE))
    assert declared <= explained
    assert "<empty>" not in crds.kubectl("explain", f"{kind.lower()}.status").stdout


def test_wait_returns_when_the_condition_holds_and_not_before(ended: Objects) -> None:
    for name, condition in (
        ("good", "condition=Complete"),
        ("good", "condition=Ready"),
        ("good", "jsonpath={.status.jobStatus}=SUCCESS"),
        ("good", "jsonpath={.status.completionTime}"),
        ("bad", "condition=Failed"),
        ("bad", "condition=Ready=False"),
        ("bad", "condition=Stalled"),
        ("bad", "jsonpath={.status.progress}=2/2"),
        ("bad", "jsonpath={.status.completionTime}"),
    ):
        done = _wait(ended, f"--for={condition}", f"evsjob/{name}")
        assert done.returncode == 0, (name, condition, done.stderr)
    for name, condition in (
        ("bad", "condition=Complete"),
        ("data-postgres-0", "jsonpath={.status.completionTime}"),
    ):
        done = ended.kubectl("wait", f"--for={condition}", f"evsjob/{name}", "--timeout=1s", check=False)
        assert done.returncode == 1
        assert "timed out" in done.stderr


def test_a_job_is_found_by_its_job_id(ended: Objects) -> None:
    found = ended.kubectl("get", "evsjobs", f"--field-selector=spec.jobId={A}", "-o", "name").stdout
    assert found.strip() == "evsjob.evs-operator.dev/good"


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    """Give the simulator as an own process, ten times as fast as the cloud."""
    with run_simulator("--speed", "10") as simulator:
        yield simulator


def test_volumes_created_at_the_cloud_are_in_the_status_when_the_wait_is_over(
    crds: ControlPlane, operator_kubeconfig: Path, objects: Objects, simulator: SimulatorProcess
) -> None:
    volume = {"name": "data", "size": 40, "volume_type": "SSD", "availability_zone": "eu-de-01", "count": 3}
    request = urllib.request.Request(
        f"{simulator.url}/v2/{PROJECT}/cloudvolumes",
        data=json.dumps({"volume": volume}).encode(),
        headers={"X-Auth-Token": "demo-token", "Content-Type": "application/json"},
    )
    with _DIRECT.open(request, timeout=10) as answer:
        job_id = json.load(answer)["job_id"]
    objects.connect(simulator.url, token="demo-token")
    objects.add_job("volumes", job_id)
    flags = ("--namespace", objects.namespace, "--allow-endpoint", simulator.url)
    with start_operator(operator_kubeconfig, *flags):
        assert _wait(objects, "--for=condition=Complete", "evsjob/volumes").returncode == 0
    status = objects.get("evsjob", "volumes")["status"]
    assert len(status["volumeIds"]) == 3
    assert status["subJobCounts"] == {"total": 3, "succeeded": 3, "failed": 0, "inProgress": 0, "omitted": 0}


def test_an_access_key_signs_calls_that_the_cloud_accepts(
    crds: ControlPlane, operator_kubeconfig: Path, objects: Objects, simulator: SimulatorProcess
) -> None:
    job_id = simulator.add_job(project_id=PROJECT, duration=2)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}}
    keys = {"accessKey": "DEMOACCESSKEY00000000", "secretKey": "demo-secret-key-0000000000000000000000000"}
    objects.apply({**secret, "stringData": keys})
    objects.connect(simulator.url, auth={"accessKey": {"secretRef": {"name": "keys"}}})
    objects.add_job("signed", job_id)
    flags = ("--namespace", objects.namespace, "--allow-endpoint", simulator.url)
    with start_operator(operator_kubeconfig, *flags, SSL_CERT_FILE="/no/such/file") as operator:
        assert _wait(objects, "--for=condition=Complete", "evsjob/signed").returncode == 0
        assert keys["secretKey"] not in operator.log


def test_a_password_gets_one_token_for_all_jobs(
    crds: ControlPlane, operator_kubeconfig: Path, objects: Objects, simulator: SimulatorProcess
) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "user"}}
    user = {"username": "demo", "password": "demo-password", "domainName": "demo-domain"}
    objects.apply({**secret, "stringData": user})
    auth = {"password": {"secretRef": {"name": "user"}, "iamEndpoint": simulator.url}}
    objects.connect(simulator.url, auth=auth)
    for number in range(10):
        objects.add_job(f"job-{number}", simulator.add_job(project_id=PROJECT, duration=2))
    flags = ("--namespace", objects.namespace, "--allow-endpoint", simulator.url)
    with start_operator(operator_kubeconfig, *flags):
        names = [f"evsjob/job-{number}" for number in range(10)]
        assert _wait(objects, "--for=condition=Complete", *names).returncode == 0
    asked = [entry for entry in simulator.requests() if entry["path"].startswith("/v3/auth/tokens")]
    assert len(asked) == 1
