"""Events on the real API server: one for each transition, shown by kubectl, and never in the way of a status."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from controlplane import ControlPlane, Fault, FaultProxy
from support.jobs import body
from support.operator_process import (
    Object,
    Objects,
    OperatorProcess,
    custom,
    eventually,
    operator_rules,
    start_operator,
)
from support.scripted_cloud import ScriptedCloud

A, B = "a" * 32, "b" * 32
FAST = {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}
STARTED = ("Normal", "Started", "JobRunning")
FINISHED = ("Normal", "Finished", "JobSucceeded")
REFUSED = ("Warning", "ActionRequired", "Unauthorized")
RECOVERED = ("Normal", "Recovered", "JobRunning")


def _put(cloud: ScriptedCloud, job_id: str, word: str, **fields: str) -> None:
    cloud.put(job_id, body(word, job_id=job_id, **fields))


def _events(objects: Objects, kind: str, name: str) -> list[Object]:
    items = json.loads(objects.kubectl("get", "events.events.k8s.io", "-o", "json").stdout)["items"]
    own = [event for event in items if (event["regarding"]["kind"], event["regarding"]["name"]) == (kind, name)]
    return sorted(own, key=lambda event: str(event["eventTime"]))


def _told(objects: Objects, name: str, kind: str = "EvsJob") -> list[tuple[str, str, str]]:
    return [(event["type"], event["action"], event["reason"]) for event in _events(objects, kind, name)]


def _wait_told(objects: Objects, name: str, *told: tuple[str, str, str], kind: str = "EvsJob") -> None:
    eventually(
        lambda: _told(objects, name, kind) == list(told),
        20,
        lambda: f"{_told(objects, name, kind)} of {objects.get(kind, name)['status']}",
    )


def test_start_end_and_failure_are_told_once_and_described(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    _put(cloud, A, "RUNNING")
    failed = {"error_code": "EVS.2024", "fail_reason": "EbsCreateVolumeTask-fail:volume is error!"}
    _put(cloud, B, "FAIL", **failed)
    objects.connect(cloud.url)
    objects.add_job("good", A, polling=FAST)
    objects.add_job("bad", B)
    cloud.wait_for_call(A, 4)
    assert _told(objects, "good") == [STARTED]
    _put(cloud, A, "SUCCESS", end_time="2026-02-03T09:15:31.208Z")
    _wait_told(objects, "good", STARTED, FINISHED)
    _wait_told(objects, "bad", ("Warning", "Failed", "JobFailed"))
    _wait_told(objects, "default", ("Normal", "Verified", "CredentialsValid"), kind="EvsConnection")
    event = _events(objects, "EvsJob", "bad")[0]
    assert event["regarding"]["uid"] == objects.get("evsjob", "bad")["metadata"]["uid"]
    assert event["reportingController"] == "evs-operator.dev/evs-operator"
    assert event["note"].startswith("createVolume failed: EVS.2024 volume is error! (volume ")
    lines = objects.kubectl("describe", "evsjob", "good").stdout.splitlines()
    shown = [line.split() for line in lines[lines.index("Events:") + 3 :]]
    assert [line[:2] for line in shown] == [["Normal", "JobRunning"], ["Normal", "JobSucceeded"]]
    assert shown[1][3:] == ["evs-operator.dev/evs-operator", "createVolume", "succeeded", "in", "31.1s"]


def test_a_refused_credential_and_its_repair_are_told_and_a_restart_repeats_nothing(
    crds: ControlPlane, operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects
) -> None:
    _put(cloud, A, "RUNNING")
    objects.connect(cloud.url, token="wrong")
    objects.add_job("job", A, polling=FAST)
    flags = ("--namespace", objects.namespace, "--allow-endpoint", cloud.url)
    with start_operator(operator_kubeconfig, *flags) as operator:
        _wait_told(objects, "job", REFUSED)
        _wait_told(objects, "default", REFUSED, kind="EvsConnection")
        operator.stop(signal.SIGKILL)
    with start_operator(operator_kubeconfig, *flags):
        calls = cloud.calls[A]
        objects.connect(cloud.url)
        _wait_told(objects, "job", REFUSED, RECOVERED)
        verified = ("Normal", "Verified", "CredentialsValid")
        _wait_told(objects, "default", REFUSED, verified, kind="EvsConnection")
        cloud.wait_for_call(A, calls + 3)
        assert _told(objects, "job") == [REFUSED, RECOVERED]


def test_an_api_server_that_never_answers_an_event_holds_up_no_status_and_no_end(
    crds: ControlPlane, operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects
) -> None:
    objects.connect(cloud.url)
    flags = ("--namespace", objects.namespace, "--allow-endpoint", cloud.url)
    with FaultProxy.start(crds) as proxy:
        proxy.fail(Fault(path="/apis/events.k8s.io", hang=True))
        with start_operator(proxy.kubeconfig(operator_kubeconfig), *flags) as operator:
            for number in range(20):
                _put(cloud, f"{number:032x}", "SUCCESS")
            objects.apply(*(custom("EvsJob", f"job-{n}", jobId=f"{n:032x}") for n in range(20)))
            eventually(lambda: all("completionTime" in job.get("status", {}) for job in objects.jobs().values()), 20)
            assert operator.http("/healthz")[0] == 200
            assert operator.stop(timeout=10) == 0
    assert _told(objects, "job-0") == []


def test_without_the_permission_all_works_and_the_log_says_so_once(
    crds: ControlPlane, cloud: ScriptedCloud, objects: Objects
) -> None:
    rules = [rule for rule in operator_rules() if "events" not in rule["resources"]]
    poor = crds.kubeconfig_for("evs-operator-without-events", "evs-operator", [], cluster_rules=rules)
    for number in range(3):
        _put(cloud, f"{number:032x}", "SUCCESS")
    objects.connect(cloud.url)
    flags = ("--namespace", objects.namespace, "--allow-endpoint", cloud.url)
    with start_operator(poor, *flags) as operator:
        for number in range(3):
            objects.add_job(f"job-{number}", f"{number:032x}")
            objects.wait_reason(f"job-{number}", "JobSucceeded")
        eventually(lambda: "no Events" in operator.log, 10)
        time.sleep(1)
        assert operator.log.count("no Events") == 1
        metrics = operator.http("/metrics")[1]
    assert 'evs_operator_events_total{result="refused"}' in metrics
    assert _told(objects, "job-0") == []
