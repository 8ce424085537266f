"""Bodies that differ from the documented one, and bodies that a test wrote itself."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.simulator import PROJECT, StillCloud

DOCUMENTED = {
    "running": """{
    "status": "RUNNING", 
    "entities": {
        "volume_id": "bdf1bb37-f20f-4266-9a04-f43e0a127376"
    }, 
    "job_id": "4010a32d535527910153552b492c0002", 
    "job_type": "createVolume", 
    "begin_time": "2016-03-08T07:40:13.219Z", 
    "end_time": "", 
    "error_code": null, 
    "fail_reason": null
}
""",  # noqa: W291  # the blanks are in the documentation
    "error": '{\n    "error": {\n        "message": "XXXX", \n        "code": "XXX"\n    }\n}\n',
}


@pytest.fixture
def cloud() -> StillCloud:
    return StillCloud()


def ended(cloud: StillCloud, *variants: str, **spec: Any) -> dict[str, Any]:
    return cloud.job(cloud.add_job(variants=list(variants), begin_in=-60, **spec))


@pytest.mark.parametrize("text", DOCUMENTED.values(), ids=DOCUMENTED)
def test_a_scripted_body_is_served_byte_for_byte(cloud: StillCloud, text: str) -> None:
    job = cloud.add_job(body=text, http_status=200)
    assert cloud.call("GET", f"/v1/{PROJECT}/jobs/{job}").body == text.encode()


def test_a_scripted_body_may_be_any_bytes_with_any_status_and_headers(cloud: StillCloud) -> None:
    given = bytes(range(256))
    spec = {"body_base64": base64.b64encode(given).decode(), "http_status": 207, "headers": {"X-Odd": "yes"}}
    answer = cloud.call("GET", f"/v1/{PROJECT}/jobs/{cloud.add_job(**spec)}")
    assert (answer.body, answer.status, answer.headers["X-Odd"]) == (given, 207, "yes")


def test_error_fields_may_be_missing_instead_of_null(cloud: StillCloud) -> None:
    assert not ended(cloud, "omit_null_errors").keys() & {"error_code", "fail_reason"}
    failed = ended(cloud, "omit_null_errors", error_code="EVS.2024")
    assert failed["error_code"] == "EVS.2024"


@pytest.mark.parametrize(("variant", "value"), [("entities_null", None), ("entities_list", [])])
def test_entities_may_be_no_object(cloud: StillCloud, variant: str, value: object) -> None:
    assert ended(cloud, variant)["entities"] == value


def test_entities_may_be_missing(cloud: StillCloud) -> None:
    assert "entities" not in ended(cloud, "entities_absent")


@pytest.mark.parametrize(
    ("variant", "value"), [("sub_jobs_null", None), ("sub_jobs_empty_string", ""), ("sub_jobs_empty_list", [])]
)
def test_the_list_of_sub_jobs_may_be_left_blank(cloud: StillCloud, variant: str, value: object) -> None:
    assert ended(cloud, variant)["entities"]["sub_jobs"] == value


def test_sub_jobs_may_stand_beside_entities(cloud: StillCloud) -> None:
    body = ended(cloud, "sub_jobs_top_level", job_type="batchCreateVolume", sub_jobs=2)
    assert len(body["sub_jobs"]) == 2
    assert "sub_jobs" not in body["entities"]


def test_fields_that_nobody_documented_may_come(cloud: StillCloud) -> None:
    assert ended(cloud, "extra_fields")["sub_jobs_total"] == 1
    job = cloud.add_job(variants={"extra_fields": {"progress": {"percent": 40}}})
    assert cloud.job(job)["progress"] == {"percent": 40}


def test_status_words_may_be_any(cloud: StillCloud) -> None:
    begin = cloud.now
    words = ["WAITING_EXECUTE", "LISTENING", "FOO", "running", "success"]
    job = cloud.add_job(status_script=words, duration=8)
    assert cloud.status_at(job, [0, 2, 4, 6, 8], begin) == words


def test_status_words_may_come_at_given_times(cloud: StillCloud) -> None:
    begin = cloud.now
    job = cloud.add_job(status_script=[{"at": 0, "status": "A"}, {"at": 7, "status": "B"}], duration=9)
    assert cloud.status_at(job, [6.9, 7, 9], begin) == ["A", "B", "SUCCESS"]


def test_a_last_word_at_a_given_time_ends_the_job_then(cloud: StillCloud) -> None:
    begin = cloud.now
    job = cloud.add_job(status_script=[[0, "INIT"], [3, "RUNNING"], [12, "FAIL"]])
    assert cloud.status_at(job, [2.9, 3, 11.9, 12], begin) == ["INIT", "RUNNING", "RUNNING", "FAIL"]
    assert cloud.job(job)["end_time"] == "2026-02-03T09:15:12.000Z"


def test_a_scripted_failure_is_a_failure(cloud: StillCloud) -> None:
    body = ended(cloud, status_script=["RUNNING", "ERROR"], error_code="EVS.2024")
    assert (body["status"], body["error_code"]) == ("ERROR", "EVS.2024")


def test_a_running_job_may_go_back_to_init(cloud: StillCloud) -> None:
    begin = cloud.now
    job = cloud.add_job(variants=["back_to_init"])
    assert cloud.status_at(job, [0, 2, 4, 5, 8], begin) == ["INIT", "RUNNING", "INIT", "RUNNING", "SUCCESS"]


@pytest.mark.parametrize(
    ("style", "pattern"),
    [
        ("no_fraction", r"2026-02-03T09:14:08Z"),
        ("blank", r"2026-02-03 09:14:08"),
        ("micros", r"2026-02-03T09:14:08\.000000Z"),
        ("no_zone", r"2026-02-03T09:14:08\.000000"),
        ("empty", r""),
        ("garbage", r"yesterday"),
    ],
)
def test_times_may_have_another_form(cloud: StillCloud, style: str, pattern: str) -> None:
    job = cloud.add_job(variants={"time_style": style}, begin_in=-60)
    assert re.fullmatch(pattern, cloud.job(job)["end_time"])


def test_times_may_be_null_or_missing(cloud: StillCloud) -> None:
    null = cloud.job(cloud.add_job(variants={"time_style": "null"}))
    absent = cloud.job(cloud.add_job(variants={"time_style": "absent"}))
    assert (null["begin_time"], null["end_time"]) == (None, None)
    assert not absent.keys() & {"begin_time", "end_time"}


def test_a_parent_may_succeed_with_a_failed_child(cloud: StillCloud) -> None:
    spec = {"job_type": "batchCreateVolume", "sub_jobs": 2, "failing": {"1": "EVS.2024"}}
    body = ended(cloud, "success_parent_failed_child", **spec)
    assert body["status"] == "SUCCESS"
    assert [sub["status"] for sub in body["entities"]["sub_jobs"]] == ["FAIL", "SUCCESS"]


def test_reasons_may_be_long_foreign_json_or_full_of_secrets(cloud: StillCloud) -> None:
    spec = {"error_code": "EVS.2024"}
    long = cloud.job(cloud.add_job(variants={"long_reason": 20}, begin_in=-60, **spec))["fail_reason"]
    assert len(long) == 20 * 1024
    assert "配额" in ended(cloud, "chinese_reason", **spec)["fail_reason"]
    assert json.loads(ended(cloud, "json_reason", **spec)["fail_reason"])["forbidden"]["code"] == 403
    assert "hunter2-secret" in ended(cloud, "secret_reason", **spec)["fail_reason"]


def test_errors_may_have_other_types(cloud: StillCloud) -> None:
    body = ended(cloud, error_code=2024, fail_reason={"forbidden": {"code": 403}})
    assert (body["error_code"], body["fail_reason"]) == (2024, {"forbidden": {"code": 403}})


def test_half_a_surrogate_pair_is_escaped_so_that_the_body_stays_json(cloud: StillCloud) -> None:
    assert ended(cloud, fail_reason="half \ud800 of a pair")["fail_reason"] == "half \ud800 of a pair"


def test_a_job_may_vanish_while_it_runs(cloud: StillCloud) -> None:
    job = cloud.add_job(variants={"vanish_after": 3})
    cloud.now += 2.9
    assert cloud.job(job)["status"] == "RUNNING"
    cloud.now += 0.1
    assert cloud.call("GET", f"/v1/{PROJECT}/jobs/{job}").status == 400


def test_a_job_may_answer_for_another_id(cloud: StillCloud) -> None:
    job = cloud.add_job(variants={"answer_job_id": "0" * 32})
    assert cloud.job(job)["job_id"] == "0" * 32


def test_a_change_keeps_what_it_does_not_name(cloud: StillCloud) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=2, variants=["omit_null_errors"])
    cloud.now += 2
    before = cloud.job(job)
    cloud.admin("PUT", f"jobs/{job}", {"duration": 3})
    cloud.now += 1
    after = cloud.job(job)
    assert after["status"] == "SUCCESS"
    assert after["begin_time"] == before["begin_time"]
    ids = [[sub["job_id"] for sub in body["entities"]["sub_jobs"]] for body in (before, after)]
    assert ids[0] == ids[1]
    assert "error_code" not in after


def test_an_ended_body_is_written_anew_after_a_change(cloud: StillCloud) -> None:
    job = cloud.add_job(begin_in=-60)
    assert cloud.job(job)["status"] == "SUCCESS"
    cloud.admin("PUT", f"jobs/{job}", {"error_code": "EVS.2024"})
    assert cloud.job(job)["status"] == "FAIL"


def test_a_parent_shows_a_sub_job_as_it_was_changed(cloud: StillCloud) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=2, begin_in=-60)
    sub = cloud.job(job)["entities"]["sub_jobs"][0]["job_id"]
    cloud.admin("PUT", f"jobs/{sub}", {"error_code": "EVS.2024"})
    body = cloud.job(job)
    assert [each["status"] for each in body["entities"]["sub_jobs"]] == ["FAIL", "SUCCESS"]
    assert body["status"] == "SUCCESS"


def test_every_field_and_variant_of_a_job_is_described() -> None:
    from evs_simulator.jobs import specs, variants

    text = (Path(variants.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    names = [*specs.FIELDS, *variants.NAMES]
    assert [name for name in names if f"`{name}" not in text] == []
