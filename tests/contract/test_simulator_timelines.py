"""What a job query answers over the life of a job, by a clock that stands still."""

from __future__ import annotations

import pytest

from support.simulator import PROJECT, StillCloud, json_of


@pytest.fixture
def cloud() -> StillCloud:
    return StillCloud()


def test_a_created_volume_goes_from_init_over_running_to_success(cloud: StillCloud) -> None:
    begin = cloud.now
    job = cloud.add_job()
    assert cloud.status_at(job, [0, 0.99, 1.0, 7.99, 8.0, 900], begin) == [
        "INIT",
        "INIT",
        "RUNNING",
        "RUNNING",
        "SUCCESS",
        "SUCCESS",
    ]


def test_a_fresh_job_has_the_documented_body(cloud: StillCloud) -> None:
    job = cloud.add_job()
    answer = cloud.call("GET", f"/v1/{PROJECT}/jobs/{job}")
    expected = (
        '{"status":"INIT","entities":{},"job_id":"' + job + '","job_type":"createVolume",'
        '"begin_time":"2026-02-03T09:15:00.000Z","end_time":"","error_code":null,"fail_reason":null}'
    )
    assert answer.body.decode() == expected


def test_entities_appear_with_running_and_the_end_time_with_the_end(cloud: StillCloud) -> None:
    job = cloud.add_job(volume={"name": "pvc-7f21"})
    cloud.now += 2
    running = cloud.job(job)
    cloud.now += 10
    ended = cloud.job(job)
    assert running["entities"].keys() == {"volume_id", "name", "size", "volume_type"}
    assert (running["end_time"], ended["end_time"]) == ("", "2026-02-03T09:15:08.000Z")
    assert running["entities"] == ended["entities"]


def test_the_classic_mode_names_nothing_but_the_volume_id(cloud: StillCloud) -> None:
    cloud.admin("PUT", "settings", {"entity_mode": "classic"})
    job = cloud.add_job(begin_in=-100)
    assert cloud.job(job)["entities"].keys() == {"volume_id"}


@pytest.mark.parametrize(
    ("job_type", "seconds"),
    [("createVolume", 8), ("extendVolume", 5), ("deleteVolume", 6), ("retypeVolume", 120), ("somethingNew", 8)],
)
def test_every_type_takes_its_time(cloud: StillCloud, job_type: str, seconds: float) -> None:
    begin = cloud.now
    job = cloud.add_job(job_type=job_type)
    assert cloud.status_at(job, [seconds - 0.01, seconds], begin) == ["RUNNING", "SUCCESS"]
    assert cloud.job(job)["job_type"] == job_type


def test_sub_jobs_start_after_the_parent_and_end_before_it(cloud: StillCloud) -> None:
    begin = cloud.now
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=2)
    cloud.now = begin + 0.1
    assert cloud.job(job)["entities"] == {}
    cloud.now = begin + 8.2
    running = cloud.job(job)
    cloud.now = begin + 14.2
    ended = cloud.job(job)
    assert running["status"] == "RUNNING"
    assert [sub["status"] for sub in running["entities"]["sub_jobs"]] == ["SUCCESS", "SUCCESS"]
    assert ended["status"] == "SUCCESS"
    assert ended["entities"].keys() == {"sub_jobs"}
    assert [sub["begin_time"] for sub in ended["entities"]["sub_jobs"]] == ["2026-02-03T09:15:00.200Z"] * 2


def test_bulk_deletion_has_sub_jobs_of_its_own_type(cloud: StillCloud) -> None:
    job = cloud.add_job(job_type="bulkDeleteVolume", sub_jobs=3, begin_in=-60)
    assert {sub["job_type"] for sub in cloud.job(job)["entities"]["sub_jobs"]} == {"deleteSingleVolume"}


def test_a_batch_with_a_failed_sub_job_fails_and_says_nothing_itself(cloud: StillCloud) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=3, failing={"2": "EVS.5413"}, begin_in=-60)
    body = cloud.job(job)
    assert (body["status"], body["error_code"], body["fail_reason"]) == ("FAIL", None, None)
    subs = body["entities"]["sub_jobs"]
    assert [sub["status"] for sub in subs] == ["SUCCESS", "FAIL", "SUCCESS"]
    assert subs[1]["entities"] == {}
    assert "VolumeSizeExceedsAvailableQuota" in subs[1]["fail_reason"]


