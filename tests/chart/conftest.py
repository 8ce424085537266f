"""A control plane of its own for releases: they make and remove cluster-wide objects that other tests count on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controlplane import ControlPlane
from support.chart import Helm
from support.scripted_cloud import ScriptedCloud, scripted_cloud


@pytest.fixture(scope="module")
def plane(helm: Helm) -> Iterator[ControlPlane]:
    """Give a control plane without our CRDs, with an audit log."""
    with ControlPlane.start(audit=True) as plane:
        yield plane


@pytest.fixture(scope="module")
def releases(helm: Helm, plane: ControlPlane) -> Helm:
    """Give helm as the administrator of that control plane."""
    return helm.at(plane.admin_kubeconfig)


@pytest.fixture
def cloud() -> Iterator[ScriptedCloud]:
    """Give a cloud that answers what the test says."""
    with scripted_cloud() as cloud:
        yield cloud
