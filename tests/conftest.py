"""Fixtures of the tests with a real API server or another Go program, and the mark of those, for `make test-fast`.

One control plane serves the whole session; every test gets a namespace of its own, and no test may count on being
alone elsewhere.
"""

import os
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings

from controlplane import ControlPlane, tool
from support.chart import Helm
from support.judges import ArgoCD, Kstatus
from support.operator_process import install_crds

# A test that is slow because the machine is busy is not wrong.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_BUILT_WITH_GO = {"control_plane", "helm", "kstatus", "argo"}


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs under test, and let SIGTERM end the session in good order.

    A shell starts a background job with SIGINT ignored, and every child inherits that: a test that sends one would
    wait for ever. SIGTERM alone would end pytest without the fixtures' other halves, and leave what they started.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _end_as_ctrl_c_does)


def _end_as_ctrl_c_does(number: int, frame: FrameType | None) -> None:
    signal.signal(number, lambda number, frame: None)  # make passes on what the group gets too: once is enough
    signal.raise_signal(signal.SIGINT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a program built with Go, and keep in one process what shares a costly fixture."""
    for item in items:
        watched = "observability" in item.path.parts  # by one Prometheus, over a dozen operators
        item.add_marker(pytest.mark.xdist_group("observability" if watched else str(item.path)))
        if _BUILT_WITH_GO & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.controlplane)


@pytest.fixture(scope="session")
def progress(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Give what shows the lines of a build that takes minutes, in spite of pytest's capture."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def show(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", flush=True)

    return show


@pytest.fixture(scope="session")
def helm(progress: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Give the real helm; EVS_OPERATOR_HELM names another one than ours, for example of version 3."""
    named = os.environ.get("EVS_OPERATOR_HELM")
    return Helm(Path(named) if named else tool("helm", progress), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def control_plane(progress: Callable[[str], None]) -> Iterator[ControlPlane]:
    """Start a control plane without audit log; a test that stops, pauses or audits one starts its own."""
    with ControlPlane.start(progress=progress) as plane:
        yield plane


@pytest.fixture(scope="session")
def kstatus(progress: Callable[[str], None]) -> Iterator[Kstatus]:
    """Give the library that Flux and Helm 4 wait with."""
    with Kstatus(tool("kstatus", progress)) as program:
        yield program


@pytest.fixture(scope="session")
def argo(progress: Callable[[str], None]) -> Iterator[ArgoCD]:
    """Give Argo CD's interpreter, with our scripts."""
    with ArgoCD(tool("argolua", progress)) as program:
        yield program


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane) -> ControlPlane:
    """Give a control plane that serves our CRDs."""
    install_crds(control_plane)
    return control_plane


@pytest.fixture(scope="session")
def _namespace_numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def namespace(control_plane: ControlPlane, _namespace_numbers: Iterator[int]) -> str:
    """Give a namespace that no other test uses; it stays, for nothing in this control plane could empty it."""
    name = f"test-{next(_namespace_numbers)}"
    control_plane.kubectl("create", "namespace", name)
    return name
