"""Images that a release is built on and with are pinned by digest, and the script that pins them does so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from support.deployed import ROOT

FILES = (Path("Dockerfile"), Path(".github/images/Dockerfile"))
SCRIPT = Path(".ci/pin-images")
DIGEST = "sha256:" + "0123456789abcdef" * 4
_FROM = re.compile(r"(?m)^FROM (\S+)")


def _copy(directory: Path) -> Path:
    for name in (*FILES, SCRIPT):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, directory / name)
    return directory


def _pin(directory: Path, *arguments: str, answer: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a docker that answers that for every image."""
    docker = directory / "bin" / "docker"
    docker.parent.mkdir(exist_ok=True)
    docker.write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
    docker.chmod(0o755)
    environment = {"PATH": f"{docker.parent}:{os.environ['PATH']}"}
    return subprocess.run(
        [directory / SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_what_a_release_is_built_with_is_pinned_by_digest() -> None:
    named = _FROM.findall((ROOT / FILES[1]).read_text(encoding="utf-8"))
    assert len(named) == 2
    assert all(re.fullmatch(r"docker\.io/[a-z/]+:[\w.-]+@sha256:[0-9a-f]{64}", image) for image in named)


def test_the_script_writes_the_digest_that_the_registry_names_and_then_finds_nothing(tmp_path: Path) -> None:
    copy = _copy(tmp_path)
    unpinned = copy / FILES[0]
    unpinned.write_text(re.sub(r"@sha256:[0-9a-f]{64}", "", unpinned.read_text()), encoding="utf-8")
    refused = _pin(copy, "--check", answer="{}")
    assert refused.returncode == 1
    assert "python:3.11-slim-bookworm has no digest: run .ci/pin-images" in refused.stderr
    said = _pin(copy, answer=f'{{"digest": "{DIGEST}", "size": 1}}')
    assert (said.returncode, said.stderr) == (0, "")
    named = _FROM.findall(unpinned.read_text(encoding="utf-8"))
    assert [image for image in named if "/" in image] == [
        f"docker.io/library/python:3.11-slim-bookworm@{DIGEST}",
        f"gcr.io/distroless/python3-debian12:nonroot@{DIGEST}",
    ]
    assert _pin(copy, "--check", answer="{}").returncode == 0


def test_a_registry_that_names_no_digest_changes_nothing(tmp_path: Path) -> None:
    copy = _copy(tmp_path)
    unpinned = copy / FILES[0]
    unpinned.write_text(re.sub(r"@sha256:[0-9a-f]{64}", "", unpinned.read_text()), encoding="utf-8")
    before = unpinned.read_text(encoding="utf-8")
    failed = _pin(copy, answer="toomanyrequests")
    assert (failed.returncode, unpinned.read_text(encoding="utf-8")) == (1, before)
    assert "names no digest" in failed.stderr


def test_the_release_refuses_what_is_not_pinned_before_it_builds_anything() -> None:
    workflow = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    version, _, rest = workflow.partition("\n  image:\n")
    assert ".ci/pin-images --check" in version
    assert "imagetools inspect" not in rest
