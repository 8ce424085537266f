"""What an operator says of itself: the first line of its log, and `evs-operator endpoints`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evs_operator import __version__, cli
from evs_operator.introduction import endpoint_lines, introduction
from evs_operator.settings import Settings

_DEFAULTS = "T Cloud Public (EVS and IAM below otc.t-systems.com, sc.otc.t-systems.com), "
_DEFAULTS += "Huawei Cloud (EVS and IAM below myhuaweicloud.com, myhuaweicloud.eu)"
_NOBODY = """
apiVersion: v1
kind: Config
current-context: it
clusters: [{name: it, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: it, user: {token: not-a-token-of-anybody}}]
contexts: [{name: it, context: {cluster: it, user: it}}]
"""


def test_the_introduction_of_an_operator_with_defaults_names_both_clouds() -> None:
    assert introduction(Settings(), {}) == (
        f"evs-operator {__version__}: namespaces: all; endpoints: {_DEFAULTS}; switched on: nothing"
    )


def test_the_introduction_names_what_flags_and_variables_add() -> None:
    settings = Settings(
        namespaces=("team-a", "team-b"),
        allow_endpoints=("https://evs.corp.example",),
        default_endpoints=False,
        allow_auth=("oidc",),
        leader_elect=True,
    )
    assert introduction(settings, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"}) == (
        f"evs-operator {__version__}: namespaces: team-a, team-b; endpoints: https://evs.corp.example; "
        "switched on: leader election, tracing, auth.oidc"
    )


def test_an_operator_that_may_call_nobody_says_so() -> None:
    assert "endpoints: none, so that no connection works;" in introduction(Settings(default_endpoints=False), {})


def test_the_first_line_of_the_log_is_the_introduction(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(_NOBODY)
    flags = ["--kubeconfig", str(tmp_path / "kubeconfig"), "--namespace", "team-a", "--leader-elect"]
    flags += ["--http-address", "127.0.0.1:0", "--allow-endpoint", "https://*.corp.example"]
    with subprocess.Popen(
        [sys.executable, "-m", "evs_operator", "run", *flags],
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
    ) as process:
        assert process.stderr is not None
        try:
            first = json.loads(process.stderr.readline())
        finally:
            process.terminate()
    assert first["level"] == "info"
    assert first["msg"] == (
        f"evs-operator {__version__}: namespaces: team-a; endpoints: {_DEFAULTS}, https://*.corp.example; "
        "switched on: leader election"
    )


def test_each_endpoint_is_a_line_that_says_why_it_is_allowed() -> None:
    lines = endpoint_lines(Settings(allow_endpoints=("http://127.0.0.1:8080",)))
    assert lines[0].split(maxsplit=1) == ["https://evs.REGION.otc.t-systems.com", "by default: T Cloud Public"]
    assert lines[-1].split(maxsplit=1) == ["http://127.0.0.1:8080", "named with --allow-endpoint"]
    assert len({line.index(line.split(maxsplit=1)[1]) for line in lines}) == 1
    assert not [line for line in lines if "orange" in line or "sber" in line]


def test_endpoints_lists_what_flags_and_variables_allow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVS_OPERATOR_ALLOW_ENDPOINT", "https://evs.corp.example,https://*.corp.example")
    monkeypatch.setenv("EVS_OPERATOR_NO_DEFAULT_ENDPOINTS", "true")
    assert cli.main(["endpoints"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "https://evs.corp.example",
        "https://*.corp.example",
    ]
    assert cli.main(["endpoints", "--allow-endpoint", "https://evs.example.com"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["https://evs.example.com"]


def test_endpoints_says_on_stderr_where_nothing_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["endpoints", "--no-default-endpoints"]) == 0
    assert capsys.readouterr() == ("", "no endpoint is allowed: name them with --allow-endpoint\n")


def test_the_page_about_connections_shows_what_endpoints_prints() -> None:
    page = (Path(__file__).parents[2] / "docs" / "connections.md").read_text(encoding="utf-8")
    assert "\n".join(["```console", "$ evs-operator endpoints", *endpoint_lines(Settings()), "```"]) in page
