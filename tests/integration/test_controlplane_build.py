"""How the Go programs come into the cache, tried with a Go that compiles nothing."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controlplane import BinariesError, GoMissingError, binaries, go, gotools, tool
from controlplane.binaries import CONTROLPLANE, HELM, KUBERNETES, MODULES
from controlplane.gotools import GOTOOLS, GoModule, built

_TESTS = Path(__file__).parents[1]

# Writes a line per build, and builds while the file `hold` is there.
_GO = """#!/bin/sh
here=$(dirname "$0")
[ "$1" = env ] && { echo "$(cat "$here/version")"; exit; }
echo "$PWD $GOTOOLCHAIN $GOFLAGS" >>"$here/builds"
echo "$*" >"$here/arguments"
while [ "$1" != -o ]; do shift; done
case $PWD in
*/controlplane) programs="kube-apiserver kubectl server" ;;
*/judges) programs="kstatus argolua" ;;
*) programs=${PWD##*/} ;;
esac
printf half >"$2/${programs%% *}"
while [ -e "$here/hold" ]; do sleep 0.05; done
[ -e "$here/broken" ] && { echo "no such module"; exit 1; }
for it in $programs; do echo whole >"$2/$it"; chmod +x "$2/$it"; done
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
        [sys.executable, "-m", "controlplane", "build", "controlplane"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
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
    assert _builds(compiler) == [f"{CONTROLPLANE.source} local -mod=readonly -buildvcs=false"]


def test_all_modules_are_built_unless_some_are_named(compiler: Path) -> None:
    command = [sys.executable, "-m", "controlplane", "build"]
    for names, wanted in (["helm"], ["helm"]), ([], [module.name for module in MODULES]):
        done = subprocess.run([*command, *names], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [str(m.directory()) for m in MODULES if m.name in wanted]
        assert "Traceback" not in done.stderr
    assert tool("helm", print).read_text() == "whole\n"
    assert len(_builds(compiler)) == len(MODULES)
    refused = subprocess.run([*command, "hell"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "no such module: hell" in refused.stderr


def test_every_directory_of_gotools_is_a_module_that_is_built() -> None:
    here = {module.source for module in MODULES if module.place is None}
    assert {path.parent for path in GOTOOLS.glob("*/go.mod")} == here


def test_a_program_that_no_module_yields_is_said_so() -> None:
    with pytest.raises(BinariesError, match="no Go module yields hell; there are kube-apiserver"):
        tool("hell", print)


def test_assets_stand_in_for_the_control_plane_and_for_no_other_tool(
    compiler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    with pytest.raises(BinariesError, match="has no kube-apiserver, etcd, kubectl"):
        binaries(print)
    assert tool("helm", print).read_text() == "whole\n"


def test_a_module_with_a_program_of_our_own_is_built_anew_when_that_changes(
    compiler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gotools, "GOTOOLS", tmp_path)
    module = GoModule("checker", "1", "a second", programs=("checker",))
    module.source.mkdir()
    for name in ("go.mod", "go.sum", "main.go"):
        (module.source / name).touch()
    before = built(module, print)
    assert (compiler / "arguments").read_text().endswith(" tool ./...\n")
    assert built(module, print) == before
    assert len(_builds(compiler)) == 1
    (module.source / "main.go").write_text("package main")
    assert built(module, print) != before
    assert len(_builds(compiler)) == 2


def test_two_builds_at_a_time_are_one(compiler: Path) -> None:
    (compiler / "hold").touch()
    with _start_build() as first:
        _wait_until_it_builds(compiler)
        with _start_build() as second:
            assert second.stderr is not None
            assert "waiting for it" in second.stderr.readline()
            (compiler / "hold").unlink()
            paths = {process.communicate(timeout=30)[0] for process in (first, second)}
    assert paths == {f"{CONTROLPLANE.directory()}\n"}
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
    assert not CONTROLPLANE.directory().exists()
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
    module = (CONTROLPLANE.source / "go.mod").read_text()
    assert re.findall(r"^\s*k8s\.io/kubernetes v(\S+)", module, re.MULTILINE) == [KUBERNETES]
    staged = re.findall(r"=> k8s\.io/\S+ v(\S+)", module)
    assert staged
    assert set(staged) == {f"0.{KUBERNETES.partition('.')[2]}"}
    helm = (GOTOOLS / "helm" / "go.mod").read_text()
    assert re.findall(r"^\s*helm\.sh/helm/v4 v(\S+)", helm, re.MULTILINE) == [HELM]
