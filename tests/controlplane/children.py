"""Child processes that never outlive us: started, watched and ended.

`plane` starts etcd and the API server through this, `gotools` starts Go. What a child says goes to a file, its stdin
is empty, and a Ctrl-C in the terminal reaches only us (the child has a session of its own), so that we end the
children in the right order. Should we be killed before that (kill -9), the kernel ends them, see `leash`; on a system
other than Linux only an orderly end is covered.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_LEASH = Path(__file__).with_name("leash.py")
_KEPT = ("HOME", "LANG", "PATH", "TMPDIR", "USER")


def clean_environment() -> dict[str, str]:
    """Return an environment for etcd, the API server and kubectl that holds nothing of the user's settings for them.

    ETCD_…, KUBE… and the variables of proxies and of trust would change what they do; kubectl needs PATH and HOME.
    """
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


class Child:
    """One running program."""

    def __init__(
        self, arguments: Sequence[str], *, log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Start a program by its full path; `log` is written anew. The calling thread must outlive the child."""
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), *arguments],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id; it stays the child's until `stop`."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float) -> int:
        """Wait for the end; TimeoutExpired after `timeout` seconds."""
        return self._process.wait(timeout)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a child that ended is passed over."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self, timeout: float = 10.0) -> None:
        """End it: asked first, killed after `timeout` seconds; a paused child is woken to hear it. Twice is once."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_words(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
