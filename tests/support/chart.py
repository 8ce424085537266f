"""The chart and the real helm: what it renders, refuses and installs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from controlplane.children import clean_environment

from .deployed import ROOT, Object

CHART = ROOT / "charts" / "evs-operator"
RELEASE = "evs-operator"


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
        )
        if done.returncode:
            raise HelmError(f"helm {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def rendered(self, namespace: str, values: Mapping[str, Any], *arguments: str, release: str = RELEASE) -> str:
        """Return the text that `helm template` makes of the chart."""
        return self.run("template", release, str(CHART), "--namespace", namespace, *arguments, values=values)

    def template(self, namespace: str, values: Mapping[str, Any], *arguments: str) -> list[Object]:
        """Return the objects that `helm template` makes of the chart."""
        return [one for one in yaml.safe_load_all(self.rendered(namespace, values, *arguments)) if one]
