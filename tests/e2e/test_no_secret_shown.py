"""No credential comes out of a running operator, whatever the cloud echoes: statuses, Events, debug logs, metrics."""

from __future__ import annotations

import json
from pathlib import Path

from controlplane import ControlPlane
from support import echoes
from support.operator_process import Objects, condition, custom, eventually, start_operator
from support.scripted_cloud import PROJECT, Answer, ScriptedCloud
from support.secret_forms import FORMS, shows

SECRET = "Xy7+Kp93/Qwzz-41rT=Zk0~pl"


def test_nothing_that_the_cloud_echoes_is_shown(
    crds: ControlPlane, operator_kubeconfig: Path, namespace: str, cloud: ScriptedCloud, objects: Objects
) -> None:
    answers = {name: echoes.with_headers(echo(SECRET), SECRET) for name, echo in echoes.ERRORS.items()}
    for form in (
        "base64 one byte in",
        "URL-encoded twice",
        "JSON, each character",
        "hexadecimal",
        "HTML, each character",
    ):
        answers[f"E1, {form}"] = echoes.ERRORS["E1"](FORMS[form](SECRET))
    answers["redirect"] = (302, {"Location": f"https://x.example.com/{SECRET}"}, b"")
    jobs = {f"{number:032x}": answer for number, answer in enumerate(answers.values(), 1)}
    for number, form in enumerate(sorted(FORMS), 100):
        job_id = f"{number:032x}"
        jobs[job_id] = (200, {}, json.dumps({**echoes.job(FORMS[form](SECRET)), "job_id": job_id}).encode())
    for job_id, (status, headers, content) in jobs.items():
        cloud.answers[job_id] = Answer(content, status, headers)
    made = []
    for job_id in jobs:  # each with a connection of its own: one that is refused keeps its other jobs waiting
        name = f"c{job_id[-3:]}"
        metadata = {"name": name}
        made.append(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": SECRET + name}}
        )
        auth = {"token": {"secretRef": {"name": name}}}
        made.append(custom("EvsConnection", name, endpoint=cloud.url, projectId=PROJECT, auth=auth))
        made.append(custom("EvsJob", name, jobId=job_id, connectionRef={"name": name}))
    cloud.tokens = {made_of["stringData"]["token"] for made_of in made if made_of["kind"] == "Secret"}
    objects.apply(*made)
    flags = ("--namespace", namespace, "--allow-endpoint", cloud.url, "--log-level", "debug")
    with start_operator(operator_kubeconfig, *flags) as operator:
        eventually(lambda: all(condition(job.get("status", {}), "Ready") for job in objects.jobs().values()), 60)
        eventually(lambda: len(_events(objects)) > len(FORMS), 20)
        seen = {
            "statuses": json.dumps([job["status"] for job in objects.jobs().values()]),
            "connections": json.dumps(json.loads(objects.kubectl("get", "evsconnections", "-o", "json").stdout)),
            "events": json.dumps(_events(objects)),
            "metrics": operator.http("/metrics")[1],
            "log": operator.log,
        }
    token = json.loads(operator_kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]["token"]
    for where, text in seen.items():
        assert not shows(text, SECRET), where
        assert token not in text, where
    assert "JobFailed" in seen["statuses"]
    assert "***" in seen["statuses"]


def _events(objects: Objects) -> list[object]:
    return list(json.loads(objects.kubectl("get", "events.events.k8s.io", "-o", "json").stdout)["items"])


NAMES = ("access-key", "j-evs-token", "team-secret", "ak", "sk", "password")


def test_objects_may_be_called_like_what_stands_before_a_secret(
    crds: ControlPlane, operator_kubeconfig: Path, namespace: str, cloud: ScriptedCloud, objects: Objects
) -> None:
    """Names stand as they are in statuses, Events and the log, also where a secret begins like one of them."""
    made = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "stringData": {"token": "j-evs-token-1"}}
    ]
    for name in NAMES:
        auth = {"token": {"secretRef": {"name": "missing"}}}
        made.append(custom("EvsConnection", name, endpoint=cloud.url, projectId=PROJECT, auth=auth))
        made.append(custom("EvsJob", name, jobId="0" * 32, connectionRef={"name": name}))
    auth = {"token": {"secretRef": {"name": "mine"}}}
    made.append(custom("EvsConnection", "mine", endpoint=cloud.url, projectId=PROJECT, auth=auth))
    made.append(custom("EvsJob", "mine", jobId="1" * 32, connectionRef={"name": "mine"}))
    objects.apply(*made)
    flags = ("--namespace", namespace, "--allow-endpoint", cloud.url)
    with start_operator(operator_kubeconfig, *flags) as operator:
        said = [
            f"EvsConnection {namespace}/{name}: Secret {namespace}/missing does not exist: create it" for name in NAMES
        ]
        eventually(
            lambda: sum(str(job.get("status")).count("does not exist") for job in objects.jobs().values()) > 3, 60
        )
        eventually(lambda: all(text in json.dumps(_events(objects)) for text in said), 60)
        statuses, log = json.dumps([job.get("status") for job in objects.jobs().values()]), operator.log
    for name, text in zip(NAMES, said, strict=True):
        assert text in statuses
        assert f"EvsJob {namespace}/{name}: CredentialsInvalid: {text}" in log
        assert f"EvsConnection {namespace}/{name}: SecretNotFound: {text}" in log
    assert "***" not in log
