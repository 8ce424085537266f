"""The command line: what each command takes, and nothing of what it does.

`main` turns every end into an exit code and at most one line on stderr. The modules that do the work are imported when
their command runs, so that `--help` and completion answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from .errors import USAGE, PluginError
from .flags import Command, Pair, States, WholeSeconds, cluster_flags, output_flags, selection_flags, wait_flags

if TYPE_CHECKING:
    from .selection import Selection
    from .session import Session
    from .waiting import Patience

PROGRAM: Final = "kubectl evsjob"
_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_INTERRUPTED: Final = 130
_PIPE_CLOSED: Final = 141
_CODES: Final = """\b
Exit codes of a wait:
  0    all complete
  1    at least one failed, and all have ended
  2    could not be done as asked: flags, permission, no cluster
  3    a person must act, for 10 seconds already
  4    not found, or deleted meanwhile
  124  time over
  130  Ctrl-C"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code of the process."""
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else PROGRAM
        return _complain(f"{error.format_message()} (see: {command} --help)", USAGE)
    except click.ClickException as error:
        return _complain(error.format_message(), USAGE)
    except PluginError as error:
        return _complain(error.line, error.code)
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except BrokenPipeError:
        _give_up(sys.stdout, sys.stderr)
        return _PIPE_CLOSED
    except OSError as error:
        _give_up(sys.stdout)
        return _complain(f"the output cannot be written: {error.strerror}", USAGE)


def _run(arguments: Sequence[str]) -> int:
    """Run a command. Not by `cli.main`, which ends with 1 if a pipe is closed: for a wait a failed job."""
    try:
        with cli.make_context(PROGRAM, list(arguments)) as context:
            code = cli.invoke(context)
            return code if isinstance(code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code


def _give_up(*streams: TextIO) -> None:
    """Send what is still to be written nowhere, so that the end of the process does not stumble over it."""
    for stream in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _complain(line: str, code: int) -> int:
    from .look import is_unicode
    from .text import harmless

    text = harmless(line)
    if not is_unicode(sys.stderr, os.environ):
        text = text.encode("ascii", "replace").decode()
    print(f"error: {text}", file=sys.stderr)
    return code


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from evs_operator import __version__

        click.echo(__version__)
        context.exit()


@click.group(epilog=_CODES, context_settings=_SETTINGS)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@cluster_flags
def cli(**flags: Any) -> None:
    """Follow jobs of Elastic Volume Service: create EvsJobs, wait for them, see why they failed."""


def _names(command: Command) -> Command:
    return click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_complete_names)(command)


def _complete_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from .completion import names

    given = set(context.params.get("names") or ())
    return [name for name in names(_session(context)) if name.startswith(incomplete) and name not in given]


@cli.command("create", short_help="Make the EvsJob for a job id or for the cloud's answer.")
@click.argument("name", required=False)
@click.option("--job-id", metavar="ID", help="The id of the job.")
@click.option(
    "-f", "--filename", "file", metavar="FILE", help="The cloud's answer, a JSON object with job_id; - is stdin."
)
@click.option("--connection", metavar="NAME", help="The EvsConnection; cluster/NAME for a ClusterEvsConnection.")
@click.option("--project-id", metavar="ID", help="The project of the job; default: that of the connection.")
@click.option("--deadline", type=WholeSeconds(), help="When a job that has not ended needs a person.")
@click.option("--ttl", type=WholeSeconds(), help="How long after its end the EvsJob is deleted; default: never.")
@click.option("--label", "labels", type=Pair(), multiple=True, help="A label; may be repeated.")
@click.option("--annotation", "annotations", type=Pair(), multiple=True, help="An annotation; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Print what would be made, and send nothing.")
@click.option("--wait", "waits", is_flag=True, help="Go on as `wait` does.")
@wait_flags
@cluster_flags
@output_flags
@click.pass_context
def create(context: click.Context, /, **given: Any) -> int:
    """Make an EvsJob for a job id, or for the answer of the cloud that names one.

    Without NAME it is called as the job, in lower case: made twice it is one EvsJob, and the second time `unchanged`.
    """
    from .creating import Order
    from .creating import create as run

    if (given["job_id"] is None) == (given["file"] is None):
        raise click.UsageError("give a --job-id, or the cloud's answer with -f FILE", context)
    order = Order(
        name=given["name"],
        job_id=given["job_id"],
        file=given["file"],
        connection=given["connection"],
        project_id=given["project_id"],
        deadline=given["deadline"],
        ttl=given["ttl"],
        labels=dict(given["labels"]),
        annotations=dict(given["annotations"]),
    )
    patience = _patience(given) if given["waits"] else None
    return run(_session(context), order, dry_run=given["dry_run"], patience=patience)


