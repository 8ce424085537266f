"""`kubectl evsjob` as a person or a pipeline runs it: as a process, on pipes or in a terminal that keeps its frames.

The terminal is a pseudo-terminal with an emulator behind it, so that a test compares what a person would see.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch

import pyte

from controlplane import ControlPlane
from kubectl_evsjob.cli import main

PROGRAM = (sys.executable, "-m", "kubectl_evsjob")
_ROOT = Path(__file__).parents[2]
_STATES = _ROOT / "tests" / "golden" / "states"
_FRAME_BEGINS, _FRAME_ENDS = b"\x1b[2K", b"\x1b[J"
_WAIT_SECONDS = 30.0


def environment(kubectl: Path, kubeconfig: Path | None = None, **more: str) -> dict[str, str]:
    """Return what the plugin sees: one kubectl, one kubeconfig, a locale of UTF-8, and no terminal of ours."""
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(_ROOT / "operator"),
        "KUBECTL": str(kubectl),
        "KUBECONFIG": str(kubeconfig or "/nowhere"),
        "KUBERC": "off",
        "LANG": "C.UTF-8",
        **more,
    }


class Plugin:
    """Runs the plugin against a control plane, in one namespace."""

    def __init__(self, plane: ControlPlane, namespace: str, kubeconfig: Path | None = None) -> None:
        self.plane = plane
        self.namespace = namespace
        self.environment = environment(plane.binaries.kubectl, kubeconfig or plane.admin_kubeconfig)

    def run(self, *arguments: str, input: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, on pipes; nothing it writes may be a traceback."""
        words = [*PROGRAM, *arguments, "--namespace", self.namespace]
        return _run(words, {**self.environment, **more}, input)

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start a command on pipes."""
        return subprocess.Popen(
            [*PROGRAM, *arguments, "--namespace", self.namespace],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **more},
            text=True,
        )

    def terminal(self, *arguments: str, size: tuple[int, int] = (100, 24), **more: str) -> Terminal:
        """Start a command in a terminal of that many columns and lines."""
        words = [*PROGRAM, *arguments, "--namespace", self.namespace]
        return Terminal(words, {**self.environment, "TERM": "xterm-256color", **more}, size)

    def create(self, name: str, job_id: str = "ff80808292ab11f50193d0c1a5e40b17", **metadata: Any) -> dict[str, Any]:
        """Make an EvsJob and return it."""
        obj = {
            "apiVersion": "evs-operator.dev/v1alpha1",
            "kind": "EvsJob",
            "metadata": {"name": name, "namespace": self.namespace, **metadata},
            "spec": {"jobId": job_id},
        }
        return dict(json.loads(self.plane.kubectl("create", "-f", "-", "-o", "json", input=json.dumps(obj)).stdout))

    def write(self, name: str, status: Mapping[str, Any]) -> None:
        """Write a status as the operator would."""
        obj = json.loads(self.plane.kubectl("get", "evsjob", name, "-n", self.namespace, "-o", "json").stdout)
        generation = obj["metadata"]["generation"]
        conditions = [{**each, "observedGeneration": generation} for each in status["conditions"]]
        obj["status"] = {**status, "observedGeneration": generation, "conditions": conditions}
        path = f"/apis/evs-operator.dev/v1alpha1/namespaces/{self.namespace}/evsjobs/{name}/status"
        self.plane.kubectl("replace", "--raw", path, "-f", "-", input=json.dumps(obj))

    def delete(self, name: str) -> None:
        """Delete an EvsJob."""
        self.plane.kubectl("delete", "evsjob", name, "-n", self.namespace)


class FakeCluster:
    """EvsJobs without a cluster: the plugin gets a kubectl of ours that serves files, see `fake_kubectl`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        kubectl = directory / "kubectl"
        fake = Path(__file__).with_name("fake_kubectl.py")
        kubectl.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {fake} "$@"\n')
        kubectl.chmod(0o755)
        self.environment = environment(kubectl, FAKE_KUBECTL=str(directory))

    def put(self, name: str, state: str, **changes: Any) -> None:
        """Make or change an EvsJob: a golden state under that name; `changes` replace fields of its status."""
        obj = json.loads((_STATES / f"{state}.json").read_text())
        obj["metadata"] |= {"name": name, "uid": changes.pop("uid", f"{name}-1")}
        obj.setdefault("status", {}).update(changes)
        temporary = self.directory / f"{name}.new"
        temporary.write_text(json.dumps(obj))
        temporary.rename(self.directory / f"{name}.json")

    def delete(self, name: str) -> None:
        """Delete an EvsJob."""
        (self.directory / f"{name}.json").unlink()

    def complain(self, words: str) -> None:
        """Have kubectl fail with these words from now on."""
        (self.directory / "complaint").write_text(words)

    @property
    def calls(self) -> list[str]:
        """The commands that kubectl got so far."""
        path = self.directory / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def run(self, *arguments: str, input: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, on pipes; nothing it writes may be a traceback."""
        return _run([*PROGRAM, *arguments], {**self.environment, **more}, input)

    def call(self, *arguments: str, input: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command within this process, as on pipes: for tests of many commands, at a fifth of the time."""
        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(3)]
        streams[0].write(input)
        streams[0].seek(0)
        with (
            patch.dict(os.environ, {**self.environment, **more}, clear=True),
            patch.multiple(sys, stdin=streams[0], stdout=streams[1], stderr=streams[2]),
        ):
            code = main(arguments)
        texts = [stream.buffer.getvalue().decode() for stream in streams if not stream.flush()]
        return subprocess.CompletedProcess(arguments, code, texts[1], texts[2])

    def terminal(
        self, *arguments: str, size: tuple[int, int] = (100, 24), stdin: int | None = None, **more: str
    ) -> Terminal:
        """Start a command in a terminal of that many columns and lines."""
        world = {**self.environment, "TERM": "xterm-256color", **more}
        return Terminal([*PROGRAM, *arguments], world, size, stdin=stdin)


