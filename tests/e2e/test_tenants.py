"""Every attempt of one tenant on another that docs/security.md names, with the rights that a tenant has.

The table in the document and the one here are the same, which a test checks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane import ControlPlane
from support.deployed import NAMESPACE
from support.operator_process import ROOT, condition, custom, eventually
from support.scripted_cloud import PROJECT
from support.tenants import FAST, SHARED_TOKEN, VICTIM_TOKEN, House, holds, house

Attempt = Callable[[House], None]
ATTEMPTS: dict[str, Attempt] = {}
STAMP = "2026-01-01T00:00:00Z"
OWN_SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "own"},
    "stringData": {"token": "some-token-41c2"},
}


def attempt(name: str) -> Callable[[Attempt], Attempt]:
    """Enter an attempt into the table under the words of the document."""

    def enter(function: Attempt) -> Attempt:
        ATTEMPTS[name] = function
        return function

    return enter


@pytest.fixture(scope="module")
def it(crds: ControlPlane, operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(crds, operator_kubeconfig, NAMESPACE, 1, tmp_path_factory.mktemp("resolver")) as made:
        made.new_job(made.victim, "own")
        made.victim.wait_reason("own", "JobRunning")
        yield made


def reasons(it: House, prefix: str) -> dict[str, str]:
    """Return the reason of Ready of mallory's EvsJobs."""
    jobs = ((name, job.get("status", {})) for name, job in it.mallory.jobs().items() if name.startswith(prefix))
    return {name: str(condition(status, "Ready").get("reason")) for name, status in jobs}


def connection(name: str, endpoint: str, secret: str = "own", **spec: Any) -> dict[str, Any]:
    auth = {"token": {"secretRef": {"name": secret}}}
    return custom("EvsConnection", name, endpoint=endpoint, projectId=PROJECT, **{"auth": auth, **spec})


@attempt("name another namespace's Secret in `secretRef`, in any spelling")
def _(it: House) -> None:
    victim = it.victim.namespace
    spellings = (
        *(f"{victim}/default-token", f"../{victim}/default-token", f"../../{victim}/secrets/default-token"),
        *(f"..%2f{victim}%2fdefault-token", f"{victim}%2Fdefault-token", "..", ".", "", "Default-Token", "a\nb"),
    )
    it.mallory.attempt(*(connection(f"spelt-{n}", it.cloud.url, spelling) for n, spelling in enumerate(spellings)))
    assert it.mallory.taken("evsconnections", "spelt-") == set()
    auth = {"token": {"secretRef": {"name": "default-token", "namespace": victim}}}
    it.mallory.apply(connection("stolen", it.cloud.url, auth=auth))
    job = it.new_job(it.mallory, "stolen", connectionRef={"name": "stolen"})
    status = it.eventually_refused("stolen", "CredentialsInvalid")
    assert f"Secret {it.mallory.namespace}/default-token" in condition(status, "Ready")["message"]
    assert it.tokens_for(job) == set()


@attempt("name another namespace's connection in `connectionRef`")
def _(it: House) -> None:
    victim = it.victim.namespace
    it.victim.connect(it.cloud.url, "theirs", VICTIM_TOKEN)
    for number, spelling in enumerate((f"{victim}/theirs", f"../{victim}/evsconnections/theirs", "..", "%2e%2e")):
        ref = {"name": spelling}
        assert it.mallory.attempt(custom("EvsJob", f"spelt-{number}", jobId="a" * 32, connectionRef=ref)), spelling
    ref = {"kind": "EvsConnection", "name": "theirs", "namespace": victim}
    it.answer("b" * 32)
    assert it.mallory.attempt(custom("EvsJob", "borrowed", jobId="b" * 32, connectionRef=ref)) == ""
    it.eventually_refused("borrowed", "ConnectionNotFound")
    assert it.tokens_for("b" * 32) == set()


@attempt("use a ClusterEvsConnection that does not allow the namespace")
def _(it: House) -> None:
    ref = {"kind": "ClusterEvsConnection", "name": "victims-only"}
    job = it.new_job(it.mallory, "uninvited", connectionRef=ref)
    it.eventually_refused("uninvited", "ConnectionNotAllowed")
    assert it.tokens_for(job) == set()


@attempt("get it by default, without a `connectionRef`")
def _(it: House) -> None:
    job = it.new_job(it.mallory, "by-default")
    it.eventually_refused("by-default", "ConnectionNotAllowed")
    assert it.tokens_for(job) == set()


