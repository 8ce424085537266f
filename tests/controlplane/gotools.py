"""Go programs of the tests and the demo, built once from the modules below `tests/gotools` into the user's cache.

`binaries` says which modules there are and asks `built` for the directory of one. In comes a function that prints a
line of progress, out comes a directory with all its programs. A module is built anew when its go.mod, its go.sum or one
of its own Go files changes.

Two builds at a time wait for each other (file lock), a build that was stopped leaves nothing half-done (the directory
appears by one rename), and the next one goes on where it was, for Go keeps what it compiled.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from controlplane import go
from controlplane.children import Child

GOTOOLS = Path(__file__).parents[1] / "gotools"

Progress = Callable[[str], None]


class BinariesError(RuntimeError):
    """A program is neither there nor can it be built; the message says what to do."""


@dataclass(frozen=True, slots=True)
class GoModule:
    """A Go module whose programs we run: the tools its go.mod names, and its own main packages.

    `name` is its directory below `GOTOOLS` (`place` says where else it lies), `version` is for people and part of the
    cache's name, `programs` are the files it yields (`renamed` maps a name that Go gives to one of them), `cost` says
    what the first build takes, and `stamps` are string variables to set, which Go does not know by itself.
    """

    name: str
    version: str
    cost: str
    programs: tuple[str, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)
    stamps: Mapping[str, str] = field(default_factory=dict)
    place: Path | None = None

    @property
    def source(self) -> Path:
        """Directory of go.mod."""
        return self.place or GOTOOLS / self.name

    @property
    def title(self) -> str:
        """What is built, in words."""
        first, last = self.programs[:-1], self.programs[-1]
        return f"{', '.join(first)} and {last}" if first else last

    def directory(self) -> Path:
        """Name the directory of the cache that holds the programs of these very sources."""
        return cache_root() / f"{self.name}-v{self.version}-{self._digest()[:12]}"

    def is_in(self, directory: Path) -> bool:
        """Whether all programs are there."""
        return not self.missing_in(directory)

    def missing_in(self, directory: Path) -> list[str]:
        """Name the programs that are not there, or may not be executed."""
        return [name for name in self.programs if not os.access(directory / name, os.X_OK)]

    def own_files(self) -> list[Path]:
        """Return the Go files that are ours, not those of the modules it requires."""
        return sorted(self.source.rglob("*.go"))

    def _digest(self) -> str:
        files = (self.source / "go.mod", self.source / "go.sum", *self.own_files())
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def cache_root() -> Path:
    """Name the directory that keeps what tests and the demo make once; it may not be there yet."""
    named = os.environ.get("EVS_OPERATOR_CACHE")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(named) if named else caches / "evs-operator").absolute()


def built(module: GoModule, progress: Progress) -> Path:
    """Return the directory of the module's programs; build them where they are not there yet (minutes, once)."""
    cache = module.directory()
    if not module.is_in(cache):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with _lock(cache.with_name(cache.name + ".lock"), module, progress):
            if not module.is_in(cache):
                _build(module, cache, progress)
    return cache


@contextmanager
def _lock(path: Path, module: GoModule, progress: Progress) -> Iterator[None]:
    """Hold the lock of a file; the kernel gives it back however this process ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"another process builds {module.title}: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(module: GoModule, cache: Path, progress: Progress) -> None:
    """Build beside the cache and rename; the caller holds the lock, so what lies there is a stopped build's."""
    command = go.find(progress)
    progress(f"building {module.title} {module.version} from source: once, {module.cost}")
    started = time.monotonic()
    made = cache.with_name(cache.name + ".partial")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    _compile(module, command, made, progress)
    for given, name in module.renamed.items():
        (made / given).rename(made / name)
    if missing := module.missing_in(made):
        raise BinariesError(f"the Go build of {module.source} ended without {', '.join(missing)}")
    if cache.exists():
        shutil.rmtree(cache)
    made.rename(cache)
    progress(f"built in {time.monotonic() - started:.0f} s: {cache}")


def _compile(module: GoModule, command: Path, into: Path, progress: Progress) -> None:
    """Run Go with a sign of life every 20 s; what it says is shown when it fails."""
    ldflags = " ".join(["-s -w", *(f"-X {variable}={text}" for variable, text in module.stamps.items())])
    packages = ["tool", "./..."] if module.own_files() else ["tool"]  # "tool" alone may match nothing
    arguments = [str(command), "build", "-ldflags", ldflags, "-o", f"{into}/", *packages]
    started = time.monotonic()
    child = Child(arguments, log=into.with_suffix(".log"), cwd=module.source, env=go.environment())
    try:
        while True:
            try:
                code = child.wait(20)
                break
            except subprocess.TimeoutExpired:
                progress(f"building {module.name}: {time.monotonic() - started:.0f} s")
    finally:
        child.stop()  # after Ctrl-C too; Go keeps what it compiled, the next build goes on from there
    if code != 0:
        raise BinariesError(f"the build of {module.title} failed (exit {code}); Go says:\n{child.last_words()}")