def _run(words: Sequence[str], world: Mapping[str, str], input: str | None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        words,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        env=world,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


class Terminal:
    """A process in a pseudo-terminal, and the screen that it makes; a context manager that ends it."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        size: tuple[int, int],
        *,
        stdin: int | None = None,
    ) -> None:
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._reader, self._writer = pty.openpty()
        self._resize(*size)
        self.process = subprocess.Popen(
            words,
            stdin=self._writer if stdin is None else stdin,
            stdout=self._writer,
            stderr=self._writer,
            env=environment,
            preexec_fn=_own_terminal,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._reader)
        os.close(self._writer)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, less what is empty at the end."""
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def until(self, test: Callable[[list[str]], bool], seconds: float = _WAIT_SECONDS) -> list[str]:
        """Return the lines of the screen once they pass the test, and the frame that is being drawn is drawn whole."""
        end = time.monotonic() + seconds
        while not (self._drawn_whole() and test(self.lines)):
            assert time.monotonic() < end, "\n".join(self.lines)
            self._read(0.1)
        return self.lines

    def _drawn_whole(self) -> bool:
        """Return whether nothing of a frame is missing: it begins with a cleared line and ends by clearing below."""
        return self.raw.rfind(_FRAME_BEGINS) <= self.raw.rfind(_FRAME_ENDS)

    def shows(self, pattern: str) -> list[str]:
        """Return the lines of the screen once one of them matches."""
        return self.until(lambda lines: any(re.search(pattern, line) for line in lines))

    def ended(self, seconds: float = _WAIT_SECONDS) -> int:
        """Return the exit code once the process has ended and all that it wrote is on the screen."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, "\n".join(self.lines)
            self._read(0.1)
        while self._read(0.1):
            pass
        return self.process.returncode

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C: the terminal sends the signal to all of its foreground."""
        os.write(self._reader, b"\x03")

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, as a person does with the mouse; the process gets SIGWINCH from the terminal.

        The emulator is as wide as the wider of both until all is read: it breaks lines for good, and no terminal does.
        """
        self.screen.resize(lines, max(columns, self.screen.columns))
        self._resize(columns, lines)
        while self._read(0.3):
            pass
        self.screen.resize(lines, columns)

    def _resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._writer, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self, seconds: float) -> bool:
        if not select.select([self._reader], [], [], seconds)[0]:
            return False
        data = os.read(self._reader, 65536)
        self.raw += data
        self._stream.feed(data)
        return bool(data)


def _own_terminal() -> None:
    """Make the pseudo-terminal the controlling one, so that Ctrl-C reaches the process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)
