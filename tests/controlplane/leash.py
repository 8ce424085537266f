"""Becomes another program that the kernel kills when the parent ends: `leash.py PARENT_PID PROGRAM ARGUMENT…`.

`children` starts every child through this. It is a program of its own, and not a function between fork and exec,
because a fork in a process with threads may run no Python safely. On a system other than Linux it becomes the program
and nothing more.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Never returns."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before the kernel was asked
            sys.exit(1)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
