"""Tokens and temporary credentials as IAM gives them (docs/reference/jobs-api.md#signing-in)."""

from __future__ import annotations

from typing import Any

import pytest

from evs_simulator.wire import Answer
from support.simulator import PROJECT, StillCloud, json_of

USER = {"name": "demo", "password": "demo-password", "domain": {"name": "demo-domain"}}
BY_ID = {"project": {"id": PROJECT}}


@pytest.fixture
def cloud() -> StillCloud:
    return StillCloud()


def ask(cloud: StillCloud, user: dict[str, Any], scope: dict[str, Any], query: str = "?nocatalog=true") -> Answer:
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": scope}}
    return cloud.call("POST", f"/v3/auth/tokens{query}", body, headers={})


def polled(cloud: StillCloud, token: str) -> int:
    return cloud.call("GET", f"/v1/{PROJECT}/jobs/{cloud.add_job()}", headers={"X-Auth-Token": token}).status


def e3(answer: Answer) -> tuple[int, int, str]:
    body = json_of(answer)["error"]
    return answer.status, body["code"], body["message"]


@pytest.mark.parametrize(
    "scope",
    [
        BY_ID,
        {"project": {"name": "eu-de_demo"}},
        {"project": {"name": "eu-de_demo", "domain": {"name": "demo-domain"}}},
        {**BY_ID, "domain": {"name": "demo-domain"}},
    ],
)
def test_a_password_gives_a_token_for_the_project(cloud: StillCloud, scope: dict[str, Any]) -> None:
    answer = ask(cloud, USER, scope)
    token = answer.headers["X-Subject-Token"]
    body = json_of(answer)["token"]
    assert (answer.status, token[:3], len(token)) == (201, "MII", 3000)
    assert (body["project"]["id"], body["expires_at"]) == (PROJECT, "2026-02-04T09:15:00.000000Z")
    assert token not in answer.body.decode()
    assert polled(cloud, token) == 200


def test_a_user_may_be_named_by_id(cloud: StillCloud) -> None:
    user_id = json_of(ask(cloud, USER, BY_ID))["token"]["user"]["id"]
    assert ask(cloud, {"id": user_id, "password": "demo-password"}, BY_ID).status == 201


def test_a_domain_token_is_good_for_no_evs_call(cloud: StillCloud) -> None:
    answer = ask(cloud, USER, {"domain": {"name": "demo-domain"}})
    assert "project" not in json_of(answer)["token"]
    assert polled(cloud, answer.headers["X-Subject-Token"]) == 400


def test_the_catalog_comes_unless_it_is_declined(cloud: StillCloud) -> None:
    assert "catalog" not in json_of(ask(cloud, USER, BY_ID))["token"]
    catalog = json_of(ask(cloud, USER, BY_ID, ""))["token"]["catalog"]
    assert {entry["type"] for entry in catalog} == {"volume", "volumev2", "volumev3"}


@pytest.mark.parametrize("below", ["", "/volumes", "/volumes/detail", "/volumes/{volume}", "/cloudvolumes/detail"])
def test_every_url_of_the_catalog_is_served(cloud: StillCloud, below: str) -> None:
    volume = {"volume": {"name": "data", "size": 40, "volume_type": "SSD", "availability_zone": "eu-de-01"}}
    job = json_of(cloud.call("POST", f"/v2/{PROJECT}/cloudvolumes", volume))["job_id"]
    cloud.now += 60
    given = cloud.job(job)["entities"]["volume_id"]
    answer = ask(cloud, USER, BY_ID, "")
    headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    urls = [end["url"] for entry in json_of(answer)["token"]["catalog"] for end in entry["endpoints"]]
    assert len(urls) == 3
    for url in urls:
        assert url.startswith("http://evs.example.com/")
        path = url.removeprefix("http://evs.example.com") + below.format(volume=given)
        assert cloud.call("GET", path, headers=headers).status == 200, path


def test_a_token_of_no_project_has_no_volumes_in_its_catalog(cloud: StillCloud) -> None:
    answer = ask(cloud, USER, {"domain": {"name": "demo-domain"}}, "")
    assert answer.status == 201
    assert json_of(answer)["token"]["catalog"] == []


@pytest.mark.parametrize("length", [9_000, 20_000])
def test_tokens_may_be_long(cloud: StillCloud, length: int) -> None:
    cloud.admin("PUT", "settings", {"token_length": length})
    token = ask(cloud, USER, BY_ID).headers["X-Subject-Token"]
    assert len(token) == length
    assert polled(cloud, token) == 200


def test_a_token_lives_for_a_day_and_a_new_one_does_not_end_it(cloud: StillCloud) -> None:
    token = ask(cloud, USER, BY_ID).headers["X-Subject-Token"]
    cloud.now += 86_399
    ask(cloud, USER, BY_ID)
    assert polled(cloud, token) == 200
    cloud.now += 1
    assert polled(cloud, token) == 401


@pytest.mark.parametrize("user", [{**USER, "password": "wrong"}, {**USER, "name": "nobody"}])
def test_a_wrong_name_or_password_is_401_with_a_number_for_a_code(cloud: StillCloud, user: dict[str, Any]) -> None:
    assert e3(ask(cloud, user, BY_ID)) == (401, 401, "The username or password is wrong.")


def test_a_locked_user_is_refused(cloud: StillCloud) -> None:
    cloud.admin("POST", "users", {"name": "demo", "locked": True})
    answer = ask(cloud, USER, BY_ID)
    assert (answer.status, json_of(answer)["error_code"]) == (401, "IAM.0061")


