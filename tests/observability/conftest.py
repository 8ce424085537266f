"""One world for all tests here: operators with and without faults, watched by a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controlplane import ControlPlane
from support.operator_process import eventually, install_crds
from support.prometheus import Prometheus
from support.watched_operators import WatchedWorld, watched_world


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """Give a control plane for these tests alone: a broken ClusterEvsConnection of another test would raise alerts."""
    with ControlPlane.start() as plane:
        yield plane


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane) -> ControlPlane:
    """Give it with our CRDs."""
    install_crds(control_plane)
    return control_plane


@pytest.fixture(scope="session")
def world(crds: ControlPlane) -> Iterator[WatchedWorld]:
    """Give the world after its faults were brought about; that nobody is scraped at first is a fault too."""

    def nobody(prometheus: Prometheus) -> None:
        eventually(lambda: ("", "EvsOperatorAbsent") in prometheus.firing(), 30)

    with watched_world(crds, nobody) as world:
        world.break_all()
        yield world
