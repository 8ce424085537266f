"""What ends a command before its work is done: one line for a person, and an exit code.

PluginError                the line and the code
└── KubectlError           kubectl said so; `cause` is what it means for us
"""

from __future__ import annotations

from enum import Enum, auto

USAGE = 2
NOT_FOUND = 4


class Cause(Enum):
    """Why kubectl failed, as far as a command decides by it."""

    NO_KUBECTL = auto()
    NO_CRDS = auto()
    FORBIDDEN = auto()
    NOT_FOUND = auto()
    EXISTS = auto()
    UNREACHABLE = auto()
    """The API server did not answer, or not in time: a wait that has begun goes on."""
    REFUSED = auto()
    """Anything else, in kubectl's words."""


class PluginError(Exception):
    """A line that says what happened and what to do, and the exit code of the process."""

    def __init__(self, line: str, code: int = USAGE) -> None:
        super().__init__(line)
        self.line = line
        self.code = code


class KubectlError(PluginError):
    """kubectl failed."""

    def __init__(self, cause: Cause, line: str) -> None:
        super().__init__(line, NOT_FOUND if cause is Cause.NOT_FOUND else USAGE)
        self.cause = cause
