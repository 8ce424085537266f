"""Statuses that somebody else overwrites, and CA files and Secrets as people write them, on the running operator."""

from __future__ import annotations

import base64
import json

from support.jobs import body
from support.operator_process import Objects, OperatorProcess, condition, custom, eventually
from support.scripted_cloud import TOKEN, ScriptedCloud

RUNNING = "ff80808292ab11f50193d0c1a5e40b17"
ENDED = "ff80808292ab11f50193d0c1a5e40b18"


def overwrite(objects: Objects, kind: str, name: str, status: dict[str, object]) -> None:
    """Overwrite a part of a status as a person with too many rights does."""
    patch = json.dumps({"status": status})
    objects.kubectl("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)


def test_statuses_that_somebody_overwrites_are_put_right_within_a_minute_and_the_log_names_the_writer(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    for job_id, status in ((RUNNING, "RUNNING"), (ENDED, "SUCCESS")):
        cloud.put(job_id, {**body(status), "job_id": job_id})
    objects.connect(cloud.url)
    objects.add_job("running", RUNNING)
    objects.add_job("ended", ENDED)
    ended = objects.wait_reason("ended", "JobSucceeded")
    objects.wait_reason("running", "JobRunning")
    eventually(lambda: ready_of_connection(objects) == "CredentialsValid", 20)

    overwrite(objects, "evsjob", "running", {"jobStatus": "FAIL", "conditions": []})
    objects.wait_job("running", lambda status: status.get("jobStatus") == "RUNNING" and status["conditions"], 60)
    assert "EvsJob " in operator.log
    assert "its status was overwritten by 'kubectl-patch'" in operator.log

    overwrite(objects, "evsjob", "ended", {"jobStatus": "FAIL", "completionTime": None})
    found = objects.wait_job("ended", lambda status: status.get("jobStatus") == "SUCCESS", 60)
    assert found["completionTime"] == ended["completionTime"]

    forged = {"type": "Ready", "status": "False", "reason": "Unauthorized", "message": "forged"}
    forged |= {"lastTransitionTime": "2026-02-03T09:15:00Z"}
    overwrite(objects, "evsconnection", "default", {"conditions": [forged]})
    eventually(lambda: ready_of_connection(objects) == "CredentialsValid", 60)
    assert operator.log.count("its status was overwritten by") <= 3, "once a minute at the most"


def ready_of_connection(objects: Objects, name: str = "default") -> str:
    status = objects.get("evsconnection", name).get("status", {})
    return str(condition(status, "Ready").get("reason")) if status.get("conditions") else ""


def test_what_one_tenant_writes_into_a_ca_file_or_a_secret_concerns_that_connection(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    block = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    bundle = base64.b64encode(f"# für\n{block}".encode()).decode()
    secrets = {"letters": {"token": TOKEN, "ca.crt": f"# für\n{block}"}, "large": {"token": "x" * 900_000}}
    for name, data in secrets.items():  # not applied: kubectl would keep a copy in an annotation, which has less room
        metadata = {"name": name, "namespace": objects.namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        objects.plane.kubectl("create", "-f", "-", input=json.dumps(secret))
    auth = {"token": {"secretRef": {"name": "letters"}}}
    by_secret = {"caSecretRef": {"name": "letters"}}
    objects.apply(
        custom("EvsConnection", "by-secret", endpoint=cloud.url, auth=auth, tls=by_secret),
        custom("EvsConnection", "by-bundle", endpoint=cloud.url, auth=auth, tls={"caBundle": bundle}),
        custom("EvsConnection", "large", endpoint=cloud.url, auth={"token": {"secretRef": {"name": "large"}}}),
    )
    cloud.put(RUNNING, {**body("RUNNING"), "job_id": RUNNING})
    objects.connect(cloud.url)
    objects.add_job("job", RUNNING)
    objects.wait_reason("job", "JobRunning")
    for name in ("by-secret", "by-bundle", "large"):
        eventually(lambda name=name: ready_of_connection(objects, name) == "SecretKeyMissing", 20)  # type: ignore[misc]
    said = condition(objects.get("evsconnection", "large")["status"], "Ready")["message"]
    assert "key token of Secret" in said
    assert "holds 900,000 bytes, and at most 65,536 are taken" in said
    assert "holds no CA certificate that can be read" in json.dumps(objects.get("evsconnection", "by-secret")["status"])
    assert operator.http("/healthz")[0] == 200
