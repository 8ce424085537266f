"""Who may do what at the control plane: kubeconfigs, and ServiceAccounts that hold exactly the given rules.

`plane` writes the administrator's kubeconfig with it and makes the ServiceAccounts that tests and the demo run the
operator as. The rights are what the API server enforces (RBAC), the token comes from the `token` subresource, as in a
cluster.
"""

import base64
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

Rule = Mapping[str, object]

_RBAC = "rbac.authorization.k8s.io"
_EFFECTIVE_WITHIN = 30.0


class _Kubectl(Protocol):
    """What is needed of a ControlPlane."""

    server: str
    ca_file: Path

    def kubectl(
        self, *arguments: str, input: str | None = None, kubeconfig: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl."""


def write_kubeconfig(path: Path, server: str, ca_file: Path, *, token: str, namespace: str = "default") -> None:
    """Write a kubeconfig that needs no other file (JSON is YAML), readable by its owner only."""
    ca = base64.b64encode(ca_file.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "controlplane", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "controlplane", "user": "user", "namespace": namespace}}],
        "current-context": "it",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2))


def grant(
    plane: _Kubectl, directory: Path, namespace: str, name: str, rules: Sequence[Rule], cluster_rules: Sequence[Rule]
) -> Path:
    """Make the ServiceAccount with its roles and return its kubeconfig, once the API server acts by the rules."""
    items = _objects(namespace, name, rules, cluster_rules)
    plane.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    path = kubeconfig_of(plane, directory, namespace, name)
    for rule in rules[-1:]:
        _wait_for(plane, path, rule, ["-n", namespace])
    for rule in cluster_rules[-1:]:
        _wait_for(plane, path, rule, ["--all-namespaces"])
    return path


def kubeconfig_of(plane: _Kubectl, directory: Path, namespace: str, name: str) -> Path:
    """Write the kubeconfig of a ServiceAccount that is there, with a token of 24 h."""
    token = plane.kubectl("create", "token", name, "-n", namespace, "--duration=24h").stdout.strip()
    path = directory / f"{namespace}.{name}.kubeconfig"
    write_kubeconfig(path, plane.server, plane.ca_file, token=token, namespace=namespace)
    return path


def _objects(namespace: str, name: str, rules: Sequence[Rule], cluster_rules: Sequence[Rule]) -> list[object]:
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]
    inside = {"name": name, "namespace": namespace}
    overall = {"name": f"{namespace}:{name}"}
    objects: list[object] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": inside},
    ]
    for kind, metadata, granted in (("Role", inside, rules), ("ClusterRole", overall, cluster_rules)):
        if granted:
            role = {"apiGroup": _RBAC, "kind": kind, "name": metadata["name"]}
            version = {"apiVersion": f"{_RBAC}/v1", "metadata": metadata}
            objects += [
                {**version, "kind": kind, "rules": list(granted)},
                {**version, "kind": f"{kind}Binding", "roleRef": role, "subjects": subjects},
            ]
    return objects


def _wait_for(plane: _Kubectl, kubeconfig: Path, rule: Rule, scope: list[str]) -> None:
    """Wait until the API server has seen the binding: it reads roles from a watch, a moment after they are written."""
    question = ["auth", "can-i", *_example(rule), *scope]
    deadline = time.monotonic() + _EFFECTIVE_WITHIN
    while plane.kubectl(*question, kubeconfig=kubeconfig, check=False).stdout.strip() != "yes":
        if time.monotonic() > deadline:
            raise TimeoutError(f"the rule {rule} is not in effect after {_EFFECTIVE_WITHIN:.0f} s")
        time.sleep(0.05)


def _example(rule: Rule) -> list[str]:
    """Pick one request that the rule allows, in the words of `kubectl auth can-i`."""

    def first(key: str) -> str | None:
        values = rule.get(key)
        return str(values[0]) if isinstance(values, Sequence) and values else None

    verb = first("verbs") or "get"
    url = first("nonResourceURLs")
    if url is not None:
        return [verb, url]
    resource, _, subresource = (first("resources") or "*").partition("/")
    group, name = first("apiGroups"), first("resourceNames")
    words = [verb, f"{resource}.{group}" if group and group != "*" else resource]
    if name is not None:
        words[1] += f"/{name}"
    return [*words, f"--subresource={subresource}"] if subresource else words
