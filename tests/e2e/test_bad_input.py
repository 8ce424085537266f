"""What a user gets wrong is one clear line, and a condition where there is an object; it heals when it is put right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from controlplane import ControlPlane
from support.jobs import body
from support.operator_process import (
    Objects,
    OperatorProcess,
    condition,
    custom,
    eventually,
    operator_rules,
    start_operator,
)
from support.scripted_cloud import PROJECT, TOKEN, ScriptedCloud

A = "a" * 32


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evs_operator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--kubeconfig", "/no/such/file"), "--kubeconfig"),
        (("--http-address", "nonsense"), "--http-address"),
        (("--allow-endpoint", "ftp://x"), "--allow-endpoint"),
        (("--namespace", "Not_A_Name"), "--namespace"),
        (("--log-format", "xml"), "--log-format"),
        (("--no-such-flag",), "--no-such-flag"),
    ],
)
def test_a_wrong_flag_is_one_line_and_exit_two(flags: tuple[str, ...], said: str) -> None:
    done = _run("run", *flags)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_an_api_server_the_operator_waits_and_says_so(tmp_path: Path, crds: ControlPlane) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    text = crds.admin_kubeconfig.read_text(encoding="utf-8")
    kubeconfig.write_text(text.replace(crds.server, "https://127.0.0.1:1"), encoding="utf-8")
    with start_operator(kubeconfig, ready=False) as operator:
        eventually(lambda: "API server not reachable" in operator.log, 15, lambda: operator.log)
        eventually(lambda: operator.http("/readyz")[0] == 503, 5)
        assert operator.http("/healthz")[0] == 200
        assert operator.log.count("not reachable") == 1


def test_without_permission_the_operator_waits_and_starts_when_it_is_granted(
    crds: ControlPlane, namespace: str, cloud: ScriptedCloud
) -> None:
    account = f"poor-{namespace}"
    kubeconfig = crds.kubeconfig_for(namespace, account, [])
    flags = ("--namespace", namespace, "--allow-endpoint", cloud.url)
    with start_operator(kubeconfig, *flags, ready=False) as operator:
        eventually(lambda: "no permission to" in operator.log, 15, lambda: operator.log)
        assert operator.http("/readyz")[0] == 503
        crds.kubeconfig_for(namespace, account, operator_rules())
        operator.wait_ready()


def test_a_role_in_one_namespace_is_enough_for_its_own_connections(
    crds: ControlPlane, namespace: str, cloud: ScriptedCloud, objects: Objects
) -> None:
    kubeconfig = crds.kubeconfig_for(namespace, "own-role", operator_rules())
    cloud.put(A, {**body("SUCCESS"), "job_id": A})
    objects.connect(cloud.url)
    objects.add_job("job", A)
    with start_operator(kubeconfig, "--namespace", namespace, "--allow-endpoint", cloud.url):
        objects.wait_reason("job", "JobSucceeded")


@pytest.mark.controlplane
def test_without_the_crds_the_operator_waits_and_starts_when_they_come(tmp_path: Path) -> None:
    with ControlPlane.start() as bare, start_operator(bare.admin_kubeconfig, ready=False) as operator:
        eventually(lambda: "CRDs" in operator.log, 20, lambda: operator.log)
        assert operator.http("/readyz")[0] == 503
        crds = Path(__file__).resolve().parents[2] / "crds"
        bare.kubectl("apply", "--server-side", "-f", str(crds))
        operator.wait_ready(40)


def test_a_malformed_secret_is_named_and_its_repair_is_noticed(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("RUNNING"), "job_id": A})
    objects.connect(cloud.url)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "default-token"}}
    objects.kubectl("delete", "secret", "default-token")
    objects.apply({**secret, "stringData": {"tokn": "misspelt"}})
    objects.add_job("job", A)
    status = objects.wait_reason("job", "CredentialsInvalid")
    assert "lacks token" in condition(status, "Ready")["message"]
    eventually(
        lambda: condition(objects.get("evsconnection", "default")["status"], "Ready")["reason"] == "SecretKeyMissing",
        15,
    )
    assert "misspelt" not in operator.log
    objects.apply({**secret, "stringData": {"token": TOKEN}})
    objects.wait_reason("job", "JobRunning", timeout=8)
    eventually(
        lambda: condition(objects.get("evsconnection", "default")["status"], "Ready")["reason"] == "CredentialsValid",
        10,
    )


def test_a_refused_token_stalls_its_jobs_with_few_calls_and_its_repair_polls_all_at_once(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    objects.connect(cloud.url, token="an-old-token-that-expired")
    names = [f"job-{number}" for number in range(20)]
    for number in range(20):
        job_id = f"{number:032x}"
        cloud.put(job_id, {**body("RUNNING"), "job_id": job_id})
    objects.apply(*(custom("EvsJob", name, jobId=f"{n:032x}") for n, name in enumerate(names)))
    for name in names:
        objects.wait_reason(name, "Unauthorized")
    assert sum(cloud.calls.values()) <= 2  # one, or one more where this took a minute
    assert "an-old-token-that-expired" not in operator.log + str(objects.jobs())
    objects.connect(cloud.url)
    eventually(lambda: all(_reason(job) == "JobRunning" for job in objects.jobs().values()), 8)


def test_an_endpoint_that_is_not_allowed_is_never_called(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    objects.connect("https://evs.attacker.example.com")
    objects.add_job("job", A)
    status = objects.wait_reason("job", "EndpointNotAllowed")
    assert "--allow-endpoint" in condition(status, "Ready")["message"]


def test_a_job_without_a_project_says_where_to_write_one(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("RUNNING"), "job_id": A})
    objects.connect(cloud.url)
    objects.kubectl(
        "patch", "evsconnection", "default", "--type=json", "-p", '[{"op":"remove","path":"/spec/projectId"}]'
    )
    objects.add_job("job", A)
    objects.wait_reason("job", "InvalidSpec")
    objects.add_job("job", A, projectId=PROJECT)
    objects.wait_reason("job", "JobRunning")


def test_check_names_each_thing_and_fails_where_one_is_missing(crds: ControlPlane, namespace: str) -> None:
    crds.kubectl("delete", "clusterevsconnections", "--all")  # of other tests
    where = ("--namespace", namespace, "--operator-namespace", namespace)  # no other test has left its Lease there
    good = _run("check", "--kubeconfig", str(crds.admin_kubeconfig), *where)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "ok    CRD evsjobs.evs-operator.dev" in good.stdout
    poor = crds.kubeconfig_for(namespace, "nobody", [])
    bad = _run("check", "--kubeconfig", str(poor), "--namespace", namespace)
    assert bad.returncode == 1
    assert "FAIL  permission to watch evsjobs" in bad.stdout
    assert "Traceback" not in bad.stdout + bad.stderr


def _reason(job: dict[str, object]) -> str:
    status = job.get("status")
    return str(condition(status, "Ready").get("reason")) if isinstance(status, dict) else ""