@attempt("give one's own namespace the label that a connection asks for")
def _(it: House) -> None:
    done = it.mallory.kubectl("label", "namespace", it.mallory.namespace, "evs=shared", check=False)
    assert "forbidden" in done.stderr


@attempt("go on using a ClusterEvsConnection after the label was taken from the namespace")
def _(it: House) -> None:
    it.plane.kubectl("label", "namespace", it.mallory.namespace, "evs=shared")
    ref = {"kind": "ClusterEvsConnection", "name": "labelled"}
    job = it.new_job(it.mallory, "labelled", connectionRef=ref)
    it.mallory.wait_reason("labelled", "JobRunning")
    it.plane.kubectl("label", "namespace", it.mallory.namespace, "evs-")
    it.eventually_refused("labelled", "ConnectionNotAllowed", 20)
    asked = it.cloud.calls[job]
    assert holds(lambda: it.cloud.calls[job] == asked, 2.5)
    it.mallory.kubectl("delete", "evsjob", "labelled")


def endpoints(it: House) -> list[str]:
    port, evs = it.listener.port, "evs.eu-de.otc.t-systems.com"
    return [
        *(f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}", f"https://localhost:{port}"),
        *(f"http://2130706433:{port}", f"https://0x7f000001:{port}", f"https://0177.0.0.1:{port}", "https://127.1"),
        *(f"https://[::1]:{port}", f"https://[::ffff:127.0.0.1]:{port}", "https://[fd00:ec2::254]", "https://0.0.0.0"),
        *("https://169.254.169.254", "https://metadata.google.internal", "https://kubernetes.default.svc"),
        *("https://kubernetes", "https://10.0.0.1", "https://bucket.obs.eu-de.otc.t-systems.com"),
        *(f"https://{evs}.evil.example.com", f"https://{evs}:8443", f"https://{evs}@evil.example.com"),
        *(f"https://evil@{evs}", "https://evil.otc.t-systems.com", f"https://{evs}%2eevil.com", f"http://{evs}"),
        *(f"https://{evs}/v1/../../x", f"https://{evs}?x=", f"https://{evs}#x", f"file://{evs}", f"//{evs}"),
        *(f"{it.cloud.url}@evil.example.com", f"{it.cloud.url}0", it.cloud.url.replace("127.0.0.1", "localhost")),
    ]


@attempt("have a credential sent to an endpoint of one's own, in any spelling")
def _(it: House) -> None:
    it.mallory.attempt(OWN_SECRET, *(connection(f"evil-{n}", named) for n, named in enumerate(endpoints(it))))
    taken = it.mallory.taken("evsconnections", "evil-")  # the API server refuses some: not even a connection
    assert len(taken) > 10
    it.mallory.apply(*(custom("EvsJob", name, jobId="c" * 32, connectionRef={"name": name}) for name in taken))
    eventually(lambda: set(reasons(it, "evil-").values()) == {"EndpointNotAllowed"}, 20)
    assert it.listener.connections == 0
    assert it.cloud.calls["c" * 32] == 0


@attempt("point an allowed name at this machine, the metadata service or the inside")
def _(it: House) -> None:
    it.mallory.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"}, "stringData": {"token": "t" * 9}}
    )
    for number, address in enumerate(("127-0-0-1", "169-254-169-254", "10-0-0-1", "0-0-0-0", "192-168-1-1")):
        name = f"rebound-{number}"
        made = connection(name, f"https://{address}.rebound.example.test:{it.listener.port}")
        it.mallory.apply(made, custom("EvsJob", name, jobId="d" * 32, connectionRef={"name": name}))
    eventually(lambda: list(reasons(it, "rebound-").values()) == ["EndpointNotAllowed"] * 5, 20)
    assert it.listener.connections == 0


@attempt("have an allowed host redirect the call to one's own")
def _(it: House) -> None:
    it.mallory.connect(it.cloud.url, "redirected", "a-token-of-her-own-5d7e")
    target = f"http://127.0.0.1:{it.listener.port}/v1"
    job = it.new_job(it.mallory, "redirected", connectionRef={"name": "redirected"})
    it.cloud.put(job, b"", 302, headers={"Location": target})
    it.eventually_refused("redirected", "EndpointInvalid")


