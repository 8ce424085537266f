"""Each example of the API page, served byte for byte, ends in the status that a golden file holds."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from support.jobs import batch, body, sub
from support.operator_process import Objects, OperatorProcess, condition
from support.scripted_cloud import ScriptedCloud

GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = Path(__file__).parent / "examples"
"""The bodies of the API page, with its trailing blanks."""
_OUR_TIMES = re.compile(r'("(?:observationStartTime|completionTime|lastTransitionTime)": )"[^"]+"')


JOB_TYPES = (
    "createVolume",
    "batchCreateVolume",
    "deleteVolume",
    "extendVolume",
    "bulkDeleteVolume",
    "deleteSingleVolume",
    "retypeVolume",
)
WORDS = {
    "INIT": "JobInitializing",
    "RUNNING": "JobRunning",
    "SUCCESS": "JobSucceeded",
    "FAIL": "JobFailed",
    "WAITING_EXECUTE": "UnknownJobStatus",
    "success": "JobSucceeded",
    "ERROR": "JobFailed",
}


def check_golden(name: str, status: dict[str, Any]) -> None:
    """Compare with the golden file; GOLDEN_UPDATE=1 writes it anew, to be read before it is committed."""
    text = _OUR_TIMES.sub(r'\1"<time>"', json.dumps(status, indent=2, sort_keys=True, ensure_ascii=False)) + "\n"
    path = GOLDEN / f"{name}.json"
    if os.environ.get("GOLDEN_UPDATE"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "job_id", "reason"),
    [
        ("running", "4010a32d535527910153552b492c0002", "JobRunning"),
        ("batch-success", "21917a8d52a19b040152a9f2f1eb003e", "JobSucceeded"),
        ("error-under-200", "ff808081692a62c70169b4dcf9514264", "Rejected"),
    ],
)
def test_an_example_of_the_api_page_ends_in_its_golden_status(
    operator: OperatorProcess,
    cloud: ScriptedCloud,
    objects: Objects,
    name: str,
    job_id: str,
    reason: str,
) -> None:
    cloud.put(job_id, (EXAMPLES / f"{name}.json").read_bytes())
    objects.connect(cloud.url)
    objects.add_job(name, job_id)
    status = objects.wait_reason(name, reason)
    check_golden(name, json.loads(json.dumps(status).replace(cloud.url.removeprefix("http://"), "<host>")))


def test_every_job_type_and_every_status_word_ends_as_the_contract_says(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    ends = {"end_time": "2026-02-03T09:15:09.402Z"}
    objects.connect(cloud.url)
    for number, job_type in enumerate(JOB_TYPES):
        job_id = f"{number:032x}"
        batch_type = job_type.startswith(("batch", "bulk"))
        made = batch("SUCCESS", sub(1, "SUCCESS")) if batch_type else body("SUCCESS")
        cloud.put(job_id, {**made, "job_id": job_id, "job_type": job_type, **ends})
        objects.add_job(job_type.lower(), job_id)
    for number, word in enumerate(WORDS, 100):
        job_id = f"{number:032x}"
        cloud.put(job_id, {**body(word), "job_id": job_id})
        objects.add_job(f"word-{number}", job_id)
    for job_type in JOB_TYPES:
        status = objects.wait_reason(job_type.lower(), "JobSucceeded")
        assert (status["jobType"], status["duration"]) == (job_type, "9.3s")
    for number, (word, reason) in enumerate(WORDS.items(), 100):
        status = objects.wait_reason(f"word-{number}", reason)
        assert status["jobStatus"] == word
        assert condition(status, "Observed")["reason"] == "PollSucceeded"


def test_sub_jobs_are_stored_in_the_order_that_the_contract_names_when_they_end(
    operator: OperatorProcess, cloud: ScriptedCloud, objects: Objects
) -> None:
    job_id = "c" * 32
    cloud.put(job_id, {**batch("RUNNING", sub(1, "RUNNING"), sub(2, "RUNNING"), sub(3, "RUNNING")), "job_id": job_id})
    objects.connect(cloud.url)
    objects.add_job("batch", job_id, polling={"minIntervalSeconds": 1, "maxIntervalSeconds": 1})
    objects.wait_reason("batch", "JobRunning")
    cloud.put(job_id, {**batch("RUNNING", sub(1, "SUCCESS"), sub(2, "RUNNING"), sub(3, "FAIL")), "job_id": job_id})
    status = objects.wait_job("batch", lambda s: s.get("progress") == "2/3")
    assert [entry["status"] for entry in status["subJobs"]] == ["FAIL", "RUNNING", "SUCCESS"]
