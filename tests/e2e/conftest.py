"""The operator against the real API server, with the rights that users give it, and a cloud in the test's hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane import ControlPlane
from support import webhook as webhook_support
from support.certificates import make_authority, make_certificate
from support.deployed import DEPLOY, NAMESPACE, SERVICE_ACCOUNT
from support.operator_process import Objects, OperatorProcess, start_operator
from support.scripted_cloud import ScriptedCloud, scripted_cloud
from support.siege import Siege, siege
from support.webhook import Api, WebhookProcess, start_webhook, token_of


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


@pytest.fixture(scope="session")
def webhook_kubeconfig(crds: ControlPlane) -> Path:
    """Give the kubeconfig of a ServiceAccount that may watch EvsJobs and nothing else."""
    return crds.kubeconfig_for("webhook", "webhook", [], cluster_rules=webhook_support.RULES)


@pytest.fixture(scope="session")
def webhook_certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Give the files of a certificate, its key and its authority."""
    directory = tmp_path_factory.mktemp("webhook")
    make_authority(directory, "authority")
    make_certificate(directory, "webhook", "authority", "IP:127.0.0.1")
    return directory / "webhook.crt", directory / "webhook.key", directory / "authority.crt"


@pytest.fixture(scope="session")
def webhook(webhook_kubeconfig: Path, webhook_certificate: tuple[Path, Path, Path]) -> Iterator[WebhookProcess]:
    """Give a running webhook for all namespaces."""
    flags = ("--max-waiters", "60", "--max-wait-seconds", "60")
    with start_webhook(webhook_kubeconfig, *flags, certificate=webhook_certificate) as running:
        yield running


@pytest.fixture(scope="session")
def api(crds: ControlPlane) -> Api:
    """Give the API server as its administrator."""
    return Api(crds)


@pytest.fixture(scope="session")
def sender(crds: ControlPlane) -> str:
    """Give the token of a caller who may do everywhere what the webhook offers."""
    return token_of(crds.kubeconfig_for("webhook", "sender", [], cluster_rules=webhook_support.SENDER))