def test_an_unknown_project_is_refused(cloud: StillCloud) -> None:
    assert e3(ask(cloud, USER, {"project": {"name": "nowhere"}}))[:2] == (401, 401)


NO_METHODS: list[Any] = [["totp"], [{}], [], "password"]
BAD_METHODS = [{"auth": {"identity": {"methods": methods}}} for methods in NO_METHODS]


@pytest.mark.parametrize("body", [b"", b"[]", {"auth": {}}, *BAD_METHODS])
def test_a_bad_body_is_400(cloud: StillCloud, body: Any) -> None:
    assert e3(cloud.call("POST", "/v3/auth/tokens", body, headers={}))[:2] == (400, 400)


def test_an_agency_gives_a_token_to_who_has_one(cloud: StillCloud) -> None:
    identity = {"methods": ["assume_role"], "assume_role": {"domain_name": "demo-domain", "agency_name": "ops"}}
    body = {"auth": {"identity": identity, "scope": BY_ID}}
    assert cloud.call("POST", "/v3/auth/tokens", body, headers={}).status == 401
    assert cloud.call("POST", "/v3/auth/tokens", body).status == 201


def test_a_token_can_be_checked(cloud: StillCloud) -> None:
    token = ask(cloud, USER, BY_ID).headers["X-Subject-Token"]
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    assert json_of(cloud.call("GET", "/v3/auth/tokens", headers=headers))["token"]["project"]["id"] == PROJECT
    assert cloud.call("GET", "/v3/auth/tokens", headers={**headers, "X-Subject-Token": "gone"}).status == 404
    assert e3(cloud.call("GET", "/v3/auth/tokens", headers={}))[:2] == (401, 401)


def test_an_expired_token_opens_nothing_at_iam(cloud: StillCloud) -> None:
    cloud.admin("POST", "tokens", {"token": "demo-token", "expires_in": 60})
    assert cloud.call("GET", "/v3/projects").status == 200
    cloud.now += 60
    assert e3(cloud.call("GET", "/v3/projects"))[:2] == (401, 401)


def test_a_project_is_found_by_its_name(cloud: StillCloud) -> None:
    found = json_of(cloud.call("GET", "/v3/projects?name=eu-de_demo"))["projects"]
    assert [project["id"] for project in found] == [PROJECT]
    assert json_of(cloud.call("GET", "/v3/projects?name=eu-de"))["projects"] == []


def test_a_token_can_be_swapped_for_a_temporary_key(cloud: StillCloud) -> None:
    identity = {"methods": ["token"], "token": {"duration_seconds": 3600}}
    answer = cloud.call("POST", "/v3.0/OS-CREDENTIAL/securitytokens", {"auth": {"identity": identity}})
    credential = json_of(answer)["credential"]
    assert (answer.status, credential["expires_at"]) == (201, "2026-02-03T10:15:00.000000Z")
    assert credential.keys() == {"access", "secret", "securitytoken", "expires_at"}
    assert credential["access"] in cloud.world.accounts.access_keys


@pytest.mark.parametrize("seconds", [899, 86_401, "900", True])
def test_a_temporary_key_lives_between_15_minutes_and_a_day(cloud: StillCloud, seconds: object) -> None:
    identity = {"methods": ["token"], "token": {"duration_seconds": seconds}}
    answer = cloud.call("POST", "/v3.0/OS-CREDENTIAL/securitytokens", {"auth": {"identity": identity}})
    assert answer.status == 400


def test_an_identity_token_gives_a_token(cloud: StillCloud) -> None:
    body = {"auth": {"id_token": {"id": "aGVhZA.Ym9keQ.c2ln"}, "scope": {"project": {"name": "eu-de_demo"}}}}
    answer = cloud.call("POST", "/v3.0/OS-AUTH/id-token/tokens", body, headers={"X-Idp-Id": "cluster"})
    assert answer.status == 201
    assert polled(cloud, answer.headers["X-Subject-Token"]) == 200
    assert cloud.call("POST", "/v3.0/OS-AUTH/id-token/tokens", body, headers={}).status == 400


@pytest.mark.parametrize("life", [None, "0", "21601", "-1", "a", "9" * 5000])
def test_the_metadata_service_gives_no_token_for_a_wrong_life(cloud: StillCloud, life: str | None) -> None:
    headers = {} if life is None else {"X-Metadata-Token-Ttl-Seconds": life}
    assert cloud.call("PUT", "/meta-data/latest/api/token", headers=headers).status == 400


def test_a_node_gets_its_key_from_the_metadata_with_or_without_a_token(cloud: StillCloud) -> None:
    life = {"X-Metadata-Token-Ttl-Seconds": "21600"}
    token = cloud.call("PUT", "/meta-data/latest/api/token", headers=life).body.decode()
    for headers in ({}, {"X-Metadata-Token": token}):
        answer = cloud.call("GET", "/openstack/latest/securitykey", headers=headers)
        assert json_of(answer)["credential"]["expires_at"] == "2026-02-03T15:15:00.000000Z"
    assert cloud.call("GET", "/openstack/latest/securitykey", headers={"X-Metadata-Token": "x"}).status == 401
    cloud.admin("PUT", "settings", {"agency": False})
    answer = cloud.call("GET", "/openstack/latest/securitykey", headers={})
    assert (answer.status, answer.body) == (401, b"Please configure Cloud Service Agency first")
