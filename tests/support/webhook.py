"""The webhook as it is deployed, an own process with its own ServiceAccount; who calls it; and statuses as written."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

from controlplane import ControlPlane

from .operator_process import OperatorProcess, ended, eventually

GROUP = "evs-operator.dev"
RULES = [{"apiGroups": [GROUP], "resources": ["evsjobs"], "verbs": ["get", "list", "watch"]}]
"""What the ServiceAccount of the webhook may do."""
SENDER = [{"apiGroups": [GROUP], "resources": ["evsjobs"], "verbs": ["create", "get", "list", "patch"]}]
"""What a caller may do who uses all of it."""
JOB_ID = "21917a8d52a19b040152a9f2f1eb003e"
_DIRECT = urllib.request.ProxyHandler({})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the webhook; `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object of the body."""
        return dict(json.loads(self.body))


class WebhookProcess(OperatorProcess):
    """A running `evs-operator webhook`; `url` is where callers reach it."""

    def __init__(
        self, process: subprocess.Popen[bytes], log: Path, http_port: int, port: int, ca_file: Path | None
    ) -> None:
        super().__init__(process, log, http_port)
        self.door = port
        self.ca_file = ca_file
        self.url = f"{'https' if ca_file else 'http'}://127.0.0.1:{port}"

    def connect(self, timeout: float = 60) -> HTTPConnection:
        """Return a connection of its own."""
        if self.ca_file is None:
            return HTTPConnection("127.0.0.1", self.door, timeout=timeout)
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return HTTPSConnection("127.0.0.1", self.door, timeout=timeout, context=context)

    def ask(
        self,
        method: str,
        path: str,
        token: str | None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; bytes go as they are, anything else as JSON."""
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token}")
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = self.connect()
        try:
            connection.request(method, path, content, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@contextmanager
def start_webhook(
    kubeconfig: Path, *flags: str, certificate: tuple[Path, Path, Path] | None = None, ready: bool = True
) -> Iterator[WebhookProcess]:
    """Run the webhook until the end of the block; its log is checked for tracebacks.

    `certificate` names the files of a certificate, its key and its authority; without it HTTP is plain.
    """
    door, http = _free_ports()
    with tempfile.TemporaryDirectory(prefix="evs-webhook-test-") as directory:
        log = Path(directory) / "log"
        words = [sys.executable, "-m", "evs_operator", "webhook", "--kubeconfig", str(kubeconfig)]
        words += ["--listen", f"127.0.0.1:{door}", "--http-address", f"127.0.0.1:{http}", "--log-format", "text"]
        if certificate is None:
            words += ["--plain-http"]
        else:
            words += ["--tls-cert-file", str(certificate[0]), "--tls-key-file", str(certificate[1])]
        with log.open("wb") as stderr:
            process = subprocess.Popen([*words, *flags], stderr=stderr, env=dict(os.environ))
        webhook = WebhookProcess(process, log, http, door, certificate[2] if certificate else None)
        with ended(process):
            if ready:
                webhook.wait_ready()
            yield webhook
        assert "Traceback" not in webhook.log, webhook.log
        assert "a request was not answered" not in webhook.log, webhook.log


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def token_of(kubeconfig: Path) -> str:
    """Return the token of a kubeconfig."""
    return str(json.loads(kubeconfig.read_text())["users"][0]["user"]["token"])


class Api:
    """The API server as its administrator, without a process for each request."""

    def __init__(self, plane: ControlPlane) -> None:
        self._server = plane.server
        self._token = token_of(plane.admin_kubeconfig)
        context = ssl.create_default_context(cafile=str(plane.ca_file))
        self._opener = urllib.request.build_opener(_DIRECT, urllib.request.HTTPSHandler(context=context))

    def call(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:
        """Send one request and return the JSON of its answer."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._server}{path}", content, headers, method=method)
        with self._opener.open(request, timeout=30) as answer:
            return json.loads(answer.read())

    def jobs_path(self, namespace: str, name: str = "") -> str:
        """Return the path of the EvsJobs of a namespace, or of one."""
        return f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/evsjobs{f'/{name}' if name else ''}"

    def make(self, namespace: str, name: str, job_id: str = JOB_ID, **spec: object) -> dict[str, Any]:
        """Make an EvsJob."""
        body = {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "EvsJob",
            "metadata": {"name": name},
            "spec": {"jobId": job_id, **spec},
        }
        return dict(self.call("POST", self.jobs_path(namespace), body))

    def get(self, namespace: str, name: str) -> dict[str, Any]:
        """Return an EvsJob."""
        return dict(self.call("GET", self.jobs_path(namespace, name)))

    def patch(self, namespace: str, name: str, body: object) -> None:
        """Merge something into an EvsJob."""
        self.call("PATCH", self.jobs_path(namespace, name), body, "application/merge-patch+json")

    def delete(self, namespace: str, name: str) -> None:
        """Delete an EvsJob."""
        self.call("DELETE", self.jobs_path(namespace, name))

    def say(self, namespace: str, name: str, word: str, **status: object) -> None:
        """Write a status as the operator does: InProgress, Complete or Failed, for the spec as it is now."""
        obj = self.get(namespace, name)
        body = {"status": status_of(obj, word, **status)}
        path = f"{self.jobs_path(namespace, name)}/status"
        self.call("PATCH", path, body, "application/merge-patch+json")


def status_of(obj: Mapping[str, Any], word: str, **status: object) -> dict[str, Any]:
    """Return the status of an EvsJob that is in progress, complete or failed."""
    generation = obj["metadata"]["generation"]
    reasons = {"InProgress": "JobRunning", "Complete": "JobSucceeded", "Failed": "JobFailed"}
    said = {"InProgress": "Unknown", "Complete": "True", "Failed": "False"}

    def condition(kind: str, value: str) -> dict[str, object]:
        return {
            "type": kind,
            "status": value,
            "reason": reasons[word],
            "message": f"as written by a test: {word}",
            "lastTransitionTime": "2026-02-03T09:15:31Z",
            "observedGeneration": generation,
        }

    return {
        "observedGeneration": generation,
        "state": word,
        "jobId": obj["spec"]["jobId"],
        "jobStatus": {"InProgress": "RUNNING", "Complete": "SUCCESS", "Failed": "FAIL"}[word],
        "conditions": [
            condition("Ready", said[word]),
            condition("Complete", str(word == "Complete")),
            condition("Failed", str(word == "Failed")),
        ],
        **status,
    }


def waiting(webhook: WebhookProcess) -> int:
    """Return how many wait, as its metrics say."""
    lines = webhook.http("/metrics")[1].splitlines()
    return next((int(float(line.split()[1])) for line in lines if line.startswith("evs_operator_webhook_waiters ")), -1)


def until_waiting(webhook: WebhookProcess, number: int, timeout: float = 30) -> None:
    """Return once so many wait."""
    eventually(lambda: waiting(webhook) == number, timeout, lambda: f"{waiting(webhook)} wait")


def events_of(connection: HTTPConnection) -> Iterator[dict[str, Any]]:
    """Give the data of each event of a stream that was asked for, until it ends."""
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.status
    with answer:
        while line := answer.readline():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def soon(seconds: float) -> float:
    """Return the moment so many seconds from now, on the monotonic clock."""
    return time.monotonic() + seconds
