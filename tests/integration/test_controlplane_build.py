"""How the programs of the control plane come into the cache, tried with a Go that compiles nothing."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controlplane import BinariesError, GoMissingError, binaries, go
from controlplane.binaries import GOTOOLS, KUBERNETES, cache_directory

_TESTS = Path(__file__).parents[1]

# Writes a line per build, and builds while the file `hold` is there.
_GO = """#!/bin/sh
here=$(dirname "$0")
[ "$1" = env ] && { echo "$(cat "$here/version")"; exit; }
echo "$PWD $GOTOOLCHAIN $GOFLAGS" >>"$here/builds"
while [ "$1" != -o ]; do shift; done
printf half >"$2/kube-apiserver"
while [ -e "$here/hold" ]; do sleep 0.05; done
[ -e "$here/broken" ] && { echo "no such module"; exit 1; }
for it in kube-apiserver kubectl server; do echo whole >"$2/$it"; chmod +x "$2/$it"; done
"""


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a pretended Go first on the PATH, and the cache into a directory of the test; returns Go's directory."""
    directory = tmp_path / "go"
    directory.mkdir()
    (directory / "go").write_text(_GO)
    (directory / "go").chmod(0o755)
    (directory / "version").write_text("go1.26.0\n")
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("EVS_OPERATOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(_TESTS))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return directory


def _builds(compiler: Path) -> list[str]:
    file = compiler / "builds"
    return file.read_text().splitlines() if file.exists() else []


def _start_build() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "controlplane", "build"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _wait_until_it_builds(compiler: Path, times: int = 1) -> None:
    deadline = time.monotonic() + 20
    while len(_builds(compiler)) < times:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_programs_are_built_once_and_then_found(compiler: Path) -> None:
    said: list[str] = []
    built = binaries(said.append)
    assert [path.read_text() for path in (built.kube_apiserver, built.etcd, built.kubectl)] == ["whole\n"] * 3
    assert "once" in said[0]
    assert binaries(said.append) == built
    assert _builds(compiler) == [f"{GOTOOLS} local -mod=readonly -buildvcs=false"]


def test_two_builds_at_a_time_are_one(compiler: Path) -> None:
    (compiler / "hold").touch()
    with _start_build() as first:
        _wait_until_it_builds(compiler)
        with _start_build() as second:
            assert second.stderr is not None
            assert "waiting for it" in second.stderr.readline()
            (compiler / "hold").unlink()
            paths = {process.communicate(timeout=30)[0] for process in (first, second)}
    assert paths == {f"{cache_directory()}\n"}
    assert len(_builds(compiler)) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_build_that_was_stopped_leaves_nothing_half_done(compiler: Path, number: signal.Signals, code: int) -> None:
    (compiler / "hold").touch()
    with _start_build() as process:
        _wait_until_it_builds(compiler)
        process.send_signal(number)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == code
    assert "Traceback" not in said
    assert not cache_directory().exists()
    (compiler / "hold").unlink()
    assert binaries(print).kube_apiserver.read_text() == "whole\n"


def test_a_build_that_fails_says_what_go_said_and_may_be_tried_again(compiler: Path) -> None:
    (compiler / "broken").touch()
    with pytest.raises(BinariesError, match="no such module"):
        binaries(print)
    (compiler / "broken").unlink()
    assert binaries(print).etcd.exists()


def test_a_go_that_is_too_old_is_passed_over(compiler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (compiler / "version").write_text("go1.25.9\n")
    monkeypatch.setattr(go, "_installed", lambda: None)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)  # no virtual environment to install one into
    with pytest.raises(GoMissingError, match=r"go >= 1\.26"):
        binaries(print)
    assert _builds(compiler) == []


def test_the_version_that_is_stamped_is_the_one_that_is_built() -> None:
    module = (GOTOOLS / "go.mod").read_text()
    assert re.findall(r"^\s*k8s\.io/kubernetes v(\S+)", module, re.MULTILINE) == [KUBERNETES]
    staged = re.findall(r"=> k8s\.io/\S+ v(\S+)", module)
    assert staged
    assert set(staged) == {f"0.{KUBERNETES.partition('.')[2]}"}
