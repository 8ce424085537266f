"""The directory of a control plane: the caller's own, or a temporary one that goes with it.

`plane` opens one per control plane. A process that was killed cannot tidy up, so every start sweeps the temporary
directories that nobody holds any more: each is held by a file lock, and the kernel gives that back however its
process ended.
"""

import contextlib
import fcntl
import shutil
import tempfile
import time
from pathlib import Path
from typing import TextIO

_PREFIX = "evs-controlplane-"
_SETTLED = 60.0  # seconds; a younger directory may be one whose lock is just being taken


class WorkspaceError(RuntimeError):
    """Another control plane uses the directory, whose files it would lose."""


class Workspace:
    """A directory at `path`, ours until `close`."""

    def __init__(self, directory: Path | None) -> None:
        """Use `directory` (made when it is not there), or make a temporary one; WorkspaceError where it is in use."""
        self._temporary = directory is None
        if directory is None:
            sweep(Path(tempfile.gettempdir()))
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        else:
            directory.mkdir(parents=True, exist_ok=True)
            self.path = directory.absolute()
        self._lock: TextIO = (self.path / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise WorkspaceError(f"{self.path} is in use by another control plane: name another directory") from None

    def close(self) -> None:
        """Give it back, and remove it if it was temporary; twice is once."""
        if self._lock.closed:
            return
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def sweep(root: Path) -> None:
    """Remove the temporary directories below `root` whose process is gone; those of other users are left alone."""
    for directory in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or one that another sweep removes now
            if time.time() - directory.stat().st_mtime < _SETTLED:
                continue
            with (directory / "lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory)
