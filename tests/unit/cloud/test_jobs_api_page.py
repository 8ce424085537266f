"""docs/reference/jobs-api.md says what the code makes of an answer: its table and its examples are put to the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evs_operator.cloud.classify import read_answer
from evs_operator.core.observation import trouble_of
from evs_operator.evs import errors
from evs_operator.evs.job import JobOutcome, parse_job
from evs_simulator.envelopes import ENVELOPES

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "jobs-api.md").read_text(encoding="utf-8")
NOW = datetime(2026, 2, 3, 9, 15, tzinfo=UTC)


def _section(title: str) -> str:
    (found,) = re.findall(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#)", PAGE, re.MULTILINE | re.DOTALL)
    return str(found[1])


def _rows(section: str) -> list[list[str]]:
    """Return the cells of the first table of a section, without its head."""
    lines = section[section.index("\n|") + 1 :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[2:]]


def _answers() -> Iterator[tuple[int, bytes, str]]:
    """Yield HTTP status, body and reason of every answer that the first table names."""
    for statuses, answer, reason, _ in _rows(_section("What an answer means")):
        bodies = [_body(text) for text in re.findall(r"`([^`]+)`", answer)] + [b""] * ("nothing" in answer)
        for status in statuses.split(", "):
            for body in bodies:
                yield int(status), body, reason.strip("`")


def _body(text: str) -> bytes:
    """Return a body as it is written, or form E1 (E4 for a word of Cinder's) of a code."""
    if text[0] in "{<" or " " in text:
        return text.encode()
    cinder = "." not in text
    return json.dumps({text: {"message": "m"}} if cinder else {"error": {"message": "m", "code": text}}).encode()


def _error(status: int, body: bytes, headers: Mapping[str, str]) -> errors.CloudError:
    with pytest.raises(errors.CloudError) as raised:
        read_answer(status, headers, body, job_id="4010a32d535527910153552b492c0002", where="evs.example.com", now=NOW)
    return raised.value


@pytest.mark.parametrize(("status", "body", "reason"), list(_answers()))
def test_an_answer_has_the_reason_that_the_page_gives_it(status: int, body: bytes, reason: str) -> None:
    assert trouble_of(_error(status, body, {}), str).reason == reason


def test_the_table_of_answers_is_read_whole() -> None:
    reasons = {reason for _, _, reason in _answers()}
    assert len(list(_answers())) > 60
    assert reasons == {
        "JobNotFound",
        "EndpointInvalid",
        "Unauthorized",
        "WrongProject",
        "Forbidden",
        "RateLimited",
        "ServerError",
        "Rejected",
        "InvalidResponse",
    }


def test_a_locked_access_key_is_left_alone_for_five_minutes() -> None:
    texts = [row[0] for row in _rows(_section("What an answer means").partition("`APIGW.0301` has many texts")[2])]
    (locked,) = [text.strip("`") for text in texts if "reach the limit" in text]
    error = _error(401, json.dumps({"error_msg": locked, "error_code": "APIGW.0301"}).encode(), {})
    assert isinstance(error, errors.AccessKeyLocked)
    assert error.retry_after == 300.0


def test_the_examples_are_jobs_with_the_outcome_that_the_page_names() -> None:
    jobs = [parse_job(json.loads(block)) for block in re.findall(r"```json\n(.*?)```", _section("Examples"), re.DOTALL)]
    running, done, failed = JobOutcome.IN_PROGRESS, JobOutcome.SUCCEEDED, JobOutcome.FAILED
    assert [job.outcome for job in jobs] == [running, done, failed, failed, failed]
    assert [sub.outcome for sub in jobs[-1].sub_jobs] == [done, failed]


def test_words_of_status_have_the_outcome_that_the_page_names() -> None:
    outcomes = {
        "in progress": JobOutcome.IN_PROGRESS,
        "ended well": JobOutcome.SUCCEEDED,
        "ended as failed": JobOutcome.FAILED,
    }
    meant = [
        (words, outcomes.get(meaning.partition(",")[0])) for words, meaning, _ in _rows(_section("Words of status"))
    ]
    named = [(word, outcome) for words, outcome in meant if outcome for word in re.findall(r"`([A-Z_]+)`", words)]
    assert len(named) == 7
    assert [word for word, outcome in named if parse_job({"status": word}).outcome is not outcome] == []


def test_the_simulator_makes_every_form_of_an_error_that_the_page_names() -> None:
    assert [row[0] for row in _rows(_section("Forms of an error"))] == list(ENVELOPES)
