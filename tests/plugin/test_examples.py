"""The examples for pipelines: what they run is run here, with a curl that answers as the cloud does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from controlplane.binaries import tool
from support.plugin import PROGRAM, FakeCluster

_EXAMPLES = Path(__file__).parents[2] / "examples"
_GITHUB = _EXAMPLES / "github-actions" / "evsjob.yml"
_ID = "ff80808292ab11f50193d0c1a5e40b17"


def _of_gitlab() -> str:
    return "\n".join(yaml.safe_load((_EXAMPLES / "gitlab-ci" / "evsjob.yml").read_text())["create-volumes"]["script"])


def _of_github() -> str:
    steps = yaml.safe_load(_GITHUB.read_text())["jobs"]["create-volumes"]["steps"]
    return next(str(step["run"]) for step in steps if step.get("name", "").startswith("Order"))


def _of_the_script() -> str:
    return f"{_EXAMPLES / 'plugin' / 'create-volumes.sh'} $REQUEST"


@pytest.fixture
def world(cluster: FakeCluster, tmp_path: Path) -> dict[str, str]:
    """Give what a job of a pipeline finds: a curl, a kubectl that knows the plugin, and its variables."""
    programs = tmp_path / "bin"
    programs.mkdir()
    plugin = " ".join(PROGRAM)
    for name, text in {
        "curl": f'test "$EVS_TOKEN" = token || exit 22\necho \'{{"job_id": "{_ID}"}}\'',
        "kubectl": f'if [ "$1" = evsjob ]; then shift; exec {plugin} "$@"; fi\ntest "$1" = config',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    (tmp_path / "volumes.json").write_text("{}")
    return {
        **cluster.environment,
        "PATH": f"{programs}{os.pathsep}{cluster.environment['PATH']}",
        "EVS_ENDPOINT": "https://evs.example.com",
        "PROJECT_ID": "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6",
        "EVS_TOKEN": "token",
        "REQUEST": "volumes.json",
        "TIMEOUT": "20s",
        "RUNNER_TEMP": str(tmp_path),
        "KUBE_CONTEXT": "agent",
    }


@pytest.mark.parametrize("script", [_of_gitlab, _of_github, _of_the_script], ids=lambda each: each.__name__)
@pytest.mark.parametrize(("state", "code"), [("job-succeeded", 0), ("sub-job-failed", 1)])
def test_the_job_ends_as_the_volumes_do_and_keeps_the_answer(
    cluster: FakeCluster, world: dict[str, str], tmp_path: Path, script: object, state: str, code: int
) -> None:
    assert callable(script)
    cluster.put(_ID, state)
    obj = json.loads((tmp_path / f"{_ID}.json").read_text())
    obj["spec"] = {"jobId": _ID, "projectId": world["PROJECT_ID"]}
    (tmp_path / f"{_ID}.json").write_text(json.dumps(obj))
    done = subprocess.run(
        ["bash", "-e", "-c", script()], env=world, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert json.loads((tmp_path / "answer.json").read_text()) == {"job_id": _ID}
    assert json.loads((tmp_path / "evsjob.json").read_text())["kind"] == "EvsJob"
    assert "token" not in done.stdout + done.stderr


@pytest.mark.parametrize("script", [_of_gitlab, _of_github, _of_the_script], ids=lambda each: each.__name__)
def test_an_order_that_is_refused_ends_the_job_and_makes_no_evsjob(
    cluster: FakeCluster, world: dict[str, str], tmp_path: Path, script: object
) -> None:
    assert callable(script)
    command = ["bash", "-e", "-c", script()]
    world = {**world, "EVS_TOKEN": "refused"}
    done = subprocess.run(command, env=world, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert cluster.calls == []


@pytest.mark.controlplane
def test_actionlint_finds_nothing_in_the_workflow_for_github() -> None:
    command = [str(tool("actionlint", print)), "-no-color", "-shellcheck=", "-pyflakes=", str(_GITHUB)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_zizmor_finds_nothing_in_the_workflow_for_github() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "zizmor"), "--quiet", "--offline", str(_GITHUB)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
