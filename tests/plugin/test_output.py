"""What the plugin prints, as rules over all texts, widths and states; no process is needed for it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from evs_operator import api
from kubectl_evsjob.advice import next_steps
from kubectl_evsjob.completion import completions
from kubectl_evsjob.documents import document
from kubectl_evsjob.durations import age, precise, seconds_of
from kubectl_evsjob.explanation import Explanation
from kubectl_evsjob.happenings import Connection, Events
from kubectl_evsjob.look import Look
from kubectl_evsjob.model import row_of
from kubectl_evsjob.table import table
from kubectl_evsjob.text import crop, harmless, width
from kubectl_evsjob.timeline import happened
from kubectl_evsjob.tree import tree
from support.plugin import FakeCluster

_ROOT = Path(__file__).parents[2]
_GOLDEN = sorted((_ROOT / "tests" / "golden" / "states").glob("*.json"))
_NOW = datetime(2026, 2, 3, 9, 16, 0, tzinfo=UTC)
_LOOKS = (Look(), Look(unicode=True, colour=True))
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def _objects() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in _GOLDEN]


@given(_ANY)
@example({"x" * 2000: [{"ä" * 200: {"a": [1]}}, []], "ä" * 200: {}, "b": {"ä" * 200: "c"}})
@example([[["a"], {}], [], {"a": [[]]}])
def test_yaml_says_what_json_says(value: Any) -> None:
    text = document(value, "yaml")
    assert yaml.safe_load(text) == json.loads(document(value, "json"))
    assert all(" " <= letter <= "~" or letter == "\n" for letter in text)


@pytest.mark.parametrize(
    "text", ["yes", "1", "0x1f", "1e3", "null", "~", "a: b", "- a", "2026-02-03", "12:30", "=", ""]
)
def test_a_text_that_yaml_would_read_as_something_else_is_quoted(text: str) -> None:
    assert yaml.safe_load(document({text: [text, {text: text}]}, "yaml")) == {text: [text, {text: text}]}


@given(st.text(max_size=60), st.integers(0, 30))
def test_a_cropped_text_is_never_wider_than_it_may_be(text: str, columns: int) -> None:
    clean = harmless(text)
    assert clean.isprintable()
    assert width(crop(clean, columns, "…")) <= columns
    assert crop(clean, width(clean), "…") == clean


@pytest.mark.parametrize("columns", [1, 8, 20, 40, 80, 100, 200])
def test_no_line_of_a_table_or_tree_is_wider_than_the_terminal(columns: int) -> None:
    look = Look(unicode=True)
    rows = [row_of(obj, _NOW, look) for obj in _objects()]
    lines = tree(rows, look, width=columns)
    for wide in (True, False):
        lines += table(rows, look, width=columns, wide=wide, namespaces=wide, headers=True)
    assert max(map(width, lines)) <= columns


@pytest.mark.parametrize("height", [1, 2, 5, 23, 100])
def test_a_tree_is_never_higher_than_the_terminal(height: int) -> None:
    look = Look()
    rows = [row_of(obj, _NOW, look) for obj in _objects()]
    for number in (1, 2, 7, len(rows)):
        lines = tree(rows[:number], look, width=80, height=height)
        assert 1 <= len(lines) <= height


@pytest.mark.parametrize("path", _GOLDEN, ids=lambda path: path.stem)
def test_every_state_is_explained_with_what_to_do_next_and_has_a_timeline(path: Path) -> None:
    obj = json.loads(path.read_text())
    explanation = Explanation(obj, Connection("EvsConnection default", "ready"), Events(), _NOW)
    for look in _LOOKS:
        text = "\n".join(explanation.lines(look, 80))
        assert api.state(obj) is api.JobState.COMPLETE or "\nNext\n" in text
        assert obj["metadata"]["name"] in text
    steps = next_steps(obj)
    assert steps
    assert all(command.startswith(("kubectl ", "evs-operator ")) for _, command in steps if command)
    assert json.loads(json.dumps(explanation.value()))["state"] == api.state(obj).value
    entries = happened(obj, Events())
    assert entries == sorted(entries, key=lambda entry: entry.at)
    assert entries


def test_a_failed_batch_is_explained_by_code_hint_and_volume() -> None:
    obj = json.loads((_ROOT / "tests" / "golden" / "states" / "job-failed-batch.json").read_text())
    lines = list(Explanation(obj, Connection("EvsConnection default", "ready"), Events(), _NOW).lines(Look(), None))
    assert lines[0] == "x job-failed-batch has failed"
    assert "  EVS.1042 volume gigabytes exceeded volume gigabytes quota! (Quota)" in lines
    assert any("Raise the quota of the project for gigabytes" in line for line in lines)
    assert "Failed sub-jobs: 1 of 2" in lines


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1d", 86400), ("1.5s", 1.5), ("0", 0)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "10 m", "1x", "m", "1h30", "١٠s", "1e3"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"^.*$") as error:
        seconds_of(text)
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (252, "4m12s"), (12000, "3h20m"), (187200, "2d4h"), (3.6e6, "41d")]
)
def test_an_age_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(31.09, "31.1s"), (65, "1m5.0s"), (3600, "1h0m0.0s"), (-1, "0.0s")])
def test_a_precise_duration_is_written_as_in_the_status(seconds: float, text: str) -> None:
    assert precise(seconds) == text


def test_completion_knows_commands_flags_values_and_names(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.put("alpha", "job-running")
    cluster.put("beta", "job-running")
    (cluster.directory / "kubectl").write_text("#!/bin/sh\necho alpha beta\n")
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    assert [line.split("\t")[0] for line in completions(["w"])] == ["wait"]
    assert [line.split("\t")[0] for line in completions(["wait", "--ti"])] == ["--timeout"]
    assert completions(["get", "-o", "js"]) == ["json"]
    assert completions(["get", "--state", "failed,act"]) == ["failed,action-required"]
    assert completions(["wait", ""]) == ["alpha", "beta"]
    assert completions(["wait", "alpha", ""]) == ["beta"]
    assert completions(["-n", "team-a", "explain", "b"]) == ["beta"]


def test_completion_says_nothing_where_kubectl_fails(cluster: FakeCluster) -> None:
    cluster.complain("The connection to the server 10.0.0.1:6443 was refused")
    words = [sys.executable, "-m", "kubectl_evsjob.completion", "wait", ""]
    done = subprocess.run(words, env=cluster.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, ":4\n", "")


def test_without_a_command_it_shows_its_help(cluster: FakeCluster) -> None:
    done = cluster.call()
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("Usage: kubectl evsjob [OPTIONS] COMMAND")


def test_help_takes_less_than_a_tenth_of_a_second(cluster: FakeCluster) -> None:
    """The best of several runs, in time of the processor: a busy machine is slower, and not our fault."""
    words = [sys.executable, "-m", "kubectl_evsjob", "--help"]
    best = 1.0
    for _ in range(8):
        before, began = os.times(), time.monotonic()
        subprocess.run(words, env=cluster.environment, stdout=subprocess.DEVNULL, check=True)
        after, took = os.times(), time.monotonic() - began
        spent = after.children_user - before.children_user + after.children_system - before.children_system
        best = min(best, spent, took)
    assert best < 0.1


@pytest.mark.parametrize("command", ["get", "wait", "explain", "timeline", "resume"])
def test_names_are_all_that_is_printed_if_names_are_asked_for(cluster: FakeCluster, command: str) -> None:
    cluster.put("job", "job-succeeded")
    assert cluster.call(command, "job", "-o", "name").stdout == "evsjob.evs-operator.dev/job\n"


@pytest.mark.parametrize("state", ["job-failed", "job-failed-batch"])
@pytest.mark.parametrize("flags", [(), ("-n", "demo"), ("--context", "a b", "--kubeconfig", "/k")], ids=" ".join)
def test_the_commands_that_it_names_reach_the_cluster_and_namespace_that_were_asked(
    cluster: FakeCluster, state: str, flags: tuple[str, ...]
) -> None:
    cluster.put("job", state)
    named = cluster.call("wait", "job", *flags).stderr.splitlines()[-1].partition("kubectl ")[2]
    words = [{"-n": "--namespace"}.get(word, word) for word in flags]
    assert shlex.split(named) == ["evsjob", "explain", "job", *words]
    commands = [
        step["command"] for step in json.loads(cluster.call("explain", "job", *flags, "-o", "json").stdout)["next"]
    ]
    for command in filter(None, commands):
        assert command.startswith("evs-operator ") or set(words) - {"--namespace", "demo"} <= set(shlex.split(command))


def test_a_spec_that_was_not_looked_at_yet_has_not_the_words_of_the_last_one(cluster: FakeCluster) -> None:
    cluster.put("job", "job-failed", observedGeneration=0)
    said = json.loads((cluster.directory / "job.json").read_text())["status"]["conditions"]
    words = {condition["message"] for condition in said}
    for command in (("get",), ("explain", "job")):
        shown = cluster.call(*command).stdout
        assert "has not looked at this spec yet" in shown
        assert not [each for each in words if each and f"  {each}" in shown]


@pytest.mark.parametrize("command", [("get", "-o", "wide"), ("explain", "job"), ("explain", "job", "-o", "json")])
def test_the_results_of_a_job_are_not_shown_for_the_one_that_is_asked_for_next(
    cluster: FakeCluster, command: tuple[str, ...]
) -> None:
    cluster.put("job", "job-failed-batch", jobId="the-job-before", observedGeneration=0)
    shown = cluster.call(*command).stdout
    assert "Pending" in shown or "has not been asked for yet" in shown
    assert not [each for each in ("FAIL", "EVS.1042", "00000001-0000", "31.1s", "2/2") if each in shown]
