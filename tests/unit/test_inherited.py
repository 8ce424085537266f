"""`kubectl exec … evs-operator check` looks with the flags that the Deployment gave to the operator beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evs_operator import cli, inherited
from evs_operator.settings import Settings, settings_of

_IMAGE = ["/usr/bin/python3", "-m", "evs_operator", "run"]


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give what stands for /proc/1/cmdline."""
    monkeypatch.setattr(inherited, "_FIRST_PROCESS", tmp_path / "cmdline")
    return tmp_path / "cmdline"


def _settings(argv: list[str], beside: Path, *theirs: str, program: list[str] = _IMAGE) -> tuple[Settings, list[str]]:
    beside.write_bytes(b"".join(word.encode() + b"\0" for word in [*program, *theirs]))
    return _read(argv)


def _read(argv: list[str]) -> tuple[Settings, list[str]]:
    context = cli.cli.commands[argv[0]].make_context(argv[0], argv[1:])
    return settings_of(context.params), context.obj


def test_flags_that_are_not_typed_are_those_of_the_operator_in_the_container(beside: Path) -> None:
    theirs = ["--namespace=team-a", "--allow-endpoint", "https://evs.corp.example", "--http-address=:8080"]
    theirs += ["--leader-elect", "--no-default-endpoints"]
    settings, used = _settings(["check"], beside, *theirs)
    assert settings.namespaces == ("team-a",)
    assert settings.allow_endpoints == ("https://evs.corp.example",)
    assert (settings.leader_elect, settings.default_endpoints) == (True, False)
    assert used == [
        *("--namespace=team-a", "--allow-endpoint=https://evs.corp.example"),
        *("--no-default-endpoints", "--leader-elect"),
    ]


def test_what_is_typed_wins(beside: Path) -> None:
    theirs = ["--namespace=team-a", "--operator-namespace=ops", "--leader-elect"]
    settings, used = _settings(["check", "--namespace", "team-b", "--no-leader-elect"], beside, *theirs)
    assert (settings.namespaces, settings.operator_namespace, settings.leader_elect) == (("team-b",), "ops", False)
    assert used == ["--operator-namespace=ops"]


def test_a_flag_of_the_operator_wins_over_a_variable_as_it_does_for_the_operator(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVS_OPERATOR_NAMESPACE", "from-variable")
    monkeypatch.setenv("EVS_OPERATOR_LOG_LEVEL", "debug")
    settings, _ = _settings(["check"], beside, "--namespace=from-flag")
    assert (settings.namespaces, settings.log_level) == (("from-flag",), "debug")


def test_a_repeated_flag_is_taken_over_as_a_whole(beside: Path) -> None:
    settings, used = _settings(["check"], beside, "--namespace=a", "--namespace", "b")
    assert (settings.namespaces, used) == (("a", "b"), ["--namespace=a", "--namespace=b"])


def test_endpoints_lists_what_the_operator_in_the_container_allows(beside: Path) -> None:
    settings, _ = _settings(["endpoints"], beside, "--allow-endpoint=https://evs.corp.example", "--leader-elect")
    assert settings.allow_endpoints == ("https://evs.corp.example",)


@pytest.mark.parametrize("program", [["/usr/local/bin/evs-operator", "run"], _IMAGE])
def test_the_operator_is_known_by_either_way_to_start_it(beside: Path, program: list[str]) -> None:
    assert _settings(["check"], beside, "--namespace=team-a", program=program)[0].namespaces == ("team-a",)


@pytest.mark.parametrize(
    "program", [["/sbin/init"], ["/pause"], ["python3", "-m", "evs_operator", "check"], ["evs-operator"], []]
)
def test_beside_anything_else_nothing_is_taken_over(beside: Path, program: list[str]) -> None:
    settings, used = _settings(["check"], beside, "--namespace=team-a", program=program)
    assert (settings, used) == (Settings(), [])


def test_flags_of_another_version_are_passed_over(beside: Path) -> None:
    settings, _ = _settings(["check"], beside, "--namespace=team-a", "--of-a-newer-one=1")
    assert settings.namespaces == ("team-a",)


def test_where_there_is_no_first_process_to_be_read_nothing_is_taken_over(beside: Path) -> None:
    assert _read(["check"]) == (Settings(), [])


def test_flags_that_the_operator_itself_would_refuse_are_passed_over(beside: Path) -> None:
    assert _settings(["check"], beside, "--namespace=team-a", "--log-level")[1] == []
