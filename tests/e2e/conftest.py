"""The operator against the real API server, with the rights that users give it, and a cloud in the test's hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane import ControlPlane
from support.deployed import DEPLOY, NAMESPACE, SERVICE_ACCOUNT
from support.operator_process import Objects, OperatorProcess, start_operator
from support.scripted_cloud import ScriptedCloud, scripted_cloud
from support.siege import Siege, siege


@pytest.fixture(scope="session")
def operator_kubeconfig(crds: ControlPlane) -> Path:
    """Give the kubeconfig of the ServiceAccount that users install, with its roles and no other."""
    for name in ("namespace.yaml", "rbac.yaml"):
        crds.kubectl("apply", "-f", str(DEPLOY / name))
    return crds.kubeconfig_of(NAMESPACE, SERVICE_ACCOUNT)


@pytest.fixture
def cloud() -> Iterator[ScriptedCloud]:
    """Give a cloud that answers what the test says."""
    with scripted_cloud() as cloud:
        yield cloud


@pytest.fixture
def objects(crds: ControlPlane, namespace: str) -> Objects:
    """Give the objects of a namespace of the test's own."""
    return Objects(crds, namespace)


@pytest.fixture
def operator(operator_kubeconfig: Path, namespace: str, cloud: ScriptedCloud) -> Iterator[OperatorProcess]:
    """Give a running operator for the namespace of the test."""
    with start_operator(operator_kubeconfig, "--namespace", namespace, "--allow-endpoint", cloud.url) as operator:
        yield operator


@pytest.fixture(scope="module")
def _besieged(
    crds: ControlPlane,
    operator_kubeconfig: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Siege]:
    label = request.module.__name__.rpartition("test_isolation")[2].strip("_") or "one"
    flags, names = getattr(request.module, "FLAGS", ()), getattr(request.module, "NAMES", "")
    directory = tmp_path_factory.mktemp("names")
    with siege(crds, operator_kubeconfig, NAMESPACE, label, directory, *flags, names=names) as it:
        yield it


@pytest.fixture
def it(_besieged: Siege) -> Iterator[Siege]:
    """Give two tenants, an operator and an endpoint of the attacker's; what the attacker made goes afterwards."""
    _besieged.operator.wait_ready()
    yield _besieged
    _besieged.clear()
