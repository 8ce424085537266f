"""Two tenants and a platform team, for attempts of one tenant on another: each acts with its own ServiceAccount.

`House` is a running operator over both namespaces, a cloud that knows their credentials, and a listener of the
attacker's that nobody may ever connect to. Names are resolved by `RESOLVER` in the operator's process: a wildcard of
the allow-list then covers names that the attacker points wherever they like.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane import ControlPlane

from .jobs import body
from .operator_process import Object, Objects, OperatorProcess, custom, start_operator
from .scripted_cloud import PROJECT, ScriptedCloud, scripted_cloud

VICTIM_TOKEN = "the-token-of-the-victim-7a1f"
SHARED_TOKEN = "the-token-of-the-platform-93bc"
WILDCARD = "https://*.rebound.example.test"
RESOLVER = """
import socket, sys
sys.modules["uvloop"] = None  # it resolves names without Python
_real = socket.getaddrinfo
def getaddrinfo(host, port, *rest, **more):
    name = host.decode() if isinstance(host, bytes) else host
    if name and name.endswith(".rebound.example.test"):
        address = name.split(".")[0].replace("-", ".")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port or 0)))]
    return _real(host, port, *rest, **more)
socket.getaddrinfo = getaddrinfo
"""
FAST = {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}
_ALL = ["get", "list", "watch", "create", "update", "patch", "delete"]
TENANT_RULES = [
    {"apiGroups": ["evs-operator.dev"], "resources": ["evsjobs", "evsconnections"], "verbs": _ALL},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": _ALL},
]
"""What a platform gives a tenant in their namespace; `*/status` is not part of it."""


class Listener:
    """A port of the attacker's; `connections` counts who came."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.connections += 1

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class Tenant(Objects):
    """Objects of a namespace, through kubectl as the tenant's ServiceAccount."""

    def __init__(self, plane: ControlPlane, namespace: str, kubeconfig: Path) -> None:
        super().__init__(plane, namespace)
        self._kubeconfig = kubeconfig

    def apply(self, *objects: Object) -> None:
        """Apply manifests; an error where one is refused."""
        refused = self.attempt(*objects)
        if refused:
            raise AssertionError(refused)

    def attempt(self, *objects: Object) -> str:
        """Apply manifests; return why the API server refused them, "" where it took them."""
        items = [{**o, "metadata": {"namespace": self.namespace, **o["metadata"]}} for o in objects]
        done = self.plane.kubectl(
            *("apply", "--validate=ignore", "-f", "-"),
            input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
            kubeconfig=self._kubeconfig,
            check=False,
        )
        return done.stderr if done.returncode else ""

    def taken(self, kind: str, prefix: str) -> set[str]:
        """Return the names of the objects of a kind that the API server took."""
        names = self.kubectl("get", kind, "-o", "jsonpath={.items[*].metadata.name}").stdout.split()
        return {name for name in names if name.startswith(prefix)}

    def kubectl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the namespace."""
        return self.plane.kubectl("-n", self.namespace, *arguments, kubeconfig=self._kubeconfig, check=check)


@dataclass
class House:
    """All that an attempt needs."""

    plane: ControlPlane
    operator: OperatorProcess
    cloud: ScriptedCloud
    listener: Listener
    mallory: Tenant
    victim: Tenant
    platform: str

    def new_job(self, tenant: Tenant, name: str, word: str = "RUNNING", **spec: Any) -> str:
        """Have the cloud run a job and a tenant follow it; return its id."""
        job_id = f"{abs(hash((tenant.namespace, name))) % 16**12:012x}".rjust(32, "a")
        self.answer(job_id, word)
        tenant.add_job(name, job_id, **{"polling": FAST, **spec})
        return job_id

    def answer(self, job_id: str, word: str = "RUNNING", **fields: Any) -> None:
        """Have the cloud answer for a job."""
        self.cloud.put(job_id, {**body(word), **fields, "job_id": job_id})

    def tokens_for(self, job_id: str) -> set[str | None]:
        """Return the tokens that a job was asked for with."""
        return {token for seen, token in self.cloud.seen if seen == job_id}

    def admin(self, *objects: Object) -> None:
        """Apply manifests as the platform team."""
        self.plane.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def eventually_refused(self, name: str, reason: str, timeout: float = 15) -> Object:
        """Return the status of mallory's EvsJob once it was refused; nobody was connected to."""
        status = self.mallory.wait_reason(name, reason, timeout)
        assert self.listener.connections == 0
        return status


@contextmanager
def house(plane: ControlPlane, kubeconfig: Path, platform: str, number: int, directory: Path) -> Iterator[House]:
    """Set up both tenants, the platform's shared connections and a running operator."""
    mallory_ns, victim_ns = f"mallory-{number}", f"victim-{number}"
    tenants = [
        Tenant(plane, name, plane.kubeconfig_for(name, "tenant", TENANT_RULES)) for name in (mallory_ns, victim_ns)
    ]
    (directory / "sitecustomize.py").write_text(RESOLVER, encoding="utf-8")
    listener = Listener()
    with scripted_cloud() as cloud:
        cloud.tokens = {VICTIM_TOKEN, SHARED_TOKEN, "a-token-of-her-own-5d7e"}
        flags = ("--namespace", mallory_ns, "--namespace", victim_ns, "--operator-namespace", platform)
        flags += ("--allow-endpoint", cloud.url, "--allow-endpoint", WILDCARD, "--log-level", "debug")
        with start_operator(kubeconfig, *flags, PYTHONPATH=str(directory)) as operator:
            it = House(plane, operator, cloud, listener, tenants[0], tenants[1], platform)
            _furnish(it)
            try:
                yield it
            finally:
                plane.kubectl("delete", "clusterevsconnections", "--all", "--wait=false")
                listener.close()


def _furnish(it: House) -> None:
    it.victim.connect(it.cloud.url, token=VICTIM_TOKEN)
    shared = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "shared-cloud", "namespace": it.platform},
        "stringData": {"token": SHARED_TOKEN},
    }
    auth = {"token": {"secretRef": {"name": "shared-cloud"}}}
    spec = {"endpoint": it.cloud.url, "projectId": PROJECT, "auth": auth}
    victims = {"allowedNamespaces": {"names": [it.victim.namespace]}}
    labelled = {"allowedNamespaces": {"selector": {"matchLabels": {"evs": "shared"}}}}
    both = {"allowedNamespaces": {"names": [it.victim.namespace, it.mallory.namespace]}}
    slow = {"rateLimit": {"requestsPerSecond": 10, "burst": 10}}
    it.admin(
        shared,
        custom("ClusterEvsConnection", "default", **spec, **victims),
        custom("ClusterEvsConnection", "victims-only", **spec, **victims),
        custom("ClusterEvsConnection", "labelled", **spec, **labelled),
        custom("ClusterEvsConnection", "both", **spec, **both, **slow),
    )


def holds(test: Callable[[], bool], seconds: float) -> bool:
    """Tell whether a test passes all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not test():
            return False
        time.sleep(0.1)
    return True
