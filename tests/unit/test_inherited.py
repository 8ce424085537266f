"""`kubectl exec … evs-operator check` looks with the flags that the Deployment gave to the operator beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evs_operator import cli
from evs_operator.inherited import inherit
from evs_operator.settings import Settings, read_settings

_IMAGE = ["/usr/bin/python3", "-m", "evs_operator", "run"]


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """Give what stands for /proc/1/cmdline."""
    return tmp_path / "cmdline"


def _settings(argv: list[str], beside: Path, *theirs: str, program: list[str] = _IMAGE) -> tuple[Settings, list[str]]:
    beside.write_bytes(b"".join(word.encode() + b"\0" for word in [*program, *theirs]))
    flags = cli._parser().parse_args(argv)
    used = inherit(flags, beside)
    return read_settings(flags, {}), used


def test_flags_that_are_not_typed_are_those_of_the_operator_in_the_container(beside: Path) -> None:
    theirs = ["--namespace=team-a", "--allow-endpoint", "https://evs.corp.example", "--http-address=:8080"]
    theirs += ["--leader-elect", "--no-default-endpoints"]
    settings, used = _settings(["check"], beside, *theirs)
    assert settings.namespaces == ("team-a",)
    assert settings.allow_endpoints == ("https://evs.corp.example",)
    assert (settings.leader_elect, settings.default_endpoints) == (True, False)
    assert used == theirs


def test_what_is_typed_wins(beside: Path) -> None:
    settings, _ = _settings(
        ["check", "--namespace", "team-b"], beside, "--namespace=team-a", "--operator-namespace=ops"
    )
    assert (settings.namespaces, settings.operator_namespace) == (("team-b",), "ops")


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
    assert (settings, used) == (read_settings(cli._parser().parse_args(["check"]), {}), [])


def test_flags_of_another_version_are_passed_over(beside: Path) -> None:
    settings, _ = _settings(["check"], beside, "--namespace=team-a", "--of-a-newer-one=1")
    assert settings.namespaces == ("team-a",)


def test_where_there_is_no_first_process_to_be_read_nothing_is_taken_over(tmp_path: Path) -> None:
    assert inherit(cli._parser().parse_args(["check"]), tmp_path / "nothing") == []
