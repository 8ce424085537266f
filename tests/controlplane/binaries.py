"""The programs of the control plane: kube-apiserver, etcd and kubectl, found or built once.

`plane` calls this before it starts anything, `python -m controlplane build` calls it alone. In comes a function that
prints a line of progress, out come three paths. `KUBEBUILDER_ASSETS` is used as it is; else the programs come from
the user's cache, and are built into it from the sources of the Go module `gotools` when they are not there yet.

Two builds at a time wait for each other (file lock), a build that was stopped leaves nothing half-done (the directory
appears by one rename), and the next one goes on where it was, for Go keeps what it compiled.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controlplane import go
from controlplane.children import Child

KUBERNETES = "1.37.2"
"""The version that `gotools/go.mod` requires; Go does not stamp it into the programs by itself."""

GOTOOLS = Path(__file__).parent / "gotools"
_PROGRAMS = ("kube-apiserver", "etcd", "kubectl")
_BUILT_AS = {"server": "etcd"}

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of the three programs; all exist and may be executed."""

    kube_apiserver: Path
    etcd: Path
    kubectl: Path


class BinariesError(RuntimeError):
    """The programs are neither there nor can they be built; the message says what to do."""


def binaries(progress: Progress) -> Binaries:
    """Find the programs, or build them (minutes, once per version and user)."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        return _assets(Path(assets))
    cache = cache_directory()
    if not _complete(cache):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with _lock(cache.with_name(cache.name + ".lock"), progress):
            if not _complete(cache):
                _build(cache, progress)
    return _found_in(cache)


def cache_directory() -> Path:
    """Name the directory that holds the programs of this very Go module."""
    named = os.environ.get("EVS_OPERATOR_CACHE")
    root = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evs-operator"
    digest = hashlib.sha256((GOTOOLS / "go.mod").read_bytes() + (GOTOOLS / "go.sum").read_bytes()).hexdigest()
    return root.absolute() / f"controlplane-v{KUBERNETES}-{digest[:12]}"


def _assets(directory: Path) -> Binaries:
    missing = [name for name in _PROGRAMS if not _executable(directory / name)]
    if missing:
        raise BinariesError(
            f"KUBEBUILDER_ASSETS={directory} has no {', '.join(missing)}: add it, or unset the variable"
        )
    return _found_in(directory.absolute())


def _found_in(directory: Path) -> Binaries:
    kube_apiserver, etcd, kubectl = (directory / name for name in _PROGRAMS)
    return Binaries(kube_apiserver, etcd, kubectl)


def _complete(directory: Path) -> bool:
    return all(_executable(directory / name) for name in _PROGRAMS)


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


@contextmanager
def _lock(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of a file; the kernel gives it back however this process ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another process builds the control plane: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(cache: Path, progress: Progress) -> None:
    """Build beside the cache and rename; the caller holds the lock, so what lies there is a stopped build's."""
    command = go.find(progress)
    progress(f"building kube-apiserver, etcd and kubectl {KUBERNETES} from source: once, 5 to 15 minutes, 4 GB")
    started = time.monotonic()
    made = cache.with_name(cache.name + ".partial")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    _compile(command, made, progress)
    for built, name in _BUILT_AS.items():
        (made / built).rename(made / name)
    if not _complete(made):
        raise BinariesError(f"the Go build ended without {', '.join(_PROGRAMS)}")
    if cache.exists():
        shutil.rmtree(cache)
    made.rename(cache)
    progress(f"built in {time.monotonic() - started:.0f} s: {cache}")


def _compile(command: Path, into: Path, progress: Progress) -> None:
    """Run Go with a sign of life every 20 s; what it says is shown when it fails."""
    major, minor, _ = KUBERNETES.split(".")
    stamps = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    ldflags = " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{key}={text}" for key, text in stamps.items())])
    arguments = [str(command), "build", "-ldflags", ldflags, "-o", f"{into}/", "tool"]
    started = time.monotonic()
    child = Child(arguments, log=into.with_suffix(".log"), cwd=GOTOOLS, env=go.environment())
    try:
        while True:
            try:
                code = child.wait(20)
                break
            except subprocess.TimeoutExpired:
                progress(f"building: {time.monotonic() - started:.0f} s")
    finally:
        child.stop()  # after Ctrl-C too; Go keeps what it compiled, the next build goes on from there
    if code != 0:
        raise BinariesError(f"the build of the control plane failed (exit {code}); Go says:\n{child.last_words()}")
