"""The flags of the operator in whose container a command runs, so that `kubectl exec … evs-operator check` needs none.

The commands `check` and `endpoints` of `cli` are of this kind. A Deployment gives its flags to the first process of the
container and to nobody else; what is typed beside the command wins over them, and they win over variables, as they do
for the operator. Outside of such a container there are none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
from click.core import augment_usage_errors

from .flags import Command
from .settings import run_flags

_FIRST_PROCESS: Final = Path("/proc/1/cmdline")
_PROGRAMS: Final = ("evs_operator", "evs-operator")


class InheritingCommand(Command):
    """A command that takes what is not typed from the operator's own flags; its object is the words of these."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the operator's flags, then those that are typed."""
        with augment_usage_errors(ctx):
            typed, _, _ = self.make_parser(ctx).parse_args(list(args))
        theirs = _flags_of_run()
        words = [
            word
            for option in self.params
            if option.name in theirs and option.name not in typed
            for word in _words(option, theirs[option.name])
        ]
        ctx.obj = words
        return super().parse_args(ctx, [*words, *args])


def _words(option: click.Parameter, given: Any) -> list[str]:
    if isinstance(given, bool):
        return [option.opts[0] if given else option.secondary_opts[0]]
    values = given if isinstance(given, list) else [given]
    return [f"{option.opts[0]}={value}" for value in values]


def _flags_of_run() -> Mapping[str, Any]:
    run = click.Command("run", params=list(run_flags()), add_help_option=False)
    context = click.Context(run, ignore_unknown_options=True)  # those of another version
    try:
        theirs, _, _ = run.make_parser(context).parse_args(_words_of_run())
    except click.UsageError:
        return {}
    return theirs


def _words_of_run() -> list[str]:
    if os.getpid() == 1:
        return []
    try:
        words = _FIRST_PROCESS.read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
    for at, word in enumerate(words[:-1]):
        if Path(word).name in _PROGRAMS and words[at + 1] == "run":
            return [one for one in words[at + 2 :] if one]
    return []
