"""What every command is given: kubectl, the two streams and how they look, and the form of the output."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from .kubectl import Kubectl, kubectl_of
from .look import Look, is_terminal, look_for
from .screen import terminal_size
from .text import harmless


@dataclass(frozen=True, slots=True)
class Session:
    """One run of one command. `output` is table, wide, json, yaml or name, and None if nobody asked for a form."""

    kubectl: Kubectl
    out: TextIO
    err: TextIO
    out_look: Look
    err_look: Look
    environment: Mapping[str, str]
    output: str | None = None
    headers: bool = True
    everywhere: bool = False

    @property
    def width(self) -> int | None:
        """Columns of the terminal that results go to; None if they go elsewhere."""
        return terminal_size(self.out)[0] if self.out.isatty() else None

    def result(self, *lines: str) -> None:
        """Write lines to stdout."""
        self.out.write("".join(f"{line}\n" for line in lines))
        self.out.flush()

    def say(self, line: str) -> None:
        """Write one line to stderr."""
        self.err.write(f"{self.err_look.plain(harmless(line))}\n")
        self.err.flush()

    @property
    def is_live(self) -> bool:
        """Whether progress can be drawn over itself."""
        return is_terminal(self.err, self.environment)


def session_of(
    *,
    namespace: str | None = None,
    everywhere: bool = False,
    context: str | None = None,
    kubeconfig: str | None = None,
    colour: str = "auto",
    output: str | None = None,
    headers: bool = True,
) -> Session:
    """Return the session of this process with these flags."""
    return Session(
        kubectl=kubectl_of(namespace, everywhere, context, kubeconfig),
        out=sys.stdout,
        err=sys.stderr,
        out_look=look_for(sys.stdout, colour, os.environ),
        err_look=look_for(sys.stderr, colour, os.environ),
        environment=os.environ,
        output=output,
        headers=headers,
        everywhere=everywhere,
    )
