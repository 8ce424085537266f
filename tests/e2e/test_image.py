"""The image: what is in it, that it is built the same twice, and that its command does the operator's work."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evs_operator import __version__
from support.container_image import Buildah, Image, jailed
from support.jobs import body
from support.operator_process import Objects, start_operator
from support.scripted_cloud import ScriptedCloud

pytestmark = pytest.mark.image

A = "a" * 32


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """Give buildah with storage of the test's own."""
    buildah = Buildah(tmp_path_factory.mktemp("buildah"))
    yield buildah
    buildah("rm", "--all")
    buildah("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def bases(buildah: Buildah) -> tuple[str, str]:
    """Give the names of the base images."""
    return buildah.bases()


@pytest.fixture(scope="module")
def image(buildah: Buildah, bases: tuple[str, str]) -> Image:
    """Give the image of this checkout."""
    return buildah.build(bases, VERSION=__version__, REVISION="0" * 40)


@pytest.fixture(scope="module")
def root(buildah: Buildah, image: Image) -> Path:
    """Give the root file system of the image."""
    return buildah.mount(image)


def test_the_image_runs_the_operator_as_a_numeric_user_that_is_not_root(image: Image) -> None:
    assert image.config["User"] == "65532:65532"
    assert image.command == ["/usr/bin/python3", "-m", "evs_operator", "run"]
    assert image.config["Labels"]["org.opencontainers.image.version"] == __version__


def test_the_command_is_on_the_path_of_the_image_for_those_who_exec_into_a_pod(image: Image, root: Path) -> None:
    command = ["chroot", "--userspec=65532:65532", str(root), "evs-operator", "--version"]
    said = subprocess.run(command, env=image.environment, capture_output=True, text=True, check=True)
    assert said.stdout == f"evs-operator {__version__}\n"


def test_the_image_holds_no_compiler_no_pip_and_nothing_of_the_tests(root: Path) -> None:
    names = {name for _, _, files in os.walk(root) for name in files}
    assert not names & {"pip", "pip3", "gcc", "cc", "make", "uv", "conftest.py"}
    packages = {path.name for path in (root / "opt/evs-operator").iterdir()}
    assert {"evs_operator", "kopf", "httpx", "kubernetes", "LICENSE"} <= packages
    assert not packages & {"pip", "pytest", "setuptools", "hatchling", "tests"}


def test_the_simulator_is_in_an_image_of_its_own_and_not_in_that_of_the_operator(
    buildah: Buildah, bases: tuple[str, str], root: Path
) -> None:
    assert not [path for path, names, files in os.walk(root) if "evs_simulator" in names or "evs-simulator" in files]
    simulator = buildah.build(bases, target="simulator")
    assert simulator.command == ["/usr/bin/python3", "-m", "evs_simulator", "--address", "0.0.0.0:8080"]
    inside = buildah.mount(simulator)
    said = subprocess.run(
        ["chroot", str(inside), *simulator.command[:3], "--help"],
        env=simulator.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--address" in said.stdout


def test_the_layers_of_the_operator_are_below_200_mb_and_not_writable_by_its_user(root: Path) -> None:
    ours = [Path(place) / name for place, _, files in os.walk(root / "opt/evs-operator") for name in files]
    size = sum(path.lstat().st_size for path in ours)
    print(f"the operator and its packages take {size / 1e6:.0f} MB")
    assert size < 200_000_000
    assert not [path for path in ours if path.lstat().st_mode & 0o022 or path.lstat().st_uid == 65532]


def test_two_builds_of_the_same_sources_have_the_same_layers(
    buildah: Buildah, bases: tuple[str, str], image: Image
) -> None:
    again = buildah.build(bases, VERSION=__version__, REVISION="0" * 40)
    assert again.layers == image.layers


def test_the_command_of_the_image_follows_an_evs_job_on_a_read_only_root(
    image: Image, root: Path, operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects
) -> None:
    cloud.put(A, {**body("SUCCESS"), "job_id": A})
    flags = ["--namespace", objects.namespace, "--allow-endpoint", cloud.url]
    command = jailed(root, image, operator_kubeconfig, ["--kubeconfig", "{kubeconfig}"])
    with start_operator(operator_kubeconfig, *flags, command=command):
        objects.connect(cloud.url)
        objects.add_job("job", A)
        objects.wait_reason("job", "JobSucceeded")