@attempt("have a password sent to an IAM endpoint of one's own")
def _(it: House) -> None:
    data = {"username": "u", "password": "a-password-to-steal", "domainName": "d"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "iam"}, "stringData": data}
    iam = f"http://127.0.0.1:{it.listener.port}"
    auth = {"password": {"secretRef": {"name": "iam"}, "iamEndpoint": iam}}
    it.mallory.apply(secret, connection("iam", it.cloud.url, auth=auth))
    it.new_job(it.mallory, "iam", connectionRef={"name": "iam"})
    it.eventually_refused("iam", "EndpointNotAllowed")


@attempt("put path tricks into `jobId` and `projectId`")
def _(it: House) -> None:
    wrong = ("../../v1/x", "a" * 32 + "/..", "%2e%2e%2f" * 3, "a" * 32 + "?x=1", "a" * 32 + "\n", "", "a;b" * 9)
    it.mallory.attempt(*(custom("EvsJob", f"path-{n}", jobId=text) for n, text in enumerate(wrong)))
    it.mallory.attempt(*(custom("EvsJob", f"path-p{n}", jobId="a" * 32, projectId=t) for n, t in enumerate(wrong)))
    assert it.mallory.taken("evsjobs", "path-") == set()


@attempt("forge a status")
def _(it: House) -> None:
    forged = custom("EvsJob", "forged", jobId="e" * 32, connectionRef={"name": "redirected"})
    it.answer("e" * 32)
    done = {"type": "Ready", "status": "True", "reason": "JobSucceeded", "message": "yes", "lastTransitionTime": STAMP}
    status = {"jobStatus": "SUCCESS", "completionTime": STAMP, "jobId": "e" * 32, "conditions": [done]}
    it.mallory.apply({**forged, "status": {**status, "observedGeneration": 1}})
    it.mallory.wait_reason("forged", "JobRunning")
    patch = '{"status":{"completionTime":"2026-01-01T00:00:00Z","jobStatus":"SUCCESS"}}'
    refused = it.mallory.kubectl(
        *("patch", "evsjob", "forged", "--subresource=status", "--type=merge", "-p", patch), check=False
    )
    assert "forbidden" in refused.stderr
    refused = it.mallory.kubectl(
        *("patch", "evsconnection", "redirected", "--subresource=status", "--type=merge", "-p", patch), check=False
    )
    assert "forbidden" in refused.stderr


@attempt("smuggle line ends, colours and whole records into logs and conditions")
def _(it: House) -> None:
    fake = "2026-11-24T09:00:00.000Z INFO  evs_operator.jobs.status_writer  EvsJob victim/own: JobSucceeded"
    reason = f"volume is error!\n{fake}\r\n\x1b[2J\x1b[31mred\u2028{fake}\x9b31m\u202e"
    it.mallory.connect(it.cloud.url, "smuggler", "a-token-of-her-own-5d7e")
    job = it.new_job(it.mallory, "smuggler", connectionRef={"name": "smuggler"})
    it.answer(job, "FAIL", job_type=f"create\n{fake}", error_code="EVS.2024", fail_reason=reason)
    status = it.mallory.wait_reason("smuggler", "JobFailed")
    for said in status["conditions"]:
        assert said["message"].isprintable(), said
    assert not any(line.startswith("2026-11-24T09:00:00.000Z") for line in it.operator.log.splitlines())
    assert all(character.isprintable() or character == "\n" for character in it.operator.log)
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", str(status.get("failReason")))


@attempt("call one's own token by a word or an id of somebody else's result, to have it masked there")
def _(it: House) -> None:
    volume = "5d0c3c7e-6a1f-4f0e-9b7a-0a6a0b1c2d3e"
    for number, word in enumerate(("SUCCESS", "createVolume", volume, "pvc-4711-data")):
        it.mallory.connect(it.cloud.url, f"masking-{number}", word)
    for number in range(4):
        it.mallory.add_job(f"masking-{number}", "f" * 32, connectionRef={"name": f"masking-{number}"})
    for number in range(4):
        it.mallory.wait_reason(f"masking-{number}", "Unauthorized")
    job = it.new_job(it.victim, "masked")
    entities = {"volume_id": volume, "name": "pvc-4711-data"}
    it.answer(job, "SUCCESS", job_type="createVolume", entities=entities)
    status = it.victim.wait_reason("masked", "JobSucceeded")
    assert (status["jobStatus"], status["jobType"], status["entities"]) == ("SUCCESS", "createVolume", entities)
    assert "***" not in str(status)


