"""The GitHub workflows: their own linter finds nothing, and no action can change under us."""

import re
import subprocess
from pathlib import Path

import pytest

from controlplane.binaries import tool

_ROOT = Path(__file__).parents[2]
_WORKFLOWS = sorted((_ROOT / ".github" / "workflows").glob("*.yml"))
_PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


@pytest.mark.controlplane
def test_actionlint_finds_nothing_in_the_workflows() -> None:
    command = [str(tool("actionlint", print)), "-no-color", "-shellcheck=", "-pyflakes=", *map(str, _WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_action_is_pinned_to_a_commit_and_names_its_version() -> None:
    lines = [line for path in _WORKFLOWS for line in path.read_text(encoding="utf-8").splitlines()]
    uses = [line.strip("- ") for line in lines if "uses:" in line]
    assert len(uses) > 10
    assert [line for line in uses if not _PINNED.fullmatch(line)] == []