@cli.command("get", short_help="Show EvsJobs: state, progress, duration, message.")
@_names
@click.option(
    "--state", "states", type=States(), default=(), help="Only those of these states, such as failed,pending."
)
@click.option("-w", "--watch", is_flag=True, help="Go on with what changes.")
@selection_flags
@cluster_flags
@output_flags
@click.pass_context
def get(context: click.Context, /, **given: Any) -> int:
    """Show EvsJobs: the named ones, those with some labels, or all of the namespace."""
    from evs_operator.api import JobState

    from .getting import get as run

    states = {state for state in JobState if state.lower() in [word.replace("-", "") for word in given["states"]]}
    return run(_session(context), _selection(given, needed=False), states, watch=given["watch"])


@cli.command("wait", epilog=_CODES, short_help="Wait until each EvsJob has ended, and show its sub-jobs.")
@_names
@wait_flags
@selection_flags
@cluster_flags
@output_flags
@click.pass_context
def wait(context: click.Context, /, **given: Any) -> int:
    """Wait until each EvsJob has ended.

    On a terminal a tree with the sub-jobs is drawn over itself, elsewhere each change is a line on stderr. The result
    comes to stdout at the end.
    """
    from .waiting import wait as run

    return run(_session(context), _selection(given), _patience(given))


@cli.command("explain", short_help="Say what happened, why, and what to do next.")
@_names
@selection_flags
@cluster_flags
@output_flags
@click.pass_context
def explain(context: click.Context, /, **given: Any) -> int:
    """Say what happened to an EvsJob, why, and what to do next, as commands."""
    from .explaining import explain as run

    return run(_session(context), _selection(given))


@cli.command("timeline", short_help="Show what happened in order.")
@_names
@selection_flags
@cluster_flags
@output_flags
@click.pass_context
def timeline(context: click.Context, /, **given: Any) -> int:
    """Show what happened to an EvsJob in order, with times since the start."""
    from .timeline import timeline as run

    return run(_session(context), _selection(given))


@cli.command("reconcile", short_help="Have the operator ask for the job now.")
@_names
@click.option("--wait", "waits", is_flag=True, help="Wait until the operator has asked.")
@wait_flags
@selection_flags
@cluster_flags
@output_flags
@click.pass_context
def reconcile(context: click.Context, /, **given: Any) -> int:
    """Have the operator ask the cloud for the job now, also if it has ended."""
    from .changing import reconcile as run

    return run(_session(context), _selection(given), _patience(given) if given["waits"] else None)


@cli.command("suspend", short_help="Have the operator not ask for the job until it is resumed.")
@_names
@selection_flags
@cluster_flags
@output_flags
@click.pass_context
def suspend(context: click.Context, /, **given: Any) -> int:
    """Have the operator not ask the cloud for the job until it is resumed; the job itself goes on."""
    from .changing import suspend as run

    return run(_session(context), _selection(given), suspended=True)


@cli.command("resume", short_help="Have the operator ask for a suspended job again.")
@_names
@selection_flags
@cluster_flags
@output_flags
@click.pass_context
def resume(context: click.Context, /, **given: Any) -> int:
    """Have the operator ask the cloud for a suspended job again."""
    from .changing import suspend as run

    return run(_session(context), _selection(given), suspended=False)


def _session(context: click.Context) -> Session:
    """Return the session by the flags of the command, and those before it."""
    from .session import session_of

    given, before = context.params, context.find_root().params
    cluster = {name: given.get(name) or before.get(name) for name in ("namespace", "context", "kubeconfig")}
    return session_of(
        **cluster,
        everywhere=bool(given.get("all_namespaces")),
        colour=given.get("colour") or "auto",
        output=given.get("output"),
        headers=not given.get("no_headers"),
    )


def _selection(given: dict[str, Any], *, needed: bool = True) -> Selection:
    from .selection import selection_of

    return selection_of(given["names"], given["selector"], given["all_namespaces"], needed=needed)


def _patience(given: dict[str, Any]) -> Patience:
    from .waiting import Patience

    return Patience(timeout=given["timeout"], keep_waiting=given["keep_waiting"], quiet=given["quiet"])
