"""Credentials that expire, are locked or are wrong, with hundreds of EvsJobs on them: few calls, plain words, cure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.operator_process import Objects, OperatorProcess, condition, custom, eventually, start_operator
from support.simulator import PROJECT, SimulatorProcess, run_simulator

KEY = {"access_key": "AKOFTHETESTS", "secret_key": "the-secret-key-of-the-tests"}


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    with run_simulator() as running:
        yield running


@pytest.fixture
def operator(operator_kubeconfig: Path, namespace: str, simulator: SimulatorProcess) -> Iterator[OperatorProcess]:
    flags = ("--namespace", namespace, "--allow-endpoint", simulator.url)
    with start_operator(operator_kubeconfig, *flags) as running:
        yield running


def connect(objects: Objects, simulator: SimulatorProcess, kind: str, **data: str) -> None:
    """Apply the connection `default` and its Secret."""
    auth: dict[str, Any] = {"secretRef": {"name": "credential"}}
    if kind == "password":
        auth["iamEndpoint"] = simulator.url
    objects.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "credential"}, "stringData": data},
        custom("EvsConnection", "default", endpoint=simulator.url, projectId=PROJECT, auth={kind: auth}),
    )


def add_jobs(objects: Objects, simulator: SimulatorProcess, number: int, **spec: Any) -> None:
    """Make running jobs at the cloud, and an EvsJob for each."""
    made = simulator.admin("POST", "jobs", {"copies": number, "never_ends": True, "begin_in": -60})
    objects.apply(*(custom("EvsJob", f"job-{n}", jobId=job, **spec) for n, job in enumerate(made["job_ids"])))


def reasons(objects: Objects) -> list[str]:
    """Return the reason of each EvsJob, "" for one without a status."""
    path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].reason}"
    return objects.kubectl("get", "evsjobs", "-o", path).stdout.split()


def all_say(objects: Objects, number: int, reason: str, timeout: float = 60) -> None:
    """Return once so many EvsJobs say so."""
    eventually(lambda: reasons(objects) == [reason] * number, timeout, lambda: str(set(reasons(objects))))


def count(simulator: SimulatorProcess, path: str, status: int | None = None) -> int:
    return sum(1 for request in simulator.requests(path) if status in (None, request["status"]))


def test_one_token_request_serves_five_hundred_jobs_whose_token_has_expired(
    operator: OperatorProcess, simulator: SimulatorProcess, objects: Objects
) -> None:
    connect(objects, simulator, "password", username="demo", password="demo-password", domainName="demo-domain")
    add_jobs(objects, simulator, 500, polling={"minIntervalSeconds": 8, "maxIntervalSeconds": 8})
    all_say(objects, 500, "JobRunning")
    assert count(simulator, "/v3/auth/tokens") == 1
    simulator.admin("DELETE", "requests")
    simulator.set_clock(advance=86_401)  # the token's day is over, and nobody told the operator

    eventually(lambda: len({r["path"] for r in simulator.requests("/jobs/") if r["status"] == 200}) == 500, 60)
    assert count(simulator, "/jobs/", 401) >= 1
    assert count(simulator, "/v3/auth/tokens") == 1
    assert reasons(objects) == ["JobRunning"] * 500
    assert "Unauthorized" not in operator.log


def test_a_locked_access_key_gets_one_call_and_its_jobs_say_that_it_is_locked(
    operator: OperatorProcess, simulator: SimulatorProcess, objects: Objects
) -> None:
    simulator.admin("POST", "access_keys", {**KEY, "locked_for": 300})
    connect(objects, simulator, "accessKey", accessKey=KEY["access_key"], secretKey=KEY["secret_key"])
    add_jobs(objects, simulator, 40)
    all_say(objects, 40, "Unauthorized")
    objects.kubectl("annotate", "evsjobs", "--all", "evs-operator.dev/requestedAt=now")
    objects.add_job("later", "f" * 32)
    objects.wait_reason("later", "Unauthorized")  # the requests came before it
    assert not any("lastHandledReconcileAt" in job["status"] for job in objects.jobs().values())
    assert count(simulator, "/jobs/") == 1
    status = objects.get("evsjob", "job-7")["status"]
    assert "locked the access key" in condition(status, "Ready")["message"]
    assert condition(status, "Stalled")["reason"] == "Unauthorized"
    assert KEY["access_key"] not in operator.log + json.dumps(objects.jobs())
    eventually(
        lambda: condition(objects.get("evsconnection", "default")["status"], "Ready")["reason"] == "Unauthorized", 10
    )


def test_a_wrong_secret_costs_one_call_and_its_repair_polls_all_two_hundred_jobs(
    operator: OperatorProcess, simulator: SimulatorProcess, objects: Objects
) -> None:
    simulator.admin("POST", "access_keys", KEY)
    connect(objects, simulator, "accessKey", accessKey=KEY["access_key"], secretKey="a-wrong-secret-key")
    first = time.monotonic()
    add_jobs(objects, simulator, 200)
    all_say(objects, 200, "Unauthorized")
    tries = count(simulator, "/jobs/")
    assert tries <= 1 + (time.monotonic() - first) / 60  # one a minute, however slow this machine is
    connect(objects, simulator, "accessKey", accessKey=KEY["access_key"], secretKey=KEY["secret_key"])
    all_say(objects, 200, "JobRunning", 30)
    assert len({r["path"] for r in simulator.requests("/jobs/") if r["status"] == 200}) == 200
    assert count(simulator, "/jobs/", 401) == tries
