"""The calls that make jobs: what a demonstration does with curl and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from evs_simulator.wire import Answer
from support.simulator import PROJECT, StillCloud, json_of

VOLUMES = f"/v2/{PROJECT}/cloudvolumes"


@pytest.fixture
def cloud() -> StillCloud:
    return StillCloud()


def create(cloud: StillCloud, **volume: Any) -> str:
    body = {"volume": {"name": "data", "size": 40, "volume_type": "SSD", "availability_zone": "eu-de-01", **volume}}
    answer = cloud.call("POST", VOLUMES, body)
    assert answer.status == 200, answer.body
    assert json_of(answer).keys() == {"job_id"}
    return str(json_of(answer)["job_id"])


def volume_of(cloud: StillCloud, **volume: Any) -> str:
    job = create(cloud, **volume)
    cloud.now += 60
    return str(cloud.job(job)["entities"]["volume_id"])


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, json_of(answer)["error"]["code"]


def test_one_volume_is_a_create_job(cloud: StillCloud) -> None:
    job = create(cloud)
    cloud.now += 9
    body = cloud.job(job)
    assert (body["job_type"], body["status"]) == ("createVolume", "SUCCESS")
    assert {name: body["entities"][name] for name in ("name", "size", "volume_type")} == {
        "name": "data",
        "size": 40,
        "volume_type": "SSD",
    }


def test_several_volumes_are_a_batch_with_numbered_names(cloud: StillCloud) -> None:
    job = create(cloud, count=3)
    cloud.now += 60
    body = cloud.job(job)
    assert (body["job_type"], body["status"]) == ("batchCreateVolume", "SUCCESS")
    names = [sub["entities"]["name"] for sub in body["entities"]["sub_jobs"]]
    assert names == ["data-0001", "data-0002", "data-0003"]


def test_metadata_can_make_a_creation_fail(cloud: StillCloud) -> None:
    job = create(cloud, metadata={"__sim_fail": "EVS.5413"})
    cloud.now += 60
    body = cloud.job(job)
    assert (body["status"], body["error_code"]) == ("FAIL", "EVS.5413")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"__sim_fail": "EVS.2024"}, ["FAIL", "FAIL", "FAIL"]),
        ({"__sim_fail_some": "EVS.5413"}, ["SUCCESS", "SUCCESS", "FAIL"]),
        ({"__sim_fail_some": "1,3:EVS.2024"}, ["FAIL", "SUCCESS", "FAIL"]),
    ],
)
def test_metadata_can_make_sub_jobs_fail(cloud: StillCloud, metadata: dict[str, str], expected: list[str]) -> None:
    job = create(cloud, count=3, metadata=metadata)
    cloud.now += 60
    body = cloud.job(job)
    assert body["status"] == "FAIL"
    assert [sub["status"] for sub in body["entities"]["sub_jobs"]] == expected


def test_metadata_can_make_a_job_slow_and_odd(cloud: StillCloud) -> None:
    job = create(cloud, metadata={"__sim_duration": "100", "__sim_variants": "omit_null_errors"})
    cloud.now += 99
    assert cloud.job(job)["status"] == "RUNNING"
    assert "error_code" not in cloud.job(job)
    cloud.now += 1
    assert cloud.job(job)["status"] == "SUCCESS"


def test_a_zone_that_does_not_exist_fails_the_job_at_once(cloud: StillCloud) -> None:
    job = create(cloud, availability_zone="eu-de-09")
    cloud.now += 1
    assert (cloud.job(job)["status"], cloud.job(job)["error_code"]) == ("FAIL", "EVS.5400")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"not json", "EVS.5400"),
        ({}, "EVS.1008"),
        ({"volume": {}}, "EVS.1010"),
        ({"volume": {"size": 0}}, "EVS.1010"),
        ({"volume": {"size": True}}, "EVS.1010"),
        (b'{"volume":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "EVS.5400"),
        ({"volume": {"size": 1, "count": 101}}, "EVS.1021"),
        ({"volume": {"size": 1, "volume_type": "paper"}}, "EVS.1020"),
        ({"volume": {"size": 1, "name": 7}}, "EVS.1003"),
        ({"volume": {"size": 1, "metadata": {"__sim_fail_some": "x:EVS.2024"}}, "count": 2}, None),
        ({"volume": {"size": 1, "count": 2, "metadata": {"__sim_fail_some": "x:EVS.2024"}}}, "EVS.1058"),
        ({"volume": {"size": 1, "metadata": {"__sim_duration": "long"}}}, "EVS.1058"),
        ({"volume": {"size": 1, "metadata": {"__sim_duration": "nan"}}}, "EVS.1058"),
        ({"volume": {"size": 1, "metadata": {"__sim_duration": "inf"}}}, "EVS.1058"),
        ({"volume": {"size": 1, "metadata": {"__sim_duration": "-1"}}}, "EVS.1058"),
    ],
)
def test_a_wrong_body_is_refused_as_evs_does(cloud: StillCloud, body: Any, expected: str | None) -> None:
    answer = cloud.call("POST", VOLUMES, body)
    assert (answer.status == 200) if expected is None else (code(answer) == (400, expected))


def test_creation_needs_credentials_first(cloud: StillCloud) -> None:
    assert cloud.call("POST", VOLUMES, b"not json", headers={}).status == 401


def test_newer_regions_name_the_volumes_and_version_2_1_says_202(cloud: StillCloud) -> None:
    cloud.admin("PUT", "settings", {"volume_ids": True})
    answer = cloud.call("POST", f"/v2.1/{PROJECT}/cloudvolumes", {"volume": {"size": 10, "count": 2}})
    cloud.now += 60
    subs = cloud.job(json_of(answer)["job_id"])["entities"]["sub_jobs"]
    assert answer.status == 202
    assert json_of(answer)["volume_ids"] == [sub["entities"]["volume_id"] for sub in subs]


def test_a_prepaid_volume_comes_with_an_order_and_no_job(cloud: StillCloud) -> None:
    body = {"volume": {"size": 10}, "bssParam": {"chargingMode": "prePaid"}}
    assert json_of(cloud.call("POST", VOLUMES, body)).keys() == {"order_id"}


def test_a_volume_does_not_exist_while_its_creation_is_in_init(cloud: StillCloud) -> None:
    job = create(cloud)
    cloud.now += 2
    path = f"{VOLUMES}/{cloud.job(job)['entities']['volume_id']}"
    assert json_of(cloud.call("GET", path))["volume"]["status"] == "creating"
    cloud.now -= 1.5
    answer = cloud.call("GET", path)
    assert (answer.status, json_of(answer)["itemNotFound"]["code"]) == (404, 404)
    cloud.now += 10
    assert json_of(cloud.call("GET", path))["volume"]["status"] == "available"


def test_a_late_failure_leaves_a_volume_in_error_that_can_be_deleted(cloud: StillCloud) -> None:
    volume = volume_of(cloud, metadata={"__sim_fail": "EVS.2024"})
    assert json_of(cloud.call("GET", f"{VOLUMES}/{volume}"))["volume"]["status"] == "error"
    assert cloud.call("DELETE", f"{VOLUMES}/{volume}").status == 200


def test_extending_changes_the_size_once_the_job_has_succeeded(cloud: StillCloud) -> None:
    path = f"{VOLUMES}/{volume_of(cloud)}"
    job = json_of(cloud.call("POST", f"{path}/action", {"os-extend": {"new_size": 80}}))["job_id"]
    cloud.now += 1
    during = json_of(cloud.call("GET", path))["volume"]
    assert (cloud.job(job)["job_type"], during["status"], during["size"]) == ("extendVolume", "extending", 40)
    cloud.now += 4
    after = json_of(cloud.call("GET", path))["volume"]
    assert (cloud.job(job)["status"], after["status"], after["size"]) == ("SUCCESS", "available", 80)


def test_a_retype_takes_two_minutes_and_is_accepted_with_202(cloud: StillCloud) -> None:
    volume = volume_of(cloud)
    path = f"/v2/{PROJECT}/volumes/{volume}/retype"
    answer = cloud.call("POST", path, {"os-retype": {"new_type": "ESSD"}})
    cloud.now += 119
    assert (answer.status, cloud.job(json_of(answer)["job_id"])["status"]) == (202, "RUNNING")
    cloud.now += 1
    assert json_of(cloud.call("GET", f"{VOLUMES}/{volume}"))["volume"]["volume_type"] == "ESSD"


def test_a_deleted_volume_is_gone(cloud: StillCloud) -> None:
    path = f"{VOLUMES}/{volume_of(cloud)}"
    job = json_of(cloud.call("DELETE", path))["job_id"]
    assert cloud.job(job)["job_type"] == "deleteVolume"
    assert code(cloud.call("DELETE", path)) == (400, "EVS.1046")
    cloud.now += 6
    assert cloud.call("GET", path).status == 404
    assert code(cloud.call("DELETE", path)) == (404, "EVS.5404")


@pytest.mark.parametrize("operation", ["extend", "retype", "delete"])
def test_metadata_can_make_a_later_operation_fail(cloud: StillCloud, operation: str) -> None:
    volume = volume_of(cloud, metadata={f"__sim_fail_{operation}": "EVS.2026"})
    path = f"{VOLUMES}/{volume}"
    calls: dict[str, tuple[str, str, dict[str, Any]]] = {
        "extend": ("POST", f"{path}/action", {"os-extend": {"new_size": 80}}),
        "retype": ("POST", f"/v2/{PROJECT}/volumes/{volume}/retype", {"os-retype": {"new_type": "SAS"}}),
        "delete": ("DELETE", path, {}),
    }
    job = json_of(cloud.call(*calls[operation]))["job_id"]
    cloud.now += 200
    assert (cloud.job(job)["status"], cloud.job(job)["error_code"]) == ("FAIL", "EVS.2026")
    shown = json_of(cloud.call("GET", path))["volume"]
    states = {"extend": "error_extending", "retype": "available", "delete": "error_deleting"}
    assert (shown["status"], shown["size"], shown["volume_type"]) == (states[operation], 40, "SSD")


@pytest.mark.parametrize(
    ("body", "expected"),
    [({}, "EVS.1011"), ({"os-extend": {"new_size": 40}}, "EVS.1015"), ({"os-extend": {"new_size": "80"}}, "EVS.1011")],
)
def test_a_wrong_extension_is_refused(cloud: StillCloud, body: dict[str, Any], expected: str) -> None:
    answer = cloud.call("POST", f"{VOLUMES}/{volume_of(cloud)}/action", body)
    assert code(answer) == (400, expected)


def test_a_busy_volume_takes_no_other_operation(cloud: StillCloud) -> None:
    volume = volume_of(cloud)
    cloud.call("POST", f"{VOLUMES}/{volume}/action", {"os-extend": {"new_size": 80}})
    extension = cloud.call("POST", f"{VOLUMES}/{volume}/action", {"os-extend": {"new_size": 90}})
    retype = cloud.call("POST", f"/v2/{PROJECT}/volumes/{volume}/retype", {"os-retype": {"new_type": "SAS"}})
    assert (code(extension), code(retype)) == ((400, "EVS.1064"), (400, "EVS.2087"))


@pytest.mark.parametrize("path", [f"{VOLUMES}/detail", f"/v2/{PROJECT}/volumes/detail", f"/v3/{PROJECT}/volumes"])
def test_volumes_are_listed_once_they_are_there_and_until_they_are_deleted(cloud: StillCloud, path: str) -> None:
    kept = volume_of(cloud)
    create(cloud, name="in-init")
    gone = volume_of(cloud, name="gone")
    assert cloud.call("DELETE", f"{VOLUMES}/{gone}").status == 200
    cloud.now += 60
    create(cloud, name="too-early")
    listed = json_of(cloud.call("GET", path))["volumes"]
    assert [one["name"] for one in listed] == ["data", "in-init"]
    assert listed[0]["id"] == kept


def test_a_list_is_paged_and_filtered(cloud: StillCloud) -> None:
    create(cloud, count=4)
    cloud.now += 60

    def names(query: str) -> list[str]:
        return [one["name"][-1] for one in json_of(cloud.call("GET", f"{VOLUMES}/detail?{query}"))["volumes"]]

    second = json_of(cloud.call("GET", f"{VOLUMES}/detail?name=data-0002"))
    assert second["count"] == 1
    assert names("limit=2") == ["1", "2"]
    assert names("limit=2&offset=3") == ["4"]
    assert names(f"marker={second['volumes'][0]['id']}&limit=1") == ["3"]
    assert names("status=creating") == []
    assert names("status=available") == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=many", "offset=-1", "offset=%C2%B2", "marker=nobody"]
)
def test_a_page_that_cannot_be_is_refused(cloud: StillCloud, query: str) -> None:
    assert cloud.call("GET", f"{VOLUMES}/detail?{query}").status == 400


def test_volumes_of_another_project_are_not_listed(cloud: StillCloud) -> None:
    volume_of(cloud)
    other = "b" * 32
    cloud.admin("POST", "projects", {"project_id": other, "name": "eu-de_other", "domain": "demo-domain"})
    cloud.admin("POST", "tokens", {"token": "other", "project_id": other})
    headers = {"X-Auth-Token": "other"}
    assert json_of(cloud.call("GET", f"/v2/{other}/cloudvolumes/detail", headers=headers))["volumes"] == []
    assert cloud.call("GET", f"{VOLUMES}/detail", headers=headers).status == 400
