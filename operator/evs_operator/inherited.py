"""The flags of the operator in whose container a command runs, so that `kubectl exec … evs-operator check` needs none.

Called by `cli` for `check` and `endpoints`. A Deployment gives its flags to the first process of the container and to
nobody else; what is typed beside the command wins over them. Outside of such a container there are none.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final, NoReturn

from .settings import add_flags

_FIRST_PROCESS: Final = Path("/proc/1/cmdline")
_PROGRAMS: Final = ("evs_operator", "evs-operator")


class _Unreadable(ValueError):
    """What the first process was started with are no flags of `run`."""


class _Flags(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Unreadable(message)


def inherit(flags: argparse.Namespace, first_process: Path = _FIRST_PROCESS) -> list[str]:
    """Fill in what `flags` leaves open from the operator's own; return the words that were used, [] where none were."""
    words = _words_of_run(first_process)
    parser = _Flags(add_help=False, allow_abbrev=False)
    add_flags(parser, run=True)
    try:
        theirs, _ = parser.parse_known_args(words)
    except _Unreadable:
        return []
    taken = False
    for name, value in vars(theirs).items():
        if value is not None and name in vars(flags) and getattr(flags, name) is None:
            setattr(flags, name, value)
            taken = True
    return words if taken else []


def _words_of_run(first_process: Path) -> list[str]:
    if os.getpid() == 1:
        return []
    try:
        words = first_process.read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
    for at, word in enumerate(words[:-1]):
        if Path(word).name in _PROGRAMS and words[at + 1] == "run":
            return [one for one in words[at + 2 :] if one]
    return []
