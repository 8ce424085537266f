"""`make demo` on a cluster that is there: it builds nothing, uses a ServiceAccount of its own, and says what stays."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane import ControlPlane
from support.operator_process import ROOT


def _make(target: str, **environment: str) -> str:
    command = ["make", "--dry-run", target]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_with_a_cluster_of_yours_nothing_is_built() -> None:
    assert "controlplane build controlplane" in _make("demo", DEMO_KUBECONFIG="")
    assert "controlplane build" not in _make("demo", DEMO_KUBECONFIG="/home/me/.kube/config")


@pytest.fixture
def plane() -> ControlPlane:
    """Give a control plane of the test's own: the demo asks whether the CRDs are there."""
    with ControlPlane.start() as plane:
        yield plane


def _demo(plane: ControlPlane, path: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DEMO_")},
        "DEMO_KUBECONFIG": str(plane.admin_kubeconfig),
        "PATH": path,
        "PYTHONPATH": "tests",
        "EVS_OPERATOR_CACHE": "/nowhere",
    }
    command = [sys.executable, "-m", "examples.demo"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_the_demo_runs_on_a_cluster_of_yours_and_says_what_it_leaves_behind(plane: ControlPlane) -> None:
    path = os.pathsep.join([str(plane.binaries.kubectl.parent), os.environ["PATH"]])
    first = _demo(plane, path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert re.search(r"batch-half-fails +FAIL", first.stdout), first.stdout
    assert "ServiceAccount demo/evs-operator, a Role in that namespace and no other right" in first.stdout
    assert first.stdout.endswith(
        "Left behind in your cluster: namespace demo and the CRDs, with every EvsJob of the cluster. To remove it:\n"
        "  kubectl delete namespace demo\n"
        "  kubectl delete -f crds/\n"
    )
    assert plane.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name").stdout.count("evs-operator") == 0
    again = _demo(plane, path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "CRDs: left as they are there" in again.stdout
    assert again.stdout.endswith("namespace demo. To remove it:\n  kubectl delete namespace demo\n")


def test_without_a_kubectl_the_demo_says_so_and_does_nothing(plane: ControlPlane, tmp_path: Path) -> None:
    done = _demo(plane, str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "demo: DEMO_KUBECONFIG needs a kubectl on the PATH that fits the cluster; nothing was done\n"
    )
