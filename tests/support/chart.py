"""The chart and the real helm: what it renders, refuses and installs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from controlplane import ControlPlane
from controlplane.binaries import KUBERNETES
from controlplane.children import clean_environment

from .deployed import ROOT, Object
from .operator_process import OperatorProcess, start_operator

CHART = ROOT / "charts" / "evs-operator"
RELEASE = "evs-operator"
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """Return a node of the schema with its reference followed."""
    reference = node.get("$ref", "")
    return resolved(SCHEMA["definitions"][reference.rpartition("/")[2]]) if reference else node


def schema_leaves(node: dict[str, Any] = SCHEMA, path: str = "") -> list[str]:
    """Return the paths of all values that the schema knows; a Kubernetes type is one value. `global` is Helm's own."""
    node = resolved(node)
    if path and ("properties" not in node or node.get("description", "").startswith("Kubernetes type")):
        return [path]
    below = (
        schema_leaves(child, f"{path}.{name}" if path else name)
        for name, child in node["properties"].items()
        if name != "global"
    )
    return [leaf for leaves in below for leaf in leaves]


@dataclass(frozen=True)
class Switch:
    """A value other than the default; `shows` is in the rendering then and not before, `hides` the other way round.

    `beside` are the values that it needs; `alone` keeps it from the rendering with all values at once.
    """

    value: Any
    shows: str = ""
    hides: str = ""
    beside: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False


def values_of(*switched: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as helm takes them, made of paths with dots."""
    values: dict[str, Any] = {}
    for path, value in (pair for one in switched for pair in one.items()):
        *parents, last = path.split(".")
        place = values
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    return values


class HelmError(AssertionError):
    """Helm failed; the message is its own."""


class Helm:
    """Runs helm with nothing of the user's own configuration."""

    def __init__(self, program: Path, home: Path, kubeconfig: Path | None = None) -> None:
        self._program = program
        self._home = home
        self._kubeconfig = kubeconfig

    def at(self, kubeconfig: Path) -> Helm:
        """Return one that works on a cluster as somebody."""
        return Helm(self._program, self._home, kubeconfig)

    def run(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """Run a command and return its output; HelmError where it fails."""
        command = [str(self._program), *arguments]
        if self._kubeconfig is not None:
            command += ["--kubeconfig", str(self._kubeconfig)]
        if values is not None:
            command += ["--values", "-"]
        done = subprocess.run(
            command,
            input=None if values is None else json.dumps(values),
            stdin=subprocess.DEVNULL if values is None else None,
            env={**clean_environment(), "HOME": str(self._home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        if done.returncode:
            raise HelmError(f"helm {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def rendered(self, namespace: str, values: Mapping[str, Any], *arguments: str, release: str = RELEASE) -> str:
        """Return the text that `helm template` makes of the chart."""
        where = ("--namespace", namespace, "--kube-version", KUBERNETES)
        return self.run("template", release, str(CHART), *where, *arguments, values=values)

    def template(self, namespace: str, values: Mapping[str, Any], *arguments: str) -> list[Object]:
        """Return the objects that `helm template` makes of the chart."""
        return [one for one in yaml.safe_load_all(self.rendered(namespace, values, *arguments)) if one]


@contextmanager
def running(
    plane: ControlPlane, namespace: str, *flags: str, kubeconfig: Path | None = None, ready: bool = True
) -> Iterator[OperatorProcess]:
    """Run the operator as the Deployment of a release says: its ServiceAccount, its arguments, its environment."""
    deployment = json.loads(plane.kubectl("get", "deployment", RELEASE, "-n", namespace, "-o", "json").stdout)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {one["name"]: one["value"] for one in container.get("env", [])}
    account = kubeconfig or plane.kubeconfig_of(namespace, pod["serviceAccountName"])
    with start_operator(account, *flags, ready=ready, deployed=deployment, **environment) as operator:
        yield operator
