"""The vendor's SDK, unchanged, as an independent client of the simulator: what it accepts, a real cloud would send."""

from __future__ import annotations

from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials  # type: ignore[import-untyped]
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException  # type: ignore[import-untyped]
from huaweicloudsdkevs.v2 import (  # type: ignore[import-untyped]
    CreateVolumeOption,
    CreateVolumeRequest,
    CreateVolumeRequestBody,
    EvsClient,
    ListVolumesRequest,
    ShowJobRequest,
)

from evs_simulator.world import DEMO_ACCESS_KEY, DEMO_SECRET_KEY
from support.simulator import PROJECT, SimulatorProcess


@pytest.fixture
def cloud(process: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> SimulatorProcess:
    for name in ("no_proxy", "NO_PROXY"):  # the SDK asks the environment for a proxy
        monkeypatch.setenv(name, "127.0.0.1")
    process.set_clock(stopped=False, offset=0)
    process.reset()
    return process


def client(
    cloud: SimulatorProcess, key: str = DEMO_ACCESS_KEY, secret: str = DEMO_SECRET_KEY, security_token: str = ""
) -> Any:
    credentials = BasicCredentials(key, secret, PROJECT)
    if security_token:
        credentials = credentials.with_security_token(security_token)
    return EvsClient.new_builder().with_credentials(credentials).with_endpoint(cloud.url).build()


def refused(client: Any, job: str) -> Any:
    with pytest.raises(ClientRequestException) as raised:
        client.show_job(ShowJobRequest(job_id=job))
    return raised.value


def test_the_sdk_sees_a_job_that_has_ended(cloud: SimulatorProcess) -> None:
    job = cloud.add_job(begin_in=-60, volume={"name": "pvc-7f21", "size": 40, "volume_type": "SAS"})
    answer = client(cloud).show_job(ShowJobRequest(job_id=job))
    assert (answer.status, answer.job_id, answer.job_type) == ("SUCCESS", job, "createVolume")
    assert (answer.entities.name, answer.entities.size, answer.entities.volume_type) == ("pvc-7f21", 40, "SAS")
    assert answer.error_code is None


def test_the_sdk_sees_the_sub_jobs_of_a_batch(cloud: SimulatorProcess) -> None:
    spec = {"job_type": "batchCreateVolume", "sub_jobs": 3, "failing": {"3": "EVS.5413"}}
    answer = client(cloud).show_job(ShowJobRequest(job_id=cloud.add_job(begin_in=-60, **spec)))
    assert answer.status == "FAIL"
    subs = answer.entities.sub_jobs
    assert [sub.status for sub in subs] == ["SUCCESS", "SUCCESS", "FAIL"]
    assert (subs[2].error_code, subs[2].entities.volume_id) == ("EVS.5413", None)


def test_the_sdk_reads_the_error_of_evs(cloud: SimulatorProcess) -> None:
    error = refused(client(cloud), "0" * 32)
    assert (error.status_code, error.error_code, error.error_msg) == (400, "Common.0011", "query job fail.")


def test_the_sdk_reads_the_error_of_the_gateway(cloud: SimulatorProcess) -> None:
    error = refused(client(cloud, secret="wrong"), cloud.add_job())
    assert (error.status_code, error.error_code) == (401, "APIGW.0301")
    assert "verify aksk signature fail" in str(error.error_msg)
    assert error.request_id == cloud.requests()[-1]["request_id"]


def test_the_sdk_signs_with_a_temporary_key(cloud: SimulatorProcess) -> None:
    key = {"access_key": "HSTSDK", "secret_key": "sdk-secret", "security_token": "sts", "expires_in": 900}
    cloud.admin("POST", "access_keys", key)
    job = cloud.add_job(begin_in=-60)
    answer = client(cloud, "HSTSDK", "sdk-secret", "sts").show_job(ShowJobRequest(job_id=job))
    assert answer.status == "SUCCESS"
    assert refused(client(cloud, "HSTSDK", "sdk-secret", "another"), job).status_code == 401


def test_the_sdks_signature_ages(cloud: SimulatorProcess) -> None:
    cloud.set_clock(offset=1000)
    error = refused(client(cloud), cloud.add_job())
    assert "signature expired" in str(error.error_msg)


def test_the_sdk_creates_a_batch_and_follows_it(cloud: SimulatorProcess) -> None:
    sdk = client(cloud)
    metadata = {"__sim_fail_some": "EVS.5413"}
    volume = CreateVolumeOption(
        availability_zone="eu-de-01", name="data", size=10, volume_type="SSD", count=2, metadata=metadata
    )
    job = sdk.create_volume(CreateVolumeRequest(body=CreateVolumeRequestBody(volume=volume))).job_id
    cloud.change_job(job, begin_in=-60)
    answer = sdk.show_job(ShowJobRequest(job_id=job))
    assert (answer.job_type, answer.status) == ("batchCreateVolume", "FAIL")
    assert [sub.entities.name for sub in answer.entities.sub_jobs] == ["data-0001", None]


def test_the_sdk_lists_volumes(cloud: SimulatorProcess) -> None:
    sdk = client(cloud)
    volume = CreateVolumeOption(availability_zone="eu-de-01", name="data", size=10, volume_type="SSD", count=3)
    job = sdk.create_volume(CreateVolumeRequest(body=CreateVolumeRequestBody(volume=volume))).job_id
    cloud.set_clock(advance=60)
    answer = sdk.list_volumes(ListVolumesRequest(limit=2))
    assert answer.count == 3
    assert [one.name for one in answer.volumes] == ["data-0001", "data-0002"]
    ids = {sub.entities.volume_id for sub in sdk.show_job(ShowJobRequest(job_id=job)).entities.sub_jobs}
    assert {one.id for one in sdk.list_volumes(ListVolumesRequest()).volumes} == ids
