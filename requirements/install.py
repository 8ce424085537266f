"""Makes the virtual environment .venv from the locked requirements: `python requirements/install.py` (`make venv`).

A second run with the same lock, the same project file and the same place does nothing and needs no network. Two runs at
a time wait for each other. The Makefile has checked that this Python is new enough.
"""

# ruff: noqa: S603, T201 -- the commands are fixed, and it talks to a person at a terminal

import fcntl
import hashlib
import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements" / "dev.txt"
STAMP = VENV / "installed"

_PYTHON = str(VENV / "bin" / "python")
_PIP = [_PYTHON, "-m", "pip", "--disable-pip-version-check"]


def main() -> int:
    """Return the exit code; what failed has said why."""
    with LOCK.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if _stamp() == [_place(), _digest()] and _works(_PYTHON, "-c", ""):
                return 0
            _install()
        except subprocess.CalledProcessError as error:
            return error.returncode
        except KeyboardInterrupt:
            return 130
    return 0


def _install() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(f"{sys.executable} makes no virtual environments; on Debian and Ubuntu: apt-get install python3-venv")
    print(f"installing {LOCK.relative_to(ROOT)} into {VENV}: once, one minute or two", flush=True)
    if _stamp()[:1] not in ([], [_place()]) or not _works(*_PIP, "--version"):
        venv.EnvBuilder(with_pip=True, symlinks=True, clear=True).create(VENV)
    STAMP.unlink(missing_ok=True)  # from here on it is what it was no more
    install = [*_PIP, "install", "--quiet"]
    subprocess.run([*install, "--require-hashes", "-r", str(LOCK)], check=True)
    subprocess.run([*install, "--no-build-isolation", "--no-deps", "-e", str(ROOT)], check=True)
    STAMP.write_text(f"{_place()}\n{_digest()}\n")


def _stamp() -> list[str]:
    return STAMP.read_text().splitlines() if STAMP.is_file() else []


def _place() -> str:
    """Name where it is and for which Python: its scripts hold that path, so a copied environment must be made anew."""
    return f"{VENV} {sys.version_info.major}.{sys.version_info.minor}"


def _digest() -> str:
    return hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()


def _works(*command: str) -> bool:
    """Tell whether a program of the environment starts; the Python that it was made from may be gone."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
