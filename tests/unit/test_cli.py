"""The command line: exit codes, one-line errors, and what a command is started with."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine

import pytest

from evs_operator import __version__, cli
from evs_operator.observe import logs
from evs_operator.settings import Settings

Command = Callable[[Settings], Coroutine[None, None, int]]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("EVS_OPERATOR_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_: None)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Settings]]:
    """Commands that were started instead of the real ones, which answer with 7."""
    calls: list[tuple[str, Settings]] = []

    def command(name: str) -> Command:
        async def answer(settings: Settings) -> int:
            calls.append((name, settings))
            return 7

        return answer

    monkeypatch.setattr(cli, "_command", command)
    return calls


def exit_of(argv: list[str]) -> int:
    """Return the exit code, whether main returns it or argparse raises it."""
    try:
        return cli.main(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else -1


def test_the_exit_code_is_the_commands_own(started: list[tuple[str, Settings]]) -> None:
    assert exit_of(["run", "--namespace", "team-a"]) == 7
    assert exit_of(["check", "--log-level", "error"]) == 7
    assert started == [("run", Settings(namespaces=("team-a",))), ("check", Settings(log_level="error"))]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["run", "--bogus"], "--bogus"),
        (["run", "--bogus\nsecond line"], "--bogus second line"),
        (["run", "extra"], "extra"),
        (["run", "--log-lev", "info"], "--log-lev"),
        (["run", "--name=a"], "--name"),
        (["run", "--log-level"], "--log-level: expected one argument"),
        (["run", "--log-level", "loud"], "--log-level: 'loud' is not allowed: write debug, info, warning or error"),
        (["run", "--leader-elect=yes"], "--leader-elect"),
        (["check", "--http-address", ":8080"], "--http-address"),
        (["run", "--connection", "team-a/main"], "--connection"),
        (["check", "--connection", "a/b/c"], "--connection"),
        (["check", "--connection", "/main"], "--connection"),
        (["check", "--connection", "../main"], "--connection"),
        (["check", "--project", "eu-de_demo"], "--project"),
        (["endpoints", "--allow-endpoint", "evs.example.com"], "--allow-endpoint: 'evs.example.com' is not allowed"),
        (["endpoints", "--namespace", "a"], "--namespace"),
        (["chekc"], "chekc"),
        (["--bogus"], "--bogus"),
    ],
)
def test_wrong_use_is_one_line_on_stderr_and_exit_2(
    argv: list[str], says: str, capsys: pytest.CaptureFixture[str], started: list[tuple[str, Settings]]
) -> None:
    assert exit_of(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("evs-operator")
    assert err.endswith("\n")
    assert len(err.splitlines()) == 1
    assert says in err
    assert started == []


def test_a_wrong_variable_is_one_line_on_stderr_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], started: list[tuple[str, Settings]]
) -> None:
    monkeypatch.setenv("EVS_OPERATOR_HTTP_ADDRESS", "nowhere")
    assert exit_of(["run"]) == 2
    assert capsys.readouterr().err == (
        "evs-operator run: EVS_OPERATOR_HTTP_ADDRESS: 'nowhere' is not allowed: "
        "write HOST:PORT, :PORT or [IPv6]:PORT, with a port from 0 to 65535\n"
    )
    assert started == []


def test_wrong_use_never_repeats_a_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(["run", "--password=hunter2-hunter2"]) == 2
    assert "hunter2" not in capsys.readouterr().err


def test_without_a_command_the_help_is_shown_and_the_exit_code_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "run the operator" in err


def test_help_is_plain_ascii_so_that_every_terminal_can_show_it(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--help"], ["run", "--help"], ["check", "--help"], ["endpoints", "--help"]):
        assert exit_of(argv) == 0
    assert capsys.readouterr().out.isascii()


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(["--version"]) == 0
    assert capsys.readouterr().out == f"evs-operator {__version__}\n"


def test_commands_run_on_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    loops: list[str] = []

    async def look(settings: Settings) -> int:
        loops.append(type(asyncio.get_running_loop()).__module__)
        return 0

    monkeypatch.setattr(cli, "_command", lambda name: look)
    assert cli.main(["run"]) == 0
    assert loops == ["uvloop"]


def test_without_uvloop_commands_run_on_asyncio(
    monkeypatch: pytest.MonkeyPatch, started: list[tuple[str, Settings]]
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert cli.main(["run"]) == 7


def test_logging_is_set_up_before_a_command_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []

    async def work(settings: Settings) -> int:
        order.append("command")
        return 0

    monkeypatch.setattr(cli, "_command", lambda name: work)
    monkeypatch.setattr(logs, "configure", lambda log_format, level, redact: order.append((log_format, level)))
    assert cli.main(["check", "--log-format", "text", "--log-level", "debug"]) == 0
    assert order == [("text", "debug"), "command"]


def test_the_commands_are_those_of_the_engine_and_of_the_check() -> None:
    assert cli._command("run").__module__ == "evs_operator.runtime.supervisor"
    assert cli._command("check").__module__ == "evs_operator.check"
    assert logging.getLogger("evs_operator").handlers == []


_PROCESS = """
import asyncio, sys
from evs_operator import cli

async def work(settings):
    if sys.argv[1] == "fail":
        raise ValueError("token=0123456789abcdef went wrong")
    print("ready", flush=True)
    await asyncio.Event().wait()

cli._command = lambda name: work
sys.exit(cli.main(["run", "--log-level", "info"]))
"""


def test_ctrl_c_ends_with_130_and_without_a_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROCESS, "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


def test_an_unexpected_error_is_one_redacted_log_line_and_exit_1() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS, "fail"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert '"msg": "ended by an unexpected error: ValueError: token=*** went wrong"' in done.stderr


def test_the_module_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evs_operator", "--version"], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == f"evs-operator {__version__}\n"