@attempt("have somebody else's EvsJob deleted by `ttlSecondsAfterFinished`")
def _(it: House) -> None:
    it.new_job(it.victim, "same-name")
    it.victim.wait_reason("same-name", "JobRunning")
    it.mallory.connect(it.cloud.url, "short", "a-token-of-her-own-5d7e")
    it.new_job(it.mallory, "same-name", "SUCCESS", connectionRef={"name": "short"}, ttlSecondsAfterFinished=0)
    eventually(lambda: "same-name" not in it.mallory.jobs(), 15)
    assert "same-name" in it.victim.jobs()


@attempt("fill the operator with huge objects")
def _(it: House) -> None:
    big = custom("EvsJob", "big", jobId="a1" * 16, connectionRef={"name": "short"})
    it.answer("a1" * 16)
    big["metadata"]["annotations"] = {"evs-operator.dev/requestedAt": "x" * 200_000}
    refused = it.mallory.plane.kubectl(
        *("create", "-f", "-"),
        input=json.dumps({**big, "metadata": {**big["metadata"], "namespace": it.mallory.namespace}}),
        check=False,
    )
    assert refused.returncode == 0, refused.stderr
    status = it.mallory.wait_reason("big", "JobRunning")
    assert len(str(status)) < 64 * 1024
    job = it.new_job(it.victim, "beside-the-big")
    it.victim.wait_reason("beside-the-big", "JobRunning")
    assert it.tokens_for(job) == {VICTIM_TOKEN}


@attempt("ask for a poll again and again with `requestedAt`")
def _(it: House) -> None:
    job = it.new_job(it.mallory, "again", connectionRef={"name": "short"})
    it.mallory.wait_reason("again", "JobRunning")
    for number in range(10):
        it.mallory.kubectl("annotate", "--overwrite", "evsjob", "again", f"evs-operator.dev/requestedAt=n{number}")
    eventually(lambda: it.mallory.get("evsjob", "again")["status"].get("lastHandledReconcileAt") == "n9", 15)
    assert it.cloud.calls[job] <= 13


@attempt("starve the others on a shared credential with jobs that are polled every second")
def _(it: House) -> None:
    ref = {"kind": "ClusterEvsConnection", "name": "both"}
    many = [f"{number:032x}" for number in range(1, 151)]
    for job_id in many:
        it.answer(job_id)
    it.mallory.apply(
        *(custom("EvsJob", f"hungry-{job_id[-4:]}", jobId=job_id, connectionRef=ref, polling=FAST) for job_id in many)
    )
    eventually(lambda: sum(it.cloud.calls[job_id] for job_id in many) > 60, 30)
    job = it.new_job(it.victim, "among-the-hungry", "SUCCESS", connectionRef=ref)
    it.victim.wait_reason("among-the-hungry", "JobSucceeded", 10)
    assert it.tokens_for(job) == {SHARED_TOKEN}
    it.mallory.kubectl("delete", "evsjobs", "--all", "--wait=false")


@attempt("read the result of somebody else's job through a connection that both may use")
def _(it: House) -> None:
    ref = {"kind": "ClusterEvsConnection", "name": "both"}
    job = it.new_job(it.victim, "readable", "SUCCESS", connectionRef=ref)
    it.victim.wait_reason("readable", "JobSucceeded")
    it.mallory.add_job("curious", job, connectionRef=ref)
    it.mallory.wait_reason("curious", "JobSucceeded")  # not defended, and documented so


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_ends_as_the_document_says(name: str, it: House) -> None:
    ATTEMPTS[name](it)
    for secret in (VICTIM_TOKEN, SHARED_TOKEN):
        assert secret not in it.operator.log
        assert secret not in str(it.mallory.jobs())


def test_after_all_attempts_the_victims_job_is_followed_as_before(it: House) -> None:
    status = it.victim.get("evsjob", "own")["status"]
    assert condition(status, "Ready")["reason"] == "JobRunning"
    assert it.listener.connections == 0
    assert it.operator.http("/healthz")[0] == 200


def test_the_document_names_each_attempt_and_no_other() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.split("| a tenant tries to |", 1)[1].split("\n\n", 1)[0]
    named = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert named == list(ATTEMPTS)
