"""The command line: `evs-operator run`, `check`, `endpoints` and `webhook`.

Called by the console script and by `python -m evs_operator`. Exit codes: 2 for wrong flags or variables, with one
line on stderr; 130 after Ctrl-C; else what the command returns. Logging is set up before the command starts, so that
nothing goes to stderr past the redactor. What goes wrong later is the commands' own to say. The webhook is another
package: nothing of it is imported unless it is the command.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import NoReturn

from evs_operator import __version__
from evs_operator.redact.redactor import Redactor

from .flags import LogFormat
from .inherited import inherit
from .introduction import endpoint_lines
from .observe import logs
from .settings import Settings, SettingsError, add_endpoint_flags, add_flags, read_settings

_WRONG_USE = 2
_INTERRUPTED = 130
_COLLECT_EVERY = 10_000
"""New objects after which Python looks for cycles, of which we make few; by itself it does every 700."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong on one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        line = Redactor()(" ".join(message.split()))  # what was typed may hold line ends, or a password
        self.exit(_WRONG_USE, f"{self.prog}: {line[:500]}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code. Raises SystemExit where argparse ends: --help, wrong flags."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(webhook=words[:1] == ["webhook"])
    flags = parser.parse_args(words)
    if flags.command is None:
        parser.print_help(sys.stderr)
        return _WRONG_USE
    if flags.command == "webhook":
        return _serve_webhook(flags)
    inherited = [] if flags.command == "run" else inherit(flags)
    try:
        settings = read_settings(flags)
    except SettingsError as error:
        return _refused(flags.command, error)
    if flags.command == "endpoints":
        return _list_endpoints(settings)
    if inherited:
        print(f"note  flags of the operator in this container: {' '.join(inherited)}")  # noqa: T201  # part of the answer
    return _in_loop(_command(flags.command)(settings), settings.log_format, settings.log_level)


def _serve_webhook(flags: argparse.Namespace) -> int:
    from evs_webhook.settings import read_settings as read_webhook_settings

    try:
        settings = read_webhook_settings(flags)
        from evs_webhook.server import run as serve
    except SettingsError as error:
        return _refused("webhook", error)
    except ModuleNotFoundError as error:
        return _refused("webhook", f"{error.name} is not installed: pip install 'evs-operator[webhook]'")
    return _in_loop(serve(settings), settings.log_format, settings.log_level)


def _refused(command: str, why: object) -> int:
    print(f"evs-operator {command}: {why}", file=sys.stderr)  # noqa: T201  # the command's answer
    return _WRONG_USE


def _list_endpoints(settings: Settings) -> int:
    lines = endpoint_lines(settings)
    for line in lines:
        print(line)  # noqa: T201  # the command's answer
    if not lines:
        print("no endpoint is allowed: name them with --allow-endpoint", file=sys.stderr)  # noqa: T201  # the answer
    return 0


def _parser(*, webhook: bool = False) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="evs-operator",
        description="Follow jobs of Elastic Volume Service (EVS) in Kubernetes.",
        epilog="Every flag has a variable, as EVS_OPERATOR_LOG_LEVEL is --log-level; lists are separated by commas.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"evs-operator {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    run = commands.add_parser("run", help="run the operator", allow_abbrev=False)
    add_flags(run, run=True)
    check = commands.add_parser("check", help="is everything in place to run?", allow_abbrev=False)
    add_flags(check, run=False)
    endpoints = commands.add_parser("endpoints", help="which endpoints may connections name?", allow_abbrev=False)
    add_endpoint_flags(endpoints)
    serve = commands.add_parser("webhook", help="serve HTTP for senders outside the cluster", allow_abbrev=False)
    if webhook:
        from evs_webhook.settings import add_flags as add_webhook_flags

        add_webhook_flags(serve)
    return parser


def _command(name: str) -> Callable[[Settings], Coroutine[None, None, int]]:
    # Imported late: --help and a wrong flag need neither kopf nor the official client.
    if name == "check":
        from evs_operator.check import check

        return check
    from evs_operator.runtime.supervisor import run

    return run


def _in_loop(work: Coroutine[None, None, int], log_format: LogFormat, log_level: str) -> int:
    logs.configure(log_format, log_level, Redactor())
    gc.freeze()  # what was imported stays
    gc.set_threshold(_COLLECT_EVERY)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for every platform
        return None
    return uvloop.new_event_loop
