"""The transport: kubectl as a subprocess, whose objects come back as JSON and whose complaints become one line.

Nothing here knows what an EvsJob is. kubectl inherits the environment and the terminal, so that exec plugins may ask
for a password; `KUBECTL` names another binary.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from .complaints import understood
from .errors import Cause, KubectlError

Object = dict[str, Any]

JOBS: Final = "evsjobs.evs-operator.dev"
_TIMEOUT_SECONDS: Final = 30
_CLUSTER: Final = ("--context", "--kubeconfig")


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl with the flags that say which cluster and namespace are meant."""

    binary: str
    flags: tuple[str, ...] = ()

    def read(self, *arguments: str, input: str | None = None) -> str:
        """Return what a command prints; KubectlError if it fails."""
        words = [self.binary, *arguments, *self.flags]
        try:
            done = subprocess.run(  # noqa: S603 -- a list, no shell
                words, input=input, capture_output=True, encoding="utf-8", errors="replace", check=False
            )
        except OSError as error:
            raise _not_started(self.binary, error) from None
        if done.returncode:
            raise understood(done.stderr, done.returncode)
        return done.stdout

    def object(self, *arguments: str, input: str | None = None) -> Object:
        """Return the object that a command prints as JSON; {} if it prints nothing."""
        text = self.read(*arguments, "-o", "json", input=input)
        return _parsed(text) if text.strip() else {}

    def items(self, *arguments: str) -> list[Object]:
        """Return the objects that a command prints as JSON, one or a list of them."""
        found = self.object(*arguments, f"--request-timeout={_TIMEOUT_SECONDS}s")
        listed = found.get("items") if found.get("kind", "").endswith("List") else None
        if listed is None:
            return [found] if found else []
        return [item for item in listed if isinstance(item, dict)]

    def stream(self, *arguments: str) -> Stream:
        """Start a watch; KubectlError if kubectl cannot be started."""
        words = [self.binary, *arguments, "--watch", "--output-watch-events", "-o", "json", *self.flags]
        try:
            process = subprocess.Popen(  # noqa: S603 -- a list, no shell
                words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise _not_started(self.binary, error) from None
        return Stream(process)

    def within(self, namespace: str) -> Kubectl:
        """Return the same kubectl for one namespace."""
        kept, skip = [], False
        for flag in self.flags:
            if not skip and flag not in ("--all-namespaces", "--namespace"):
                kept.append(flag)
            skip = flag == "--namespace"
        return Kubectl(self.binary, (*kept, "--namespace", namespace))

    def hint(self, *words: str, namespace: str) -> str:
        """Return a command to be pasted, for the cluster that is meant here and an object of that namespace."""
        flags = self.within(namespace).flags if "--all-namespaces" in self.flags else self.flags
        return shlex.join(("kubectl", *words, *flags))

    @property
    def cluster(self) -> str:
        """The flags that say which cluster is meant, to be put after a command; "" without any."""
        named = zip(self.flags, self.flags[1:], strict=False)
        return "".join(f" {flag} {shlex.quote(value)}" for flag, value in named if flag in _CLUSTER)

    def namespace(self) -> str:
        """Return the namespace that commands are for; "" for all of them."""
        for name, value in zip(self.flags, self.flags[1:], strict=False):
            if name == "--namespace":
                return value
        if "--all-namespaces" in self.flags:
            return ""
        return self.read("config", "view", "--minify", "-o", "jsonpath={..namespace}").strip() or "default"


class Stream:
    """A running watch: iterate over its events (`{"type": …, "object": …}`) until it ends."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def __iter__(self) -> Iterator[Object]:
        """Yield each event as it comes."""
        assert self._process.stdout is not None  # noqa: S101 -- it is a pipe, see Kubectl.stream
        lines: list[bytes] = []
        for line in self._process.stdout:
            lines.append(line)
            # kubectl indents what is inside of a document: a line that closes it stands at the margin.
            if line.startswith(b"}") or (line.startswith(b"{") and line.rstrip().endswith(b"}")):
                yield _parsed(b"".join(lines).decode("utf-8", "replace"))
                lines.clear()

    def complaint(self) -> KubectlError | None:
        """Return why it ended; None if kubectl thinks that all is well."""
        assert self._process.stderr is not None  # noqa: S101 -- as above
        with self._process:  # closes both pipes
            said = self._process.stderr.read().decode("utf-8", "replace")
        code = self._process.returncode
        return understood(said, code) if code > 0 else None

    def stop(self) -> None:
        """End it; twice is once."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()


def kubectl_of(
    namespace: str | None = None, everywhere: bool = False, context: str | None = None, kubeconfig: str | None = None
) -> Kubectl:
    """Return the kubectl of the environment with these flags."""
    flags = ["--all-namespaces"] if everywhere else []
    for flag, value in (("--namespace", namespace), ("--context", context), ("--kubeconfig", kubeconfig)):
        flags += [flag, value] if value else []
    return Kubectl(os.environ.get("KUBECTL") or "kubectl", tuple(flags))


def _parsed(text: str) -> Object:
    try:
        found = json.loads(text)
    except ValueError:
        raise KubectlError(Cause.REFUSED, "kubectl printed something that is no JSON: is KUBECTL a kubectl?") from None
    return found if isinstance(found, dict) else {}


def _not_started(binary: str, error: OSError) -> KubectlError:
    why = "was not found" if isinstance(error, FileNotFoundError) else f"cannot be started ({error.strerror})"
    return KubectlError(Cause.NO_KUBECTL, f"{binary} {why}: install kubectl, or name one in KUBECTL")
