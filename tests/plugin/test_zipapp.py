"""`make plugin`: one small file that runs with nothing but Python and kubectl, and is the same whenever it is built."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from support.plugin import PROGRAM, FakeCluster

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory that a build wrote, after one that another process did elsewhere."""
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    for target in (first, second):
        build = [sys.executable, str(_ROOT / "deploy" / "krew" / "build.py"), str(target)]
        subprocess.run(build, check=True, capture_output=True)
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name
    return second


def _isolated(cluster: FakeCluster) -> dict[str, str]:
    """Return an environment in which nothing of this checkout can be imported."""
    return {name: value for name, value in cluster.environment.items() if name != "PYTHONPATH"}


def _run(program: Path, *words: str, world: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(program), *words]
    return subprocess.run(command, env=world, capture_output=True, text=True, check=False)


def test_it_is_below_a_megabyte_and_runs_without_any_package(built: Path, cluster: FakeCluster) -> None:
    program = built / "kubectl-evsjob.pyz"
    assert program.stat().st_size < 1_000_000
    assert os.access(program, os.X_OK)
    cluster.put("data", "job-failed-batch")
    world = _isolated(cluster)
    done = _run(program, "wait", "data", world=world)
    assert (done.returncode, done.stdout) == (1, cluster.run("wait", "data").stdout)
    assert "has failed" in _run(program, "explain", "data", world=world).stdout


def test_it_completes_under_the_name_that_kubectl_calls(built: Path, cluster: FakeCluster, tmp_path: Path) -> None:
    link = tmp_path / "kubectl_complete-evsjob"
    link.symlink_to(built / "kubectl-evsjob.pyz")
    assert _run(link, "tim", world=_isolated(cluster)).stdout == "timeline\tShow what happened in order.\n:4\n"


@pytest.mark.parametrize("words", [(), ("wait",), ("create",)])
def test_its_help_is_that_of_the_program(built: Path, cluster: FakeCluster, words: tuple[str, ...]) -> None:
    shown = _run(built / "kubectl-evsjob.pyz", *words, "--help", world=_isolated(cluster)).stdout
    command = [*PROGRAM, *words, "--help"]
    world = {**cluster.environment, "COLUMNS": "80"}
    assert shown == subprocess.run(command, env=world, capture_output=True, text=True, check=True).stdout


def test_the_manifest_for_krew_has_the_checksum_of_the_archive(built: Path) -> None:
    manifest = yaml.safe_load((built / "evsjob.yaml").read_text())
    archive = (built / "kubectl-evsjob.tar.gz").read_bytes()
    (platform,) = manifest["spec"]["platforms"]
    assert platform["sha256"] == hashlib.sha256(archive).hexdigest()
    assert f"/{manifest['spec']['version']}/" in platform["uri"]
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        assert platform["bin"] in files.getnames()
        assert files.getmember(platform["bin"]).mode & 0o111
    assert len(manifest["spec"]["shortDescription"]) <= 50
