"""Two replicas with --leader-elect: one works, the other takes over when it is gone."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from controlplane import ControlPlane
from support.jobs import JOB_ID, body
from support.operator_process import (
    Objects,
    OperatorProcess,
    eventually,
    leader_election_rules,
    operator_rules,
    start_operator,
)
from support.scripted_cloud import ScriptedCloud


@pytest.fixture
def kubeconfig(crds: ControlPlane, namespace: str) -> Path:
    """Give an account with the rules that users grant to two replicas, its Role in the namespace of the test."""
    return crds.kubeconfig_for(namespace, "replica", leader_election_rules(), cluster_rules=operator_rules())


def replica(
    kubeconfig: Path, objects: Objects, cloud: ScriptedCloud, *, ready: bool = True
) -> AbstractContextManager[OperatorProcess]:
    flags = ("--leader-elect", "--operator-namespace", objects.namespace, "--namespace", objects.namespace)
    return start_operator(kubeconfig, *flags, "--allow-endpoint", cloud.url, ready=ready)


@pytest.fixture
def pair(kubeconfig: Path, objects: Objects, cloud: ScriptedCloud) -> Iterator[tuple[OperatorProcess, OperatorProcess]]:
    """Give a leader that polls a job every second, and a standby."""
    cloud.put(JOB_ID, body("RUNNING"))
    objects.connect(cloud.url)
    objects.add_job("disk", JOB_ID, polling={"minIntervalSeconds": 1, "maxIntervalSeconds": 1})
    with replica(kubeconfig, objects, cloud) as first:
        eventually(lambda: leads(first), 10, lambda: first.log)
        with replica(kubeconfig, objects, cloud) as second:
            cloud.wait_for_call(JOB_ID)
            yield first, second


def leads(operator: OperatorProcess) -> bool:
    return operator.http("/readyz") == (200, "ok\n") and gauge(operator) == "1.0"


def gauge(operator: OperatorProcess) -> str:
    lines = operator.http("/metrics")[1].splitlines()
    return next((line.split()[1] for line in lines if line.startswith("evs_operator_leader ")), "")


def holder(objects: Objects) -> str:
    return str(objects.get("lease", "evs-operator")["spec"].get("holderIdentity", ""))


def seconds_until_polled(cloud: ScriptedCloud) -> float:
    began = time.monotonic()
    cloud.wait_for_call(JOB_ID, cloud.calls[JOB_ID] + 1, 30)
    return time.monotonic() - began


def test_only_the_leader_polls_and_the_standby_is_ready(
    pair: tuple[OperatorProcess, OperatorProcess], cloud: ScriptedCloud
) -> None:
    first, second = pair
    before = cloud.calls[JOB_ID]
    time.sleep(8)  # longer than a renewal
    assert 6 <= cloud.calls[JOB_ID] - before <= 9
    assert leads(first)
    assert second.http("/readyz") == (200, "standby\n")
    assert second.http("/healthz") == (200, "ok\n")
    assert gauge(second) == "0.0"
    assert "synced" not in second.log


def test_the_standby_takes_over_when_the_leader_is_killed(
    pair: tuple[OperatorProcess, OperatorProcess], cloud: ScriptedCloud, objects: Objects
) -> None:
    first, second = pair
    before = holder(objects)
    first.stop(signal.SIGKILL)
    assert 8 < seconds_until_polled(cloud) < 21
    assert leads(second)
    assert holder(objects) != before


def test_the_standby_takes_over_at_once_when_the_leader_is_asked_to_end(
    pair: tuple[OperatorProcess, OperatorProcess], cloud: ScriptedCloud
) -> None:
    first, second = pair
    assert first.stop() == 0
    assert first.log.index("stopping") < first.log.index("released Lease")
    assert seconds_until_polled(cloud) < 5
    assert leads(second)
    assert second.stop() == 0


def test_a_leader_whose_lease_is_taken_away_polls_no_more_and_exits_with_one(
    pair: tuple[OperatorProcess, OperatorProcess], cloud: ScriptedCloud, objects: Objects
) -> None:
    first, second = pair
    second.stop()
    objects.kubectl("patch", "lease", "evs-operator", "--type=merge", "-p", '{"spec":{"holderIdentity":"somebody"}}')
    assert first.process.wait(10) == 1
    assert f"stopping: Lease {objects.namespace}/evs-operator is lost: held by somebody now" in first.log
    calls = cloud.calls[JOB_ID]
    time.sleep(2)
    assert cloud.calls[JOB_ID] == calls
    assert holder(objects) == "somebody"


def test_without_permission_on_leases_it_waits_and_says_so(
    crds: ControlPlane, objects: Objects, cloud: ScriptedCloud
) -> None:
    account = crds.kubeconfig_for(objects.namespace, "no-leases", [], cluster_rules=operator_rules())
    words = f"waiting: no permission to get leases.coordination.k8s.io in namespace {objects.namespace}"
    with replica(account, objects, cloud, ready=False) as operator:
        eventually(lambda: words in operator.http("/readyz")[1], 15, lambda: operator.log)
        assert operator.http("/readyz")[0] == 503
        assert operator.log.count(words) == 1
        assert operator.stop() == 0


def test_a_leader_that_was_frozen_past_its_lease_wakes_up_without_a_call_or_a_write_and_ends(
    kubeconfig: Path, objects: Objects, cloud: ScriptedCloud
) -> None:
    """Nobody else runs, so whatever comes after the pause is its own."""
    objects.connect(cloud.url)
    names = [f"disk-{number}" for number in range(30)]
    for number, name in enumerate(names):
        cloud.put(f"{number:032x}", body("RUNNING", job_id=f"{number:032x}"))
        objects.add_job(name, f"{number:032x}", polling={"minIntervalSeconds": 1, "maxIntervalSeconds": 1})
    with replica(kubeconfig, objects, cloud) as leader:
        for name in names:
            objects.wait_job(name, lambda status: status.get("jobStatus") == "RUNNING", 60)
        leader.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(0.5)  # what was on its way has arrived
            for number in range(len(names)):
                cloud.put(f"{number:032x}", body("SUCCESS", job_id=f"{number:032x}"))
            calls = sum(cloud.calls.values())
            versions = {name: job["metadata"]["resourceVersion"] for name, job in objects.jobs().items()}
            time.sleep(11.0)  # longer than a leader leads without a renewal
        finally:
            leader.process.send_signal(signal.SIGCONT)
        assert leader.process.wait(20) == 1
        assert sum(cloud.calls.values()) == calls
        assert {name: job["metadata"]["resourceVersion"] for name, job in objects.jobs().items()} == versions
        assert "is lost" in leader.log
