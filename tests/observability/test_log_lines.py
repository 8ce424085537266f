"""What real operators log: the documented form, one line for each transition, and nothing at each poll."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from support.operator_process import ROOT, eventually
from support.watched_operators import WatchedWorld

REFERENCE = ROOT / "docs" / "reference" / "logs.md"
SCHEMA = json.loads((ROOT / "docs" / "reference" / "log-line.schema.json").read_text(encoding="utf-8"))
LINE = Draft202012Validator(SCHEMA)


def lines(world: WatchedWorld, name: str) -> list[dict[str, Any]]:
    complete, _, _ = world.operators[name].process.log.rpartition("\n")
    return [json.loads(line) for line in complete.splitlines()]


def of_job(world: WatchedWorld, name: str, number: int) -> list[dict[str, Any]]:
    return [line for line in lines(world, name) if line.get("evsjob") == f"watched-{name}/job-{number}"]


def test_every_line_of_every_operator_has_the_documented_form(world: WatchedWorld) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    seen = 0
    for name in world.operators:
        for line in lines(world, name):
            assert [error.message for error in LINE.iter_errors(line)] == [], line
            seen += 1
    assert seen > 20


def test_each_transition_is_one_line_with_job_connection_outcome_and_duration(world: WatchedWorld) -> None:
    def ended() -> bool:
        return any(line.get("state") == "failed" for line in of_job(world, "healthy", 2))

    eventually(ended, 30, lambda: str(of_job(world, "healthy", 2)))
    told = of_job(world, "healthy", 2)
    assert [(line["state"], line["reason"]) for line in told] == [("running", "JobRunning"), ("failed", "JobFailed")]
    for line in told:
        assert line["level"] == "info"
        assert line["connection"] == "watched-healthy/faulty"
        assert line["job"] == "0002" * 8
    assert re.fullmatch(r"(\d+h)?(\d+m)?\d+\.\ds", told[-1]["duration"])


def test_each_transition_of_a_connection_is_one_line(world: WatchedWorld) -> None:
    def told() -> list[str]:
        its = [line for line in lines(world, "credential") if line.get("connection") == "watched-credential/faulty"]
        return [line["reason"] for line in its if "evsjob" not in line and "reason" in line]

    eventually(lambda: "Unauthorized" in told(), 30, lambda: world.operators["credential"].process.log)
    assert [reason for reason, following in pairwise(told()) if reason == following] == []


def test_polls_leave_no_line(world: WatchedWorld) -> None:
    """The job `beat` is polled every second and never changes."""
    beats = [line for line in lines(world, "healthy") if line.get("evsjob") == "watched-healthy/beat"]
    assert len(beats) == 1
    assert world.healthy.calls["beef" * 8] > 20


def test_a_warning_that_repeats_is_told_at_most_once_a_minute(world: WatchedWorld) -> None:
    def refused() -> list[dict[str, Any]]:
        return [line for line in of_job(world, "writes", 1) if line["level"] == "warning"]

    eventually(lambda: bool(refused()), 30)
    metrics = world.operators["writes"].process.http("/metrics")[1]
    match = re.search(r'status_writes_total\{result="error"\} (\d+)', metrics)
    assert match is not None
    minutes = Counter(line["ts"][:16] for line in refused())
    assert max(minutes.values()) <= 2  # the first one of a minute and, a minute later, the next
    assert len(refused()) < int(match[1]) or int(match[1]) == 1


@pytest.mark.parametrize("field", SCHEMA["properties"])
def test_the_reference_names_the_field(field: str) -> None:
    assert f"`{field}`" in REFERENCE.read_text(encoding="utf-8")


def test_the_example_of_the_reference_has_the_documented_form() -> None:
    example = re.search(r"```json\n(.*?)\n```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    LINE.validate(json.loads(example[1]))


@pytest.mark.parametrize("change", [{"level": "loud"}, {"evsjob": "no-namespace"}, {"state": "odd"}, {"colour": "red"}])
def test_the_schema_refuses_what_is_not_documented(change: dict[str, str]) -> None:
    line = {"ts": "2026-02-03T09:15:31.402Z", "level": "info", "logger": "evs_operator.jobs.status_writer", "msg": "x"}
    LINE.validate(line)
    assert not LINE.is_valid({**line, **change})
