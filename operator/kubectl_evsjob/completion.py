"""`kubectl_complete-evsjob`: kubectl calls it with the words after `kubectl evsjob` to complete the last one.

It prints one completion a line, with a description after a tab, and in the last line a colon and what the shell shall
do about files (as Cobra, kubectl's own library, defines it). Whatever goes wrong completes nothing, and says nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from click.shell_completion import ShellComplete

from .cli import PROGRAM, cli
from .errors import PluginError
from .kubectl import JOBS
from .session import Session

_NO_FILES: Final = 4
_FILES: Final = 0
_FILE_FLAGS: Final = ("-f", "--filename", "--kubeconfig")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the completions of the last word."""
    words = list(sys.argv[1:] if arguments is None else arguments) or [""]
    try:
        for line in completions(words):
            print(line)
    except PluginError:
        pass
    print(f":{_FILES if words[-2:-1] and words[-2] in _FILE_FLAGS else _NO_FILES}")
    return 0


def completions(words: Sequence[str]) -> list[str]:
    """Return the completions of the last word, each with its description after a tab if it has one."""
    shell = ShellComplete(cli, {}, PROGRAM, "")
    found = shell.get_completions(list(words[:-1]), words[-1])
    return [f"{item.value}\t{item.help}" if item.help else item.value for item in found if item.type == "plain"]


def names(session: Session) -> list[str]:
    """Return the names of the EvsJobs that are there; none if kubectl fails."""
    listed = session.kubectl.read("get", JOBS, "-o", "jsonpath={.items[*].metadata.name}", "--request-timeout=5s")
    return listed.split()


if __name__ == "__main__":
    sys.exit(main())
