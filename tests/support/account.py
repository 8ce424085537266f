"""The API server as one account sees it, over one kept connection: thousands of objects where kubectl takes minutes."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .operator_process import condition, eventually
from .scripted_cloud import PROJECT

Object = dict[str, Any]
_OURS = "/apis/evs-operator.dev/v1alpha1"
_PLURALS = {"EvsJob": "evsjobs", "EvsConnection": "evsconnections", "Secret": "secrets"}
_OVERALL = {"ClusterEvsConnection": "clusterevsconnections"}


class RefusedError(AssertionError):
    """The API server refused a request; the message is its own."""


class Account:
    """Objects of one namespace, with the token of a kubeconfig. For one thread at a time."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        config = json.loads(kubeconfig.read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.namespace = namespace
        self.token = str(config["users"][0]["user"]["token"])
        self._host = urlsplit(cluster["server"]).netloc
        self._trust = ssl.create_default_context(cadata=ca)
        self._wire: http.client.HTTPSConnection | None = None

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Object:
        """Make a request and return the answer; raises RefusedError."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind, "Accept": "application/json"}
        for last in (False, True):
            if self._wire is None:
                self._wire = http.client.HTTPSConnection(self._host, context=self._trust, timeout=60)
            try:
                self._wire.request(method, path, content, headers)
                answer = self._wire.getresponse()
                text = answer.read().decode()
                break
            except (OSError, http.client.HTTPException):  # it may have closed a connection that was idle
                self.close()
                if last:
                    raise
        if answer.status >= 400:
            raise RefusedError(f"{method} {path}: {answer.status} {text[:400]}")
        return dict(json.loads(text))

    def close(self) -> None:
        """Close the connection."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def create(self, *objects: Mapping[str, Any]) -> None:
        """Create objects, or bring those that are there to this `spec` or content."""
        for one in objects:
            try:
                self.request("POST", self._path(one["kind"]), one)
            except RefusedError as error:
                if " 409 " not in str(error):
                    raise
                self.patch(one["kind"], one["metadata"]["name"], dict(one))

    def patch(self, kind: str, name: str, change: Object) -> None:
        """Merge a change into an object."""
        self.request("PATCH", f"{self._path(kind)}/{name}", change, "application/merge-patch+json")

    def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        self.request("DELETE", f"{self._path(kind)}/{name}")

    def list(self, kind: str) -> dict[str, Object]:
        """Return all objects of a kind in the namespace by name."""
        items = self.request("GET", self._path(kind)).get("items", [])
        return {item["metadata"]["name"]: item for item in items}

    def get(self, kind: str, name: str) -> Object:
        """Return an object."""
        return self.request("GET", f"{self._path(kind)}/{name}")

    def ready(self, kind: str, name: str) -> Object:
        """Return the Ready condition of an object."""
        return condition(self.get(kind, name).get("status", {}), "Ready")

    def wait_told(self, kind: str, name: str, timeout: float = 20) -> None:
        """Return once the operator has looked at an object as it is now."""
        eventually(lambda: is_told(self.get(kind, name)), timeout, lambda: str(self.ready(kind, name)))

    def wait_reason(self, kind: str, name: str, reason: str, timeout: float = 30) -> Object:
        """Return the status of an object once its Ready condition has that reason."""
        eventually(lambda: self.ready(kind, name).get("reason") == reason, timeout, lambda: str(self.ready(kind, name)))
        return dict(self.get(kind, name)["status"])

    def events(self) -> str:
        """Return all Events of the namespace as text."""
        return json.dumps(self.request("GET", f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")["items"])

    def clear(self) -> None:
        """Delete all that a tenant can make, and return once it is gone."""
        for kind in _PLURALS:
            self.request("DELETE", self._path(kind))
        eventually(lambda: not any(self.list(kind) for kind in _PLURALS), 60)

    def _path(self, kind: str) -> str:
        if kind in _OVERALL:
            return f"{_OURS}/{_OVERALL[kind]}"
        base = "/api/v1" if kind == "Secret" else _OURS
        return f"{base}/namespaces/{self.namespace}/{_PLURALS[kind]}"


def is_told(one: Object) -> bool:
    """Tell whether the operator has looked at an object as it is now."""
    said = condition(one["status"], "Ready")
    return bool(one["status"]["observedGeneration"] == one["metadata"]["generation"] and said["reason"] != "Pending")


def secret(name: str, **data: str) -> Object:
    """Return the manifest of a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def ours(kind: str, name: str, **spec: Any) -> Object:
    """Return a manifest of our group."""
    return {"apiVersion": "evs-operator.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def token_connection(name: str, endpoint: str, held_by: str = "own", **spec: Any) -> Object:
    """Return an EvsConnection that signs in with the token of a Secret."""
    auth = {"token": {"secretRef": {"name": held_by}}}
    return ours("EvsConnection", name, **{"endpoint": endpoint, "projectId": PROJECT, "auth": auth, **spec})


def job(name: str, job_id: str, connection: str = "", **spec: Any) -> Object:
    """Return an EvsJob that is polled every second; without a connection it takes the default one."""
    ref = {"connectionRef": {"name": connection}} if connection else {}
    return ours("EvsJob", name, jobId=job_id, polling={"minIntervalSeconds": 1, "maxIntervalSeconds": 1}, **ref, **spec)
