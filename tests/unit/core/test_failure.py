"""A failed job explained: which failure counts, what a person reads, and what there is to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.core.failure import failure_of, summary
from evs_operator.core.reason_text import readable
from evs_operator.evs.job import Job, parse_job
from support.jobs import VOLUME_ID, batch, body, sub

QUOTA = {"error_code": "EVS.1042", "fail_reason": "volume gigabytes exceeded volume gigabytes quota!"}
NESTED = {"forbidden": {"code": 403, "message": "Quota exceeded for cores"}}


def parsed(job_body: dict[str, Any]) -> Job:
    return parse_job(job_body)


def said(job_body: dict[str, Any]) -> str:
    job = parsed(job_body)
    return summary(job, failure_of(job, str), str)


def hint(job_body: dict[str, Any]) -> str:
    return failure_of(parsed(job_body), str)["hint"]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("EbsCreateVolumeTask-fail:volume is error!", "volume is error!"),
        (
            "EbsCreateVolumeTask-fail:badRequest: Invalid input received: Availability zone 'eu-de-09' is invalid",
            "badRequest: Invalid input received: Availability zone 'eu-de-09' is invalid",
        ),
        ("BatchCreateTask-fail:EbsCreateVolumeTask-fail: no", "no"),
        (json.dumps(NESTED), "Quota exceeded for cores"),
        (f"EbsCreateVolumeTask-fail:{json.dumps(NESTED)}", "Quota exceeded for cores"),
        (f"call to cinder failed: {json.dumps(NESTED)}", "call to cinder failed: Quota exceeded for cores"),
        (json.dumps(json.dumps(NESTED)), "Quota exceeded for cores"),
        (json.dumps({"error": {"message": json.dumps(NESTED)}}), "Quota exceeded for cores"),
        (json.dumps({"errors": [{"code": 1}, {"msg": "the second"}]}), "the second"),
        (json.dumps({"error_msg": "token expires", "error_code": "APIGW.0301"}), "token expires"),
        (json.dumps(NESTED)[:-3], "Quota exceeded for cores"),
        (json.dumps(NESTED).replace('"', '\\"'), "Quota exceeded for cores"),
        ('{"code": 403}', '{"code": 403}'),
        ("{ no json", "{ no json"),
        ("创建云硬盘失败，配额不足", "创建云硬盘失败，配额不足"),
        ("", ""),
    ],
)
def test_the_readable_part_of_a_reason_is_found(reason: str, text: str) -> None:
    assert readable(reason) == text


@given(st.text() | st.recursive(st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)).map(json.dumps))
def test_any_reason_is_read_without_a_fault(reason: str) -> None:
    assert isinstance(readable(reason), str)


@pytest.mark.parametrize("hostile", ["{" * 100_000, '{"message":' * 20_000, '{"a":"' + "\\" * 500_000, "[" * 9 + "{"])
def test_a_hostile_reason_takes_no_time_and_is_no_fault(hostile: str) -> None:
    assert isinstance(readable(hostile), str)


@pytest.mark.parametrize(
    ("code", "reason", "category"),
    [
        ("EVS.1042", "anything", "Quota"),
        (None, "创建云硬盘失败，配额不足", "Quota"),
        (None, "该规格已售罄", "Capacity"),
        (None, "账号已冻结", "Account"),
        (None, "没有权限", "Permission"),
        ("Ecs.0204", json.dumps(NESTED), "Quota"),
        ("EVS.5409", "", "WrongState"),
        ("EVS.9999", "nobody has seen this", "Unknown"),
    ],
)
def test_a_failure_has_a_category_whatever_the_language_and_an_unknown_code_passes_through(
    code: str | None, reason: str, category: str
) -> None:
    failure = failure_of(parsed(body("FAIL", error_code=code, fail_reason=reason)), str)
    assert failure["category"] == category
    assert failure.get("code") == code


def test_sub_job_failures_are_one_message_with_count_code_and_volumes() -> None:
    done = [sub(n, "SUCCESS") for n in range(1, 4)]
    one = sub(4, "FAIL", **QUOTA)
    assert said(batch("FAIL", *done, one, sub(5, "RUNNING"))) == (
        "1 of 5 sub-jobs failed: EVS.1042 volume gigabytes exceeded volume gigabytes quota!"
        " (volume 00000004-0000-4000-8000-000000000000)"
    )
    named = sub(5, "FAIL", **QUOTA, entities={"name": "data-0005"})
    assert said(batch("FAIL", *done, one, named)).endswith(
        "quota! (volumes 00000004-0000-4000-8000-000000000000, data-0005)"
    )


def test_sub_jobs_that_failed_otherwise_are_named_by_their_code() -> None:
    many = [sub(n, "FAIL", **QUOTA, entities={"name": f"v{n}"}) for n in range(1, 6)]
    other = [sub(n, "FAIL", error_code=f"EVS.{n}") for n in (2024, 2002)]
    assert said(batch("FAIL", *many, *other)) == (
        "7 of 7 sub-jobs failed: EVS.1042 volume gigabytes exceeded volume gigabytes quota!"
        " (volumes v1, v2, v3 and 2 more); also EVS.2024, EVS.2002"
    )


def test_the_deepest_failure_that_says_something_counts() -> None:
    leaf = sub(9, "FAIL", **QUOTA)
    silent = sub(8, "FAIL", entities={"sub_jobs": [sub(7, "FAIL")]})
    job = parsed(batch("FAIL", silent, sub(6, "FAIL", entities={"sub_jobs": [leaf]}), error_code="EVS.2002"))
    failure = failure_of(job, str)
    assert (failure["code"], failure["jobId"]) == ("EVS.1042", f"{9:032x}")


def test_the_message_of_several_kilobytes_fits_one_line_and_failure_has_more_of_it() -> None:
    job = parsed(body("FAIL", error_code="EVS.5400", fail_reason="line one\n\tline two " * 300))
    failure = failure_of(job, str)
    assert len(summary(job, failure, str)) < 400
    assert "\n" not in summary(job, failure, str)
    assert len(failure["message"]) == 1024
    assert "\n" not in failure["message"]


def test_what_a_failed_creation_leaves_is_to_be_deleted() -> None:
    text = hint(body("FAIL", error_code="EVS.2024", fail_reason="EbsCreateVolumeTask-fail:volume is error!"))
    assert text.startswith(f"Delete volume {VOLUME_ID}: ")
    assert "counts against the quota" in text
    assert text.endswith("ask the cloud's support, with the job id.")


def test_a_creation_that_left_nothing_asks_for_no_clean_up() -> None:
    assert "volume " not in hint(body("FAIL", entities={}, error_code="EVS.2002"))
    left = batch("FAIL", sub(1, "SUCCESS"), sub(2, "FAIL", error_code="EVS.2002", entities={}))
    assert "00000001" not in hint(left)


@pytest.mark.parametrize("job_type", ["extendVolume", "retypeVolume", "deleteVolume", "somethingNew"])
def test_nobody_is_told_to_delete_a_volume_that_held_data(job_type: str) -> None:
    text = hint(body("FAIL", job_type=job_type, error_code="EVS.2002"))
    assert "Delete" not in text
    assert text.startswith(f"Look at {'the state of ' if job_type == 'somethingNew' else ''}volume {VOLUME_ID}")


def test_a_hint_hides_secrets_and_stays_on_one_line() -> None:
    job = parsed(body("FAIL", entities={"volume_id": "s3cret\nvalue" * 50}))
    text = failure_of(job, lambda text: text.replace("s3cret", "***"))["hint"]
    assert "s3cret" not in text
    assert "\n" not in text
    assert len(text) <= 512
