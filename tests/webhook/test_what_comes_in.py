"""Flags, queries, bodies, tokens and names: whatever is sent, it is understood or refused in words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from evs_operator.api.object_names import is_object_name
from evs_operator.flags import SettingsError
from evs_webhook import access, bodies, guard, jobs, openapi
from evs_webhook.access import caller_of
from evs_webhook.bodies import parsed, wanted_of
from evs_webhook.metrics import ROUTES, Metrics
from evs_webhook.problems import Problem
from evs_webhook.queries import check_path, read_query
from evs_webhook.settings import settings_of, webhook_flags
from support import command_line
from support.operator_process import ROOT
from support.webhook import JOB_ID

_PARAMETERS = ("name", "connection", "projectId", "deadlineSeconds", "ttlSecondsAfterFinished", "wait")
_DOCS = (ROOT / "docs" / "webhook.md").read_text(encoding="utf-8")


def _settings(*words: str, **environ: str) -> Any:
    return settings_of(command_line.read(webhook_flags(), words, environ))


def test_flags_win_over_variables_and_those_over_defaults() -> None:
    plain = _settings("--plain-http")
    assert (plain.listen, plain.max_wait_seconds, plain.max_waiters, plain.namespaces) == (("", 8443), 300, 1000, ())
    variables = {"EVS_OPERATOR_MAX_WAITERS": "7", "EVS_OPERATOR_NAMESPACE": "a,b", "EVS_OPERATOR_PLAIN_HTTP": "true"}
    assert _settings(**variables).max_waiters == 7
    assert _settings(**variables).namespaces == ("a", "b")
    assert _settings("--max-waiters", "9", **variables).max_waiters == 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "write --tls-cert-file and --tls-key-file, or --plain-http"),
        (("--tls-cert-file", __file__), "write --tls-cert-file and --tls-key-file"),
        (("--tls-cert-file", "/no/such", "--tls-key-file", __file__), "--tls-cert-file: '/no/such' is not allowed"),
        (("--plain-http", "--tls-key-file", __file__), "--plain-http: leave out"),
        (("--plain-http", "--max-wait-seconds", "0"), "a whole number from 1 to 3600"),
        (("--plain-http", "--max-waiters", "many"), "--max-waiters: 'many' is not allowed"),
        (("--plain-http", "--listen", "8443"), "--listen: '8443' is not allowed"),
    ],
)
def test_a_wrong_flag_is_one_line_that_names_it(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        _settings(*words)


def test_every_flag_and_every_limit_is_documented() -> None:
    rows = [line.split(" | ")[0] for line in _DOCS.splitlines() if line.startswith("| `--")]
    documented = {flag for row in rows for flag in re.findall(r"--[a-z-]+", row)}
    assert documented == command_line.names(webhook_flags())
    assert f"{jobs.MOST_LISTED:,}" in _DOCS
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    said = page[page.index("## The webhook") : page.index("## Not defended against")]
    for figure in (
        f"{bodies.MOST_BYTES // 1024**2} MiB",
        f"{bodies.MOST_LEVELS} levels",
        f"408 after {bodies.SECONDS:.0f} s",
        f"{bodies.SMALL // 1024} KiB",
        f"{guard.MOST_HEAD // 1024} KiB",
        f"more than {guard.QUIET:.0f} s",
    ):
        assert figure in said


def test_every_status_of_the_description_is_explained_to_people() -> None:
    codes = {
        code
        for path in openapi.document()["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
        for code in operation["responses"]
    }
    assert {code for code in codes if code >= "400"} == set(re.findall(r"^\| ([45]\d\d) \|", _DOCS, re.MULTILINE))


def test_the_reference_names_every_metric_with_its_labels() -> None:
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(evs_operator_webhook_\w+)(?:\{([\w, ]+)\})?`", reference, re.MULTILINE)
    metrics = Metrics(lambda: 3)
    metrics.answered("get", 200, 0.1, waited=False)
    served = {
        (
            family.name + ("_total" if family.type == "counter" else ""),
            frozenset(name for s in family.samples for name in s.labels) - {"le"},
        )
        for family in metrics.registry.collect()
        if family.name.startswith("evs_operator_")
    }
    assert {(name, frozenset(filter(None, labels.split(", ")))) for name, labels in rows} == served
    assert all(f"`{route}`" in reference for route in ROUTES)


@given(st.binary(max_size=60))
def test_no_query_makes_it_stumble(query: bytes) -> None:
    try:
        found = read_query(query, _PARAMETERS)
        found.wait(300), found.connection(), found.number("deadlineSeconds")
    except Problem as problem:
        assert problem.status == 400  # noqa: PT017  # raised or not


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("30", 30), ("30s", 30), ("2m", 120), ("5m", 300), ("999999m", 300), ("301", 300)]
)
def test_a_wait_is_in_seconds_or_minutes_and_bounded(text: str, seconds: float) -> None:
    assert read_query(f"wait={text}".encode(), ("wait",)).wait(300) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1h", "1.5", " 1", "1 ", "٣", "+5", "1e3", "9999999"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="write 30s, 5m or a number of seconds"):
        read_query(f"wait={quote(text)}".encode(), ("wait",)).wait(300)


@given(st.text(max_size=80), st.text(max_size=300))
def test_a_name_that_passes_is_one_segment_of_a_path(namespace: str, name: str) -> None:
    try:
        check_path(namespace, name, ())
    except Problem as problem:
        assert problem.status == 400  # noqa: PT017  # raised or not
    else:
        assert re.fullmatch(r"[a-z0-9.-]+", namespace + name)
        assert ".." not in name


def test_a_namespace_that_is_not_served_is_404() -> None:
    check_path("team-a", "a", ("team-a", "team-b"))
    with pytest.raises(Problem, match="is not served by this webhook") as refused:
        check_path("team-c", "a", ("team-a", "team-b"))
    assert refused.value.status == 404


@given(st.lists(st.text(alphabet=st.characters(max_codepoint=255), max_size=40), max_size=3))
def test_a_token_that_passes_is_one_word_of_its_alphabet(values: list[str]) -> None:
    headers = Headers(raw=[(b"authorization", value.encode("latin-1")) for value in values])
    try:
        token = caller_of(headers).token
    except Problem as problem:
        assert (problem.status, "WWW-Authenticate" in problem.headers) == (401, True)  # noqa: PT017  # raised or not
    else:
        assert re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token)
        assert token not in repr(caller_of(headers))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
_KEYS = st.sampled_from(["job_id", "apiVersion", "kind", "metadata", "spec", "status", "order_id"])
_LIKELY = (
    _JSON
    | st.sampled_from([JOB_ID, "evs-operator.dev/v1alpha1", "EvsJob"])
    | st.fixed_dictionaries({"jobId": st.just(JOB_ID)})
)


@given(st.dictionaries(_KEYS, _LIKELY, max_size=6), st.sampled_from([b"", b"name=a", b"connection=cluster/b"]))
def test_a_body_is_one_evsjob_of_this_namespace_or_refused(body: dict[str, Any], query: bytes) -> None:
    try:
        wanted = wanted_of(parsed(json.dumps(body).encode()), "team-a", read_query(query, _PARAMETERS))
    except Problem as problem:
        assert problem.status == 400  # noqa: PT017  # raised or not
        return
    made = json.loads(wanted.content)
    assert (made["kind"], made["apiVersion"]) == ("EvsJob", "evs-operator.dev/v1alpha1")
    assert made["metadata"]["namespace"] == "team-a"
    assert is_object_name(made["metadata"]["name"])
    assert made["metadata"]["name"] == wanted.name


def test_the_same_limits_hold_for_a_token_and_for_the_head_that_it_is_in() -> None:
    longest = re.search(r"\{1,(\d+)\}", access._AUTHORIZATION.pattern)
    assert longest is not None
    assert int(longest[1]) < guard.MOST_HEAD


def test_the_run_command_never_imports_the_webhook() -> None:
    code = (
        "import sys; from evs_operator import cli; assert cli.main(['run', '--help']) == 0\n"
        "import evs_operator.runtime.supervisor\n"
        "assert not {'evs_webhook', 'starlette', 'uvicorn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(ROOT), stdout=subprocess.DEVNULL)
