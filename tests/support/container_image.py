"""The image of the operator, built with buildah from local base images and run without a container engine.

`tests/e2e/test_image.py` uses it (`make test-image`). It needs root, buildah and mmdebstrap, all of them Debian
packages. No container registry is asked: the base image is a Debian with its Python, made once into the user's cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.gotools import cache_root

ROOT = Path(__file__).resolve().parents[2]
_SUITE = "bookworm"
"""Debian whose Python is that of the Dockerfile's base image."""
_TRUST = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its id, what its layers hold (diff ids, base first), its OCI configuration."""

    id: str
    layers: tuple[str, ...]
    config: dict[str, Any]

    @property
    def command(self) -> list[str]:
        """Entry point and arguments."""
        return [*self.config["Entrypoint"], *self.config.get("Cmd", [])]

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that the image sets."""
        return dict(item.split("=", 1) for item in self.config["Env"])


class Buildah:
    """buildah with storage of its own, so that nothing of it stays on the machine."""

    def __init__(self, storage: Path) -> None:
        missing = [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]
        if missing or os.geteuid() != 0:
            raise RuntimeError(
                f"building the image needs root, buildah and mmdebstrap (missing: {', '.join(missing) or 'root'}); "
                f"on Debian: apt-get install buildah mmdebstrap"
            )
        self._storage = storage

    def __call__(self, *arguments: str) -> str:
        """Run buildah and return what it prints; fail with its own words."""
        where = ["--root", str(self._storage / "root"), "--runroot", str(self._storage / "run")]
        words = ["buildah", "--storage-driver", "vfs", *where, *arguments]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"buildah {' '.join(arguments)}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout.strip()

    def bases(self) -> tuple[str, str]:
        """Make the base images, to build on and to run on, and return their names."""
        bare = self("from", "scratch")
        self("add", bare, str(_base_archive()), "/")
        self("commit", "--quiet", bare, "base:run")
        building = self("from", "base:run")
        install = "apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-pip"
        self("run", "--isolation", "chroot", building, "--", "sh", "-c", install)
        self("commit", "--quiet", building, "base:build")
        for container in (bare, building):
            self("rm", container)
        return "localhost/base:build", "localhost/base:run"

    def build(self, bases: tuple[str, str], *, target: str = "", **arguments: str) -> Image:
        """Build the Dockerfile, or the stage `target` of it, from nothing cached, at the time 0."""
        build, run = bases
        given = {"BUILD_IMAGE": build, "BASE_IMAGE": run, "PIP_CERT": str(_TRUST), **arguments}
        words = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
        trust = ["--volume", f"{_TRUST}:{_TRUST}:ro"]
        how = ["--quiet", "--no-cache", "--isolation", "chroot", "--timestamp", "0"]
        stage = ["--target", target] if target else []
        said = self("build", *how, *stage, *trust, *words, ".")
        described = json.loads(self("inspect", "--type", "image", said))["OCIv1"]
        return Image(said, tuple(described["rootfs"]["diff_ids"]), described["config"])

    def mount(self, image: Image) -> Path:
        """Return the root file system of a container of that image."""
        return Path(self("mount", self("from", image.id)))


def jailed(root: Path, image: Image, kubeconfig: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs the image's own command as a kubelet would: its user, a read-only root, a /tmp.

    `{kubeconfig}` in an argument becomes the path that the kubeconfig has inside.
    """
    script = """
set -e
mount --bind "$ROOT" "$ROOT"
mount -t tmpfs tmpfs "$ROOT/tmp"
install -m 0644 "$KUBECONFIG_OUTSIDE" "$ROOT/tmp/kubeconfig"
mount -o remount,ro,bind "$ROOT"
user=$1; shift
exec chroot --userspec="$user" "$ROOT" /usr/bin/env -i "$@"
"""
    outside = [f"ROOT={root}", f"KUBECONFIG_OUTSIDE={kubeconfig}"]
    inside = [f"{name}={value}" for name, value in image.environment.items()]
    words = [argument.replace("{kubeconfig}", "/tmp/kubeconfig") for argument in arguments]
    shell = ["sh", "-c", script, "sh", image.config["User"], *inside, *image.command, *words]
    return ["unshare", "--mount", "--propagation", "private", "env", *outside, *shell]


def _base_archive() -> Path:
    archive = cache_root() / f"image-base-{_SUITE}.tar"
    if not archive.is_file():
        archive.parent.mkdir(parents=True, exist_ok=True)
        partial = archive.with_suffix(f".{os.getpid()}.tar")
        packages = "--include=python3,ca-certificates"
        try:
            subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", packages, _SUITE, str(partial)], check=True)
            partial.rename(archive)
        finally:
            partial.unlink(missing_ok=True)
    return archive
