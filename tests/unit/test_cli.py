"""The command line: exit codes, one-line errors, and what a command is started with."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from evs_operator import __version__, cli
from evs_operator.observe import logs
from evs_operator.settings import Settings

Command = Callable[[Settings], Coroutine[None, None, int]]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("EVS_OPERATOR_"):
            monkeypatch.delenv(name)


def _command_of(name: str) -> click.Command:
    found = cli.cli.get_command(click.Context(cli.cli), name)
    assert found is not None
    return found


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


def test_the_exit_code_is_the_commands_own(started: list[tuple[str, Settings]]) -> None:
    assert cli.main(["run", "--namespace", "team-a"]) == 7
    assert cli.main(["check", "--log-level", "error"]) == 7
    assert started == [("run", Settings(namespaces=("team-a",))), ("check", Settings(log_level="error"))]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["run", "--bogus"], "--bogus"),
        (["run", "--bogus\nsecond line"], r"'--bogus\nsecond line'"),
        (["check", "--bogus"], "--bogus"),
        (["run", "extra"], "extra"),
        (["run", "--log-lev", "info"], "--log-lev"),
        (["run", "--name=a"], "--name"),
        (["run", "--log-level"], "run: Option '--log-level' requires an argument; see evs-operator run --help"),
        (["check", "--as"], "check: Option '--as' requires an argument; see evs-operator check --help"),
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
        (["webhook", "--bogus"], "--bogus"),
        (["webhook"], "write --tls-cert-file and --tls-key-file"),
        (["chekc"], "chekc"),
        (["--bogus"], "--bogus"),
    ],
)
def test_wrong_use_is_one_line_on_stderr_and_exit_2(
    argv: list[str], says: str, capsys: pytest.CaptureFixture[str], started: list[tuple[str, Settings]]
) -> None:
    assert cli.main(argv) == 2
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
    assert cli.main(["run"]) == 2
    assert capsys.readouterr().err == (
        "evs-operator run: EVS_OPERATOR_HTTP_ADDRESS: 'nowhere' is not allowed: "
        "write HOST:PORT, :PORT or [IPv6]:PORT, with a port from 0 to 65535\n"
    )
    assert started == []


def test_wrong_use_never_repeats_a_password(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["--password=hunter2-hunter2"],
        ["password=hunter2-hunter2"],
        ["--log-level=password=hunter2-hunter2"],
    ):
        assert cli.main(["run", *words]) == 2
        assert "hunter2" not in capsys.readouterr().err


def test_without_a_command_the_help_is_shown_and_the_exit_code_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Run the operator." in err


def test_help_is_plain_ascii_so_that_every_terminal_can_show_it(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["run"], ["check"], ["endpoints"], ["webhook"]):
        assert cli.main([*argv, "--help"]) == 0
    assert capsys.readouterr().out.isascii()


@pytest.mark.parametrize("command", ["run", "check", "endpoints", "webhook"])
def test_the_help_shows_each_flag_with_its_variable(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    flags = [flag for flag in re.findall(r" (--[a-z-]+)[^\[]*\[env", text) if flag != "--help"]
    told = re.findall(r"\[env var: (EVS_OPERATOR_[A-Z_]+)", text)
    assert told == ["EVS_OPERATOR_" + flag.lstrip("-").replace("-", "_").upper() for flag in flags]
    assert len(told) == len(_command_of(command).params)


def test_the_help_shows_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for flag, default in (("LOG_LEVEL", "info"), ("HTTP_ADDRESS", ":8080"), ("NAMESPACE", "(all)")):
        assert f"EVS_OPERATOR_{flag}; default: {default}]" in text


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["run", "--log-level", "loud"]])
def test_help_and_a_wrong_flag_wait_for_nothing_that_takes_long_to_load(words: list[str]) -> None:
    heavy = {"aiohttp", "asyncio", "httpx", "kopf", "kubernetes", "uvloop", "yaml"}
    code = (
        f"import sys; from evs_operator import cli; cli.main({words!r}); sys.exit(bool({heavy!r} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ([""], ["run", "check", "endpoints", "webhook"]),
        (["run", "--log-l"], ["--log-level"]),
        (["run", "--log-level", "w"], ["warning"]),
        (["check", "--allow-auth", ""], ["oidc", "instanceMetadata"]),
        (["webhook", "--max-wait-"], ["--max-wait-seconds"]),
    ],
)
def test_a_shell_completes_commands_flags_and_words(words: list[str], completed: list[str]) -> None:
    complete = ShellComplete(cli.cli, {}, "evs-operator", "_EVS_OPERATOR_COMPLETE")
    assert [item.value for item in complete.get_completions(words[:-1], words[-1])] == completed


def test_a_wrong_variable_does_not_keep_a_shell_from_completing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVS_OPERATOR_LOG_LEVEL", "loud")
    test_a_shell_completes_commands_flags_and_words(["run", "--log-l"], ["--log-level"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_line_gives_a_shell_what_it_needs_to_complete(shell: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert f"_EVS_OPERATOR_COMPLETE={shell}_source evs-operator" in page
    code = "import sys; from evs_operator import cli; sys.exit(cli.main([]))"
    variables = {**os.environ, "_EVS_OPERATOR_COMPLETE": f"{shell}_source"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables, check=False)
    assert (done.returncode, "_EVS_OPERATOR_COMPLETE" in done.stdout) == (0, True)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
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
import asyncio, builtins, sys
from evs_operator import cli

async def work(settings):
    if sys.argv[1] == "fail":
        raise getattr(builtins, sys.argv[2])("token=0123456789abcdef went wrong")
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


@pytest.mark.parametrize("error", ["ValueError", "EOFError", "BrokenPipeError"])
def test_an_unexpected_error_is_one_redacted_log_line_and_exit_1(error: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS, "fail", error], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f'"msg": "ended by an unexpected error: {error}: token=*** went wrong"' in done.stderr


def test_the_module_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evs_operator", "--version"], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == f"evs-operator {__version__}\n"