def test_a_batch_is_seen_with_sub_jobs_of_mixed_status(cloud: StillCloud) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=[{"duration": 2}, {}, {"error_code": "EVS.5413"}])
    cloud.now += 4
    assert [sub["status"] for sub in cloud.job(job)["entities"]["sub_jobs"]] == ["SUCCESS", "RUNNING", "FAIL"]


def test_a_sub_job_that_starts_later_is_listed_later(cloud: StillCloud) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=[{}, {"start": 5}])
    cloud.now += 4
    assert len(cloud.job(job)["entities"]["sub_jobs"]) == 1
    cloud.now += 2
    assert len(cloud.job(job)["entities"]["sub_jobs"]) == 2


def test_a_failure_before_the_volume_existed_leaves_nothing(cloud: StillCloud) -> None:
    begin = cloud.now
    job = cloud.add_job(error_code="EVS.5400")
    assert cloud.status_at(job, [0.29, 0.3], begin) == ["RUNNING", "FAIL"]
    assert cloud.job(job)["entities"] == {}
    assert cloud.job(job)["fail_reason"].startswith("EbsCreateVolumeTask-fail:badRequest")


def test_a_failure_after_the_volume_existed_leaves_its_id(cloud: StillCloud) -> None:
    job = cloud.add_job(error_code="EVS.2024", begin_in=-60)
    assert cloud.job(job)["entities"].keys() == {"volume_id"}
    assert cloud.job(job)["fail_reason"] == "EbsCreateVolumeTask-fail:volume is error!"


def test_error_fields_stay_null_until_the_end(cloud: StillCloud) -> None:
    job = cloud.add_job(error_code="EVS.2024")
    cloud.now += 5
    assert (cloud.job(job)["error_code"], cloud.job(job)["fail_reason"]) == (None, None)


def test_ids_are_32_hex_with_one_prefix_and_the_parent_is_smallest(cloud: StillCloud) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=20, begin_in=-60)
    ids = [job, *(sub["job_id"] for sub in cloud.job(job)["entities"]["sub_jobs"])]
    assert ids == sorted(set(ids))
    assert {len(each) for each in ids} == {32}
    assert len({each[:16] for each in ids}) == 1
    assert all(set(each) <= set("0123456789abcdef") for each in ids)


def test_a_sub_job_can_be_asked_for_by_its_own_id(cloud: StillCloud) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=2, begin_in=-60)
    sub = cloud.job(job)["entities"]["sub_jobs"][1]
    assert cloud.job(sub["job_id"]) == sub


def test_speed_makes_every_part_of_the_timeline_faster() -> None:
    cloud = StillCloud(speed=10)
    begin = cloud.now
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=2)
    assert cloud.status_at(job, [0.09, 0.1, 1.41, 1.42], begin) == ["INIT", "RUNNING", "RUNNING", "SUCCESS"]


def test_the_record_of_an_ended_job_is_kept_for_a_day(cloud: StillCloud) -> None:
    job = cloud.add_job()
    cloud.now += 8 + 86_399
    assert cloud.job(job)["status"] == "SUCCESS"
    cloud.now += 1
    answer = cloud.call("GET", f"/v1/{PROJECT}/jobs/{job}")
    assert (answer.status, json_of(answer)["error"]["code"]) == (400, "Common.0011")


def test_a_job_that_ended_runs_again_when_time_goes_back(cloud: StillCloud) -> None:
    begin = cloud.now
    job = cloud.add_job()
    assert cloud.status_at(job, [8, 4], begin) == ["SUCCESS", "RUNNING"]


def test_a_job_may_never_end(cloud: StillCloud) -> None:
    job = cloud.add_job(never_ends=True)
    cloud.now += 1e7
    assert cloud.job(job)["status"] == "RUNNING"


def test_a_job_may_be_ended_at_this_moment(cloud: StillCloud) -> None:
    job = cloud.add_job(never_ends=True)
    cloud.now += 100
    cloud.admin("PUT", f"jobs/{job}", {"end_now": True, "error_code": "EVS.2024"})
    body = cloud.job(job)
    assert (body["status"], body["end_time"]) == ("FAIL", "2026-02-03T09:16:40.000Z")


def test_the_version_2_path_answers_too(cloud: StillCloud) -> None:
    job = cloud.add_job()
    assert cloud.call("GET", f"/v2/{PROJECT}/jobs/{job}").status == 200
