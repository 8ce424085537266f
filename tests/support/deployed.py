"""What users install: the manifests of `deploy/`, which are the chart's rendering (a test holds them to it).

The e2e tests, the demo and benchmarks run the operator with the ServiceAccount, the roles and the flags found here, so
that a right or a flag that is missing there is missing in them too. What a pod has and a process here has not (a
container's address, a mounted token) the caller replaces, see `local_arguments`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
NAMESPACE = "evs-operator"
SERVICE_ACCOUNT = "evs-operator"

Object = dict[str, Any]


def manifests(name: str) -> list[Object]:
    """Return the objects of one file of `deploy/`."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def deployment() -> Object:
    """Return the operator's Deployment."""
    return only("Deployment", manifests("operator.yaml"))


def only(kind: str, objects: Iterable[Object]) -> Object:
    """Return the one object of a kind."""
    (found,) = (one for one in objects if one["kind"] == kind)
    return found


def operator_rules() -> list[Object]:
    """Return the rules of the ClusterRole that is bound to the operator's ServiceAccount."""
    objects = manifests("rbac.yaml")
    bound = only("ClusterRoleBinding", objects)["roleRef"]["name"]
    (role,) = (one for one in objects if one["kind"] == "ClusterRole" and one["metadata"]["name"] == bound)
    return list(role["rules"])


def leader_election_rules() -> list[Object]:
    """Return the rules of the Role in the operator's namespace, for more than one replica."""
    return list(only("Role", manifests("high-availability/leader-election.yaml"))["rules"])


def local_arguments(deployment: Object, http_address: str) -> list[str]:
    """Return the arguments of the operator's container, with an address that is free here."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    arguments = [str(argument) for argument in container["args"]]
    (listens,) = (n for n, argument in enumerate(arguments) if argument.startswith("--http-address="))
    arguments[listens] = f"--http-address={http_address}"
    return arguments
