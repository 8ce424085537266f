"""The client against the simulated cloud, over HTTP: every credential, every job, every way an answer goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evs_operator.cloud.auth.credentials import AccessKey, Credentials, Password, Token
from evs_operator.cloud.auth.sign_in import auth_for
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.endpoints import AllowList
from evs_operator.evs import errors
from evs_operator.evs.job import Job, JobOutcome
from evs_simulator.world import DEMO_ACCESS_KEY, DEMO_SECRET_KEY
from support.simulator import PROJECT, TOKEN, SimulatorProcess

KEY = AccessKey(DEMO_ACCESS_KEY, DEMO_SECRET_KEY)
OTHER_PROJECT = "1" * 32


@pytest.fixture
def cloud(process: SimulatorProcess) -> SimulatorProcess:
    process.set_clock(stopped=False, offset=0)
    process.reset()
    process.admin("DELETE", "requests")
    return process


class Asker:
    """Asks the simulated cloud with one credential and one client for all its calls."""

    def __init__(self, cloud: SimulatorProcess) -> None:
        self.cloud = cloud
        self.clients: list[EvsClient] = []
        self.skew = timedelta()
        self.client = self.sign_in(Token(TOKEN))

    def password(self, password: str = "demo-password") -> Password:
        return Password("demo", password, "demo-domain", self.cloud.url)

    def sign_in(self, credentials: Credentials, project: str = PROJECT, **limits: Any) -> EvsClient:
        auth = auth_for(credentials, project, clock=lambda: datetime.now(UTC) + self.skew)
        self.client = EvsClient(self.cloud.url, auth, **limits)
        self.clients.append(self.client)
        return self.client

    async def get(self, job: str, project: str = PROJECT) -> Job:
        return await self.client.get_job(project, job)

    async def refused(self, job: str = "0" * 32, project: str = PROJECT) -> errors.CloudError:
        with pytest.raises(errors.CloudError) as raised:
            await self.get(job, project)
        return raised.value


@pytest.fixture
async def asker(cloud: SimulatorProcess) -> AsyncIterator[Asker]:
    asker = Asker(cloud)
    yield asker
    for client in asker.clients:
        await client.aclose()


async def test_a_job_is_followed_from_its_first_word_to_its_last(cloud: SimulatorProcess, asker: Asker) -> None:
    cloud.set_clock(stopped=True)
    job = cloud.add_job(volume={"name": "pvc-7f21", "size": 40, "volume_type": "SAS"})
    words = []
    for _ in range(12):
        found = await asker.get(job)
        words.append(found.status)
        cloud.set_clock(advance=1)
    assert list(dict.fromkeys(words)) == ["INIT", "RUNNING", "SUCCESS"]
    assert {key: found.entities[key] for key in ("name", "size", "volume_type")} == {
        "name": "pvc-7f21",
        "size": "40",
        "volume_type": "SAS",
    }
    assert found.begin_time is not None
    assert found.end_time is not None
    assert found.end_time - found.begin_time == timedelta(seconds=8)


async def test_a_failed_batch_tells_which_of_its_jobs_failed(cloud: SimulatorProcess, asker: Asker) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=4, failing={"3": "EVS.5413"}, begin_in=-600)
    found = await asker.get(job)
    assert (found.outcome, found.job_type) == (JobOutcome.FAILED, "batchCreateVolume")
    assert [inner.outcome is JobOutcome.FAILED for inner in found.sub_jobs] == [False, False, True, False]
    assert found.sub_jobs[2].error_code == "EVS.5413"


@pytest.mark.parametrize(
    "variant",
    [
        *("omit_null_errors", "entities_null", "entities_absent", "entities_list", "sub_jobs_null", "extra_fields"),
        *("sub_jobs_empty_string", "sub_jobs_empty_list", "sub_jobs_absent", "chinese_reason", "json_reason"),
        *({"time_style": style} for style in ("no_fraction", "blank", "micros", "no_zone", "empty", "null", "garbage")),
        *({"long_reason": 200}, "secret_reason", {"time_style": "absent"}),
    ],
)
async def test_no_variant_of_the_body_hides_that_a_job_failed(
    cloud: SimulatorProcess, asker: Asker, variant: Any
) -> None:
    variants = variant if isinstance(variant, dict) else [variant]
    found = await asker.get(cloud.add_job(error_code="EVS.2024", begin_in=-60, variants=variants))
    assert found.outcome is JobOutcome.FAILED


async def test_sub_jobs_beside_entities_are_found(cloud: SimulatorProcess, asker: Asker) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=3, begin_in=-60, variants=["sub_jobs_top_level"])
    assert len((await asker.get(job)).sub_jobs) == 3


async def test_every_credential_is_accepted(cloud: SimulatorProcess, asker: Asker) -> None:
    job = cloud.add_job(begin_in=-60)
    cloud.admin("POST", "access_keys", {"access_key": "TEMPORARY", "secret_key": "s", "security_token": "t" * 3000})
    temporary = AccessKey("TEMPORARY", "s", "t" * 3000)
    for credentials in (Token(TOKEN), KEY, temporary, asker.password()):
        asker.sign_in(credentials)
        assert (await asker.get(job)).status == "SUCCESS"


async def test_a_request_carries_what_the_api_wants_and_nothing_of_the_environment(
    cloud: SimulatorProcess, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    asker.sign_in(Token(TOKEN))
    job = cloud.add_job(headers={"Set-Cookie": "session=1; Path=/"}, body='{"status":"RUNNING","entities":{}}')
    await asker.get(job)
    await asker.get(job)
    request = cloud.requests("/jobs/")[-1]
    assert (request["method"], request["path"], request["query"]) == ("GET", f"/v1/{PROJECT}/jobs/{job}", "")
    headers = {name.lower(): value for name, value in request["headers"].items()}
    assert headers["accept"] == headers["content-type"] == "application/json"
    assert (headers["x-language"], headers["x-project-id"]) == ("en-us", PROJECT)
    assert "cookie" not in headers


async def test_a_token_of_20_kilobytes_is_taken_from_iam_and_sent(cloud: SimulatorProcess, asker: Asker) -> None:
    cloud.admin("PUT", "settings", {"token_length": 20_000})
    asker.sign_in(asker.password())
    assert (await asker.get(cloud.add_job(begin_in=-60))).status == "SUCCESS"


async def test_many_callers_share_one_token(cloud: SimulatorProcess, asker: Asker) -> None:
    job = cloud.add_job(begin_in=-60)
    asker.sign_in(asker.password())
    await asyncio.gather(*(asker.get(job) for _ in range(30)))
    assert len(cloud.requests("/v3/auth/tokens")) == 1


@pytest.mark.parametrize("style", ["APIGW.0307", "Common.0013"])
async def test_a_token_that_iam_gave_is_renewed_when_it_expires(
    cloud: SimulatorProcess, asker: Asker, style: str
) -> None:
    cloud.admin("PUT", "settings", {"expired_token_style": style})
    job = cloud.add_job(begin_in=-60)
    asker.sign_in(asker.password())
    await asker.get(job)
    cloud.set_clock(advance=25 * 3600)
    late = cloud.add_job(begin_in=-60)
    assert (await asker.get(late)).status == "SUCCESS"
    assert len(cloud.requests("/v3/auth/tokens")) == 2
    assert [entry["status"] < 300 for entry in cloud.requests("/jobs/")] == [True, False, True]


async def test_a_wrong_password_is_told_to_iam_once(cloud: SimulatorProcess, asker: Asker) -> None:
    asker.sign_in(asker.password("wrong"))
    for _ in range(3):
        found = await asker.refused()
        assert type(found) is errors.Unauthorized
    assert len(cloud.requests("/v3/auth/tokens")) == 1
    assert "wrong" not in found.message.replace("password is wrong", "")


async def test_a_ready_made_token_that_expired_is_refused_without_a_second_try(
    cloud: SimulatorProcess, asker: Asker
) -> None:
    cloud.admin("POST", "tokens", {"token": "old-token", "expires_in": -5})
    asker.sign_in(Token("old-token"))
    assert type(await asker.refused()) is errors.Unauthorized
    assert len(cloud.requests("/jobs/")) == 1


@pytest.mark.parametrize("minutes", [-40, 40, 60 * 24 * 400])
async def test_a_clock_that_is_off_is_corrected_once_and_for_all(
    cloud: SimulatorProcess, asker: Asker, minutes: int
) -> None:
    asker.skew = timedelta(minutes=minutes)
    job = cloud.add_job(begin_in=-60)
    asker.sign_in(KEY)
    assert (await asker.get(job)).status == "SUCCESS"
    assert (await asker.get(job)).status == "SUCCESS"
    assert [entry["status"] for entry in cloud.requests("/jobs/")] == [401, 200, 200]


async def test_wrong_keys_are_refused_and_then_locked(cloud: SimulatorProcess, asker: Asker) -> None:
    asker.sign_in(AccessKey("NOSUCHKEY", "s"))
    assert type(await asker.refused()) is errors.Unauthorized
    asker.sign_in(AccessKey(DEMO_ACCESS_KEY, "wrong-secret"))
    kinds = [type(await asker.refused()) for _ in range(8)]
    assert kinds[0] is errors.Unauthorized
    assert kinds[-1] is errors.AccessKeyLocked
    assert len(cloud.requests("/jobs/")) == 9


async def test_a_refused_signature_tells_no_secret(cloud: SimulatorProcess, asker: Asker) -> None:
    cloud.admin("POST", "access_keys", {"access_key": "TEMPORARY", "secret_key": "s", "security_token": "st-value"})
    asker.sign_in(AccessKey("TEMPORARY", "another-secret", "st-value"))
    found = await asker.refused()
    assert "another-secret" not in found.message
    assert "st-value" not in found.message


async def test_another_project_is_the_wrong_project(cloud: SimulatorProcess, asker: Asker) -> None:
    cloud.admin("POST", "projects", {"project_id": OTHER_PROJECT, "name": "eu-de_other", "domain": "demo-domain"})
    assert type(await asker.refused(project=OTHER_PROJECT)) is errors.WrongProject


async def test_a_job_that_is_not_there_is_missing(cloud: SimulatorProcess, asker: Asker) -> None:
    job = cloud.add_job(begin_in=-60)
    await asker.get(job)
    cloud.remove_job(job)
    found = await asker.refused(job)
    assert (type(found), found.code, found.http_status) == (errors.JobMissing, "Common.0011", 400)
    assert found.request_id


FAULTS: list[tuple[dict[str, Any], type[errors.CloudError]]] = [
    ({"kind": "envelope", "http_status": 503, "code": "EVS.5503"}, errors.ServerError),
    ({"kind": "envelope", "http_status": 403, "code": "EVS.5403"}, errors.Forbidden),
    ({"kind": "envelope", "envelope": "E2", "http_status": 404, "code": "APIGW.0101"}, errors.EndpointInvalid),
    ({"kind": "envelope", "envelope": "E4", "http_status": 404, "code": "itemNotFound"}, errors.JobMissing),
    ({"kind": "envelope", "envelope": "E8", "http_status": 401}, errors.Unauthorized),
    ({"kind": "envelope", "envelope": "E9", "http_status": 404}, errors.EndpointInvalid),
    ({"kind": "envelope", "envelope": "E10", "http_status": 500}, errors.ServerError),
    ({"kind": "throttled"}, errors.RateLimited),
    ({"kind": "bad_gateway"}, errors.ServerError),
    ({"kind": "error_under_200"}, errors.JobMissing),
    ({"kind": "error_under_200", "code": "Made.0001"}, errors.Rejected),
    ({"kind": "html"}, errors.InvalidResponse),
    ({"kind": "empty"}, errors.InvalidResponse),
    ({"kind": "redirect"}, errors.EndpointInvalid),
    ({"kind": "reset_before_headers"}, errors.Unreachable),
    ({"kind": "reset_after_headers"}, errors.Unreachable),
    ({"kind": "truncated_json"}, errors.InvalidResponse),
    ({"kind": "other_job_id"}, errors.InvalidResponse),
    ({"kind": "raw", "body": '{"status":"SUCCESS"}', "http_status": 500}, errors.ServerError),
    ({"kind": "delay", "seconds": 30}, errors.PollTimeout),
    ({"kind": "slow_body", "seconds": 30}, errors.PollTimeout),
]


@pytest.mark.parametrize(("fault", "kind"), FAULTS, ids=[str(fault["kind"]) for fault, _ in FAULTS])
async def test_every_fault_is_the_error_that_it_means_and_the_next_call_is_well(
    cloud: SimulatorProcess, asker: Asker, fault: dict[str, Any], kind: type[errors.CloudError]
) -> None:
    job = cloud.add_job(begin_in=-60)
    cloud.add_fault(**fault, match={"path": "/jobs/"})
    asker.sign_in(Token(TOKEN), read_timeout=0.5, total_timeout=1.0)
    first, second = await asker.refused(job), await asker.refused(job)
    assert type(first) is type(second) is kind
    assert first.message == second.message
    cloud.clear_faults()
    assert (await asker.get(job)).status == "SUCCESS"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "UTF-8", "none"])
async def test_a_wrong_content_coding_is_no_obstacle(cloud: SimulatorProcess, asker: Asker, coding: str) -> None:
    job = cloud.add_job(begin_in=-60)
    cloud.add_fault(kind="headers", headers={"Content-Encoding": coding}, match={"path": "/jobs/"})
    asker.sign_in(Token(TOKEN))
    assert (await asker.get(job)).status == "SUCCESS"
    cloud.clear_faults()


async def test_a_wrong_content_type_is_no_obstacle(cloud: SimulatorProcess, asker: Asker) -> None:
    job = cloud.add_job(begin_in=-60)
    cloud.add_fault("wrong_content_type", match={"path": "/jobs/"})
    assert (await asker.get(job)).status == "SUCCESS"


@pytest.mark.parametrize(("options", "wait"), [({"retry_after": "7"}, 7), ({"time": "5 second"}, 5), ({}, 60)])
async def test_a_throttle_says_how_long_to_wait(
    cloud: SimulatorProcess, asker: Asker, options: dict[str, str], wait: float
) -> None:
    cloud.add_fault("throttled", **options)
    found = await asker.refused()
    assert isinstance(found, errors.RateLimited)
    assert found.retry_after == wait


async def test_trouble_of_iam_names_iam(cloud: SimulatorProcess, asker: Asker) -> None:
    asker.sign_in(asker.password())
    cloud.add_fault("iam_throttled", match={"path": "/v3/auth/tokens"})
    found = await asker.refused()
    assert (type(found), found.code) == (errors.RateLimited, "IAM.0012")
    assert "IAM 127.0.0.1" in found.message
    cloud.clear_faults()
    assert type(await asker.refused()) is errors.RateLimited  # IAM is left alone for a minute
    assert len(cloud.requests("/v3/auth/tokens")) == 1


async def test_a_host_that_is_not_permitted_gets_no_request(cloud: SimulatorProcess, asker: Asker) -> None:
    asker.sign_in(Token(TOKEN), allow=AllowList())
    found = await asker.refused()
    assert type(found) is errors.EndpointRefused
    assert "--allow-endpoint" in found.message
    assert cloud.requests() == []
    asker.sign_in(Token(TOKEN), allow=AllowList([cloud.url]))
    assert type(await asker.refused()) is errors.JobMissing


async def test_a_batch_of_ten_thousand_is_read(cloud: SimulatorProcess, asker: Asker) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=10_000, duration=20, begin_in=-600)
    assert len((await asker.get(job)).sub_jobs) == 10_000
