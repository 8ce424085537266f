"""The command line: `evs-operator run`, `check`, `endpoints` and `webhook`.

Called by the console script and by `python -m evs_operator`. click reads the words and says what is to be done; it is
done outside of click, which would take an error of a command for one of its own. Exit codes: 2 for wrong flags or
variables, with one line on stderr; 130 after Ctrl-C; else what the command returns. Logging is set up before the
command starts, so that nothing goes to stderr past the redactor. What goes wrong later is the commands' own to say.
What a command needs is imported when it is the command: help, completion and a wrong flag need none of it. The webhook
is another package: nothing of it is imported for `run`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from evs_operator import __version__

from .common_flags import LogFormat
from .flags import Command, SettingsError
from .inherited import InheritingCommand
from .settings import Settings, check_flags, endpoint_flags, run_flags, settings_of

if TYPE_CHECKING:
    import asyncio

_PROGRAM: Final = "evs-operator"
_HELP: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_WRONG_USE: Final = 2
_INTERRUPTED: Final = 130
_COLLECT_EVERY: Final = 10_000
"""New objects after which Python looks for cycles, of which we make few; by itself it does every 700."""

_Work = Callable[[], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        work = cli.main(argv, prog_name=_PROGRAM, standalone_mode=False)
        return work() if callable(work) else int(work or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return _WRONG_USE
    except click.UsageError as error:
        return _refused(error)
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED


def _refused(error: click.UsageError) -> int:
    from evs_operator.redact.redactor import Redactor

    command = error.ctx.command_path if error.ctx else _PROGRAM
    line = Redactor()(" ".join(error.format_message().split()))[:500]  # what was typed may hold a password
    more = "" if isinstance(error, SettingsError) else f"; see {command} --help"
    print(f"{command}: {line.removesuffix('.')}{more}", file=sys.stderr)  # noqa: T201  # the command's answer
    return _WRONG_USE


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, "webhook"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _webhook() if cmd_name == "webhook" else super().get_command(ctx, cmd_name)


@click.group(
    cls=_Commands,
    context_settings=_HELP,
    epilog="Every flag has a variable, as EVS_OPERATOR_LOG_LEVEL is --log-level; lists are separated by commas.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Follow jobs of Elastic Volume Service (EVS) in Kubernetes."""


@cli.command("run", cls=Command, params=run_flags())
def _run(**given: Any) -> _Work:
    """Run the operator."""
    return _work("run", settings_of(given))


@cli.command("check", cls=InheritingCommand, params=check_flags())
@click.pass_obj
def _check(inherited: list[str], /, **given: Any) -> _Work:
    """Check whether everything is in place to run."""
    settings = settings_of(given)
    _note(inherited)
    return _work("check", settings)


@cli.command("endpoints", cls=InheritingCommand, params=endpoint_flags())
@click.pass_obj
def _endpoints(inherited: list[str], /, **given: Any) -> _Work:
    """List the endpoints that connections may name."""
    return partial(_list_endpoints, settings_of(given))


def _webhook() -> click.Command:
    from evs_webhook.settings import settings_of, webhook_flags

    def serve(**given: Any) -> _Work:
        settings = settings_of(given)
        try:
            from evs_webhook.server import run
        except ModuleNotFoundError as error:
            raise SettingsError(f"{error.name} is not installed: pip install 'evs-operator[webhook]'") from None
        return lambda: _in_loop(run(settings), settings.log_format, settings.log_level)

    return Command(
        "webhook", params=[*webhook_flags()], callback=serve, help="Serve HTTP for senders outside the cluster."
    )


def _note(inherited: list[str]) -> None:
    if inherited:
        print(f"note  flags of the operator in this container: {' '.join(inherited)}")  # noqa: T201  # part of the answer


def _list_endpoints(settings: Settings) -> int:
    from .introduction import endpoint_lines

    lines = endpoint_lines(settings)
    for line in lines:
        print(line)  # noqa: T201  # the command's answer
    if not lines:
        print("no endpoint is allowed: name them with --allow-endpoint", file=sys.stderr)  # noqa: T201  # the answer
    return 0


def _work(name: str, settings: Settings) -> _Work:
    return lambda: _in_loop(_command(name)(settings), settings.log_format, settings.log_level)


def _command(name: str) -> Callable[[Settings], Coroutine[None, None, int]]:
    if name == "check":
        from evs_operator.check import check

        return check
    from evs_operator.runtime.supervisor import run

    return run


def _in_loop(work: Coroutine[None, None, int], log_format: LogFormat, log_level: str) -> int:
    import asyncio
    import gc

    from .observe import logs
    from .redact.redactor import Redactor

    logs.configure(log_format, log_level, Redactor())
    gc.freeze()  # what was imported stays
    gc.set_threshold(_COLLECT_EVERY)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for every platform
        return None
    return uvloop.new_event_loop
