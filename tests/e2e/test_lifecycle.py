"""What users do with an EvsJob while it is followed: suspend, ask again, change, delete, let it expire."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from controlplane import ControlPlane
from support.jobs import body
from support.operator_process import Objects, OperatorProcess, condition, custom, eventually, start_operator
from support.scripted_cloud import TOKEN, ScriptedCloud

A, B = "a" * 32, "b" * 32
FAST = {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}


def test_a_suspended_job_is_not_asked_for_and_goes_on_when_resumed(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("SUCCESS"), "job_id": A})
    objects.connect(cloud.url)
    objects.add_job("job", A, suspend=True)
    status = objects.wait_reason("job", "Suspended")
    assert condition(status, "Suspended")["status"] == "True"
    assert cloud.calls[A] == 0
    objects.add_job("job", A, suspend=False)
    status = objects.wait_reason("job", "JobSucceeded")
    assert condition(status, "Suspended") == {}


def test_a_finished_job_is_asked_for_again_only_on_request_and_the_request_is_echoed(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("SUCCESS"), "job_id": A})
    objects.connect(cloud.url)
    objects.add_job("job", A, polling=FAST)
    before = objects.wait_reason("job", "JobSucceeded")
    asked = cloud.calls[A]
    objects.kubectl("annotate", "evsjob", "job", "evs-operator.dev/requestedAt=first")
    after = objects.wait_job("job", lambda s: s.get("lastHandledReconcileAt") == "first")
    assert cloud.calls[A] == asked + 1
    assert {**after, "lastHandledReconcileAt": None} == {**before, "lastHandledReconcileAt": None}


def test_a_request_after_a_refused_credential_is_echoed_once_a_call_was_made_for_it(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("RUNNING"), "job_id": A})
    cloud.tokens.clear()
    objects.connect(cloud.url)
    objects.add_job("job", A)
    objects.wait_reason("job", "Unauthorized")
    asked = cloud.calls[A]
    cloud.tokens.add(TOKEN)
    objects.kubectl("annotate", "evsjob", "job", "evs-operator.dev/requestedAt=now")
    status = objects.wait_job("job", lambda s: s.get("lastHandledReconcileAt") == "now")
    assert cloud.calls[A] > asked
    assert condition(status, "Ready")["reason"] == "JobRunning"


def test_a_changed_job_id_starts_a_new_observation(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("SUCCESS"), "job_id": A})
    cloud.put(B, {**body("RUNNING"), "job_id": B})
    objects.connect(cloud.url)
    objects.add_job("job", A)
    objects.wait_reason("job", "JobSucceeded")
    objects.add_job("job", B)
    status = objects.wait_reason("job", "JobRunning")
    assert (status["jobId"], status["observedGeneration"]) == (B, 2)
    assert "completionTime" not in status


def test_a_deadline_passes_on_time_without_a_poll(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("RUNNING"), "job_id": A})
    objects.connect(cloud.url)
    objects.add_job("job", A, deadlineSeconds=3, polling={"minIntervalSeconds": 60, "maxIntervalSeconds": 60})
    status = objects.wait_reason("job", "DeadlineExceeded")
    assert condition(status, "Stalled")["status"] == "True"
    assert status["jobStatus"] == "RUNNING"
    assert cloud.calls[A] == 1


def test_a_deadline_and_a_suspension_wait_for_no_pause_and_for_no_answer(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    gate = threading.Event()
    cloud.put(A, {**body("RUNNING"), "job_id": A}, gate=gate)
    objects.connect(cloud.url)
    objects.add_job("late", A, deadlineSeconds=2)
    objects.add_job("suspended", A)
    cloud.wait_for_call(A)
    try:
        status = objects.wait_reason("late", "DeadlineExceeded", 15)
        assert "jobStatus" not in status
        objects.add_job("suspended", A, suspend=True)
        objects.wait_reason("suspended", "Suspended", 15)
        objects.kubectl("delete", "evsjobs", "--all")
    finally:
        gate.set()
    cloud.put(A, b"{}", 429, headers={"Retry-After": "600"})
    objects.add_job("first", A)
    objects.wait_reason("first", "RateLimited")
    objects.add_job("second", A, deadlineSeconds=2)
    objects.wait_reason("second", "DeadlineExceeded")


def test_a_finished_job_is_deleted_when_its_time_to_live_is_over(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("FAIL"), "job_id": A})
    objects.connect(cloud.url)
    objects.add_job("job", A, ttlSecondsAfterFinished=2)
    objects.wait_reason("job", "JobFailed")
    eventually(lambda: "job" not in objects.jobs(), 10)


def test_a_namesake_created_during_a_poll_never_gets_the_old_jobs_result(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    gate = threading.Event()
    cloud.put(A, {**body("SUCCESS"), "job_id": A}, gate=gate)
    cloud.put(B, {**body("RUNNING"), "job_id": B})
    objects.connect(cloud.url)
    objects.add_job("job", A)
    cloud.wait_for_call(A)
    objects.kubectl("delete", "evsjob", "job")
    objects.add_job("job", B)
    gate.set()
    status = objects.wait_reason("job", "JobRunning")
    assert status["jobId"] == B
    time.sleep(1)  # a late write of the old result would arrive now
    assert objects.get("evsjob", "job")["status"] == status


def test_deleting_takes_no_time_while_the_operator_is_down(
    crds: ControlPlane, operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("RUNNING"), "job_id": A})
    objects.connect(cloud.url)
    objects.add_job("one", A)
    objects.add_job("two", A)
    flags = ("--namespace", objects.namespace, "--allow-endpoint", cloud.url)
    with start_operator(operator_kubeconfig, *flags):
        objects.wait_reason("two", "JobRunning")
    started = time.monotonic()
    objects.kubectl("delete", "evsjob", "one")
    objects.kubectl("delete", "evsjobs", "--all")
    assert time.monotonic() - started < 2  # two commands, each under a second
    assert objects.jobs() == {}


def test_sigterm_ends_the_operator_with_zero_while_polls_hang(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    gate = threading.Event()
    cloud.put(A, {**body("RUNNING"), "job_id": A}, gate=gate)
    objects.connect(cloud.url)
    objects.add_job("job", A)
    cloud.wait_for_call(A)
    started = time.monotonic()
    assert operator.stop() == 0
    assert time.monotonic() - started < 12
    gate.set()


def test_an_answer_in_flight_at_sigterm_is_written(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    gate = threading.Event()
    cloud.put(A, {**body("SUCCESS"), "job_id": A}, gate=gate)
    objects.connect(cloud.url)
    objects.add_job("job", A)
    cloud.wait_for_call(A)
    operator.process.terminate()
    time.sleep(0.5)
    gate.set()
    assert operator.process.wait(15) == 0
    assert condition(objects.get("evsjob", "job")["status"], "Complete")["status"] == "True"


def test_a_connection_that_comes_after_its_jobs_polls_them_at_once(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("RUNNING"), "job_id": A})
    objects.add_job("job", A)
    objects.wait_reason("job", "ConnectionNotFound")
    objects.connect(cloud.url)
    objects.wait_reason("job", "JobRunning", timeout=8)


def test_a_cluster_connection_serves_only_the_namespaces_it_allows(
    crds: ControlPlane, operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects
) -> None:
    token = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shared", "namespace": "evs-operator"}}
    objects.apply({**token, "stringData": {"token": next(iter(cloud.tokens))}})
    spec = {"endpoint": cloud.url, "projectId": "0" * 32, "auth": {"token": {"secretRef": {"name": "shared"}}}}
    name = f"shared-{objects.namespace}"
    crds.kubectl("apply", "-f", "-", input=_json(custom("ClusterEvsConnection", name, **spec)))
    cloud.put(A, {**body("RUNNING"), "job_id": A})
    objects.add_job("job", A, connectionRef={"kind": "ClusterEvsConnection", "name": name})
    flags = ("--namespace", objects.namespace, "--allow-endpoint", cloud.url)
    try:
        with start_operator(operator_kubeconfig, *flags):
            objects.wait_reason("job", "ConnectionNotAllowed")
            assert cloud.calls[A] == 0
            allowed = {**spec, "allowedNamespaces": {"names": [objects.namespace]}}
            crds.kubectl("apply", "-f", "-", input=_json(custom("ClusterEvsConnection", name, **allowed)))
            objects.wait_reason("job", "JobRunning", timeout=8)
    finally:
        crds.kubectl("delete", "clusterevsconnection", name)  # other tests count those of the cluster


def _json(value: object) -> str:
    import json

    return json.dumps(value)
