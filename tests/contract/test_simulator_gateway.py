"""Who is refused, in which words and order (docs/reference/jobs-api.md#what-the-simulator-assumes)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from evs_simulator.iam import signing
from evs_simulator.wire import Answer
from evs_simulator.world import DEMO_ACCESS_KEY, DEMO_SECRET_KEY
from support.simulator import PROJECT, StillCloud, json_of

OTHER = "1" * 32


@pytest.fixture
def cloud() -> StillCloud:
    return StillCloud()


@pytest.fixture
def job(cloud: StillCloud) -> str:
    return cloud.add_job()


def ask(cloud: StillCloud, job: str, headers: dict[str, str] | None = None, project: str = PROJECT) -> Answer:
    return cloud.call("GET", f"/v1/{project}/jobs/{job}", headers=headers)


def signed(
    cloud: StillCloud,
    job: str,
    *,
    secret: str = DEMO_SECRET_KEY,
    key: str = DEMO_ACCESS_KEY,
    late: float = 0.0,
    scope: str | None = None,
    project: str | None = PROJECT,
) -> dict[str, str]:
    date = datetime.fromtimestamp(cloud.now - late, UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"x-sdk-date": date}
    if project is not None:
        headers["x-project-id"] = project
    names = sorted([*headers, "host"])
    shown = {**headers, "host": "evs.example.com"}
    empty = hashlib.sha256(b"").hexdigest()
    canonical = signing.canonical_request("GET", f"/v1/{PROJECT}/jobs/{job}", "", shown.get, names, empty)
    who = f"Access={key}" if scope is None else f"Credential={key}/{scope}"
    signature = signing.signature(secret, date, canonical, scope)
    authorization = f"SDK-HMAC-SHA256 {who}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return {**headers, "Authorization": authorization}


def refusal(answer: Answer) -> tuple[int, str, str]:
    body = json_of(answer)
    return answer.status, body["error_code"], body["error_msg"]


def error(answer: Answer) -> tuple[int, str, str]:
    body = json_of(answer)["error"]
    return answer.status, body["code"], body["message"]


def test_a_gateway_error_names_its_request_and_its_server(cloud: StillCloud, job: str) -> None:
    answer = ask(cloud, job, {})
    assert answer.headers["Server"] == "api-gateway"
    assert len(json_of(answer)["request_id"]) == 32


def test_no_credentials_are_401(cloud: StillCloud, job: str) -> None:
    text = "Incorrect IAM authentication information: x-auth-token not found"
    assert refusal(ask(cloud, job, {})) == (401, "APIGW.0301", text)


def test_an_unknown_token_is_401(cloud: StillCloud, job: str) -> None:
    text = "Incorrect IAM authentication information: decrypt token fail"
    assert refusal(ask(cloud, job, {"X-Auth-Token": "MIIgarbled"})) == (401, "APIGW.0301", text)


def test_an_expired_token_is_refused_by_the_gateway_or_by_evs(cloud: StillCloud, job: str) -> None:
    cloud.admin("POST", "tokens", {"token": "short", "expires_in": 10})
    cloud.now += 10
    assert refusal(ask(cloud, job, {"X-Auth-Token": "short"}))[:2] == (401, "APIGW.0307")
    cloud.admin("PUT", "settings", {"expired_token_style": "Common.0013"})
    expected = (400, "Common.0013", "Invalid token in the header.")
    assert error(ask(cloud, job, {"X-Auth-Token": "short"})) == expected


def test_a_revoked_token_is_401(cloud: StillCloud, job: str) -> None:
    cloud.admin("POST", "tokens", {"token": "demo-token", "revoked": True})
    assert refusal(ask(cloud, job))[:2] == (401, "APIGW.0301")


def test_a_removed_token_is_one_that_nobody_issued(cloud: StillCloud, job: str) -> None:
    cloud.admin("POST", "tokens", {"token": "a/b+c="})
    headers = {"X-Auth-Token": "a/b+c="}
    assert ask(cloud, job, headers).status == 200
    cloud.admin("DELETE", "tokens/a%2Fb+c=")
    assert refusal(ask(cloud, job, headers))[:2] == (401, "APIGW.0301")
    assert cloud.call("DELETE", "/_sim/tokens/a%2Fb+c=").status == 404


def test_a_token_is_good_for_its_project_only(cloud: StillCloud, job: str) -> None:
    cloud.admin("POST", "projects", {"project_id": OTHER})
    expected = (400, "Common.0018", "Invalid token in the header")
    assert error(ask(cloud, job, project=OTHER)) == expected


def test_an_unknown_job_and_one_of_another_project_are_400(cloud: StillCloud) -> None:
    expected = (400, "Common.0011", "query job fail.")
    assert error(ask(cloud, "0" * 32)) == expected
    cloud.admin("POST", "projects", {"project_id": OTHER})
    assert error(ask(cloud, cloud.add_job(project_id=OTHER))) == expected


def test_unknown_paths_and_hosts_are_404_of_the_gateway(cloud: StillCloud, job: str) -> None:
    for path in ("*", "/", f"/v3/{PROJECT}/jobs/{job}", f"/v1/{PROJECT}/jobs/", f"/v1/{PROJECT}/jobs/{job}/more"):
        assert refusal(cloud.call("GET", path, headers={}))[:2] == (404, "APIGW.0101")
    cloud.admin("PUT", "settings", {"host": "evs.eu-de.example.com"})
    assert refusal(ask(cloud, job))[:2] == (404, "APIGW.0101")


def test_headers_of_more_than_32_kilobytes_are_494(cloud: StillCloud, job: str) -> None:
    assert ask(cloud, job, {"X-Auth-Token": "M" * 33_000}).status == 494


@pytest.mark.parametrize("scope", [None, "20260203///sdk_request", "20260203/eu-de/evs/sdk_request"])
def test_both_signing_dialects_are_accepted(cloud: StillCloud, job: str, scope: str | None) -> None:
    assert ask(cloud, job, signed(cloud, job, scope=scope)).status == 200


def test_a_malformed_signature_is_401(cloud: StillCloud, job: str) -> None:
    assert refusal(ask(cloud, job, {"Authorization": "SDK-HMAC-SHA256 nonsense"}))[:2] == (401, "APIGW.0301")


def test_an_unknown_and_a_disabled_access_key_do_not_exist(cloud: StillCloud, job: str) -> None:
    text = "Incorrect IAM authentication information: Get secretKey failed,ak:{},err:ak not exist"
    assert refusal(ask(cloud, job, signed(cloud, job, key="AKNOBODY")))[2] == text.format("AKNOBODY")
    cloud.admin("POST", "access_keys", {"access_key": DEMO_ACCESS_KEY, "active": False})
    assert refusal(ask(cloud, job, signed(cloud, job)))[2] == text.format(DEMO_ACCESS_KEY)


@pytest.mark.parametrize("late", [901.0, -901.0])
def test_a_signature_off_by_more_than_15_minutes_has_expired(cloud: StillCloud, job: str, late: float) -> None:
    text = refusal(ask(cloud, job, signed(cloud, job, late=late)))[2]
    assert "calc aksk signature fail:signature expired, signature time:" in text
    assert text.endswith("server time:20260203T091500Z")
    assert ask(cloud, job, signed(cloud, job, late=late / 901 * 900)).status == 200


def test_a_wrong_signature_shows_the_canonical_request(cloud: StillCloud, job: str) -> None:
    status, code, text = refusal(ask(cloud, job, signed(cloud, job, secret="wrong")))
    assert (status, code) == (401, "APIGW.0301")
    assert f"verify aksk signature fail, canonicalRequest:GET|/v1/{PROJECT}/jobs/{job}/||host:" in text
    assert "\n" not in text


def test_a_changed_request_breaks_the_signature(cloud: StillCloud, job: str) -> None:
    assert ask(cloud, f"{job}0", signed(cloud, job)).status == 401


def test_more_than_five_wrong_signatures_lock_the_key_for_five_minutes(cloud: StillCloud, job: str) -> None:
    for _ in range(6):
        assert "verify aksk" in refusal(ask(cloud, job, signed(cloud, job, secret="wrong")))[2]
    assert refusal(ask(cloud, job, signed(cloud, job)))[2].endswith("AK access failed to reach the limit,forbidden")
    cloud.now += 299
    assert ask(cloud, job, signed(cloud, job)).status == 401
    cloud.now += 1
    assert ask(cloud, job, signed(cloud, job, secret="wrong")).status == 401
    assert ask(cloud, job, signed(cloud, job)).status == 200


def test_a_right_signature_clears_the_count_of_wrong_ones(cloud: StillCloud, job: str) -> None:
    for _ in range(3):
        for _ in range(5):
            ask(cloud, job, signed(cloud, job, secret="wrong"))
        assert ask(cloud, job, signed(cloud, job)).status == 200


def test_a_signature_without_a_project_sees_project_null(cloud: StillCloud, job: str) -> None:
    answer = ask(cloud, job, signed(cloud, job, project=None))
    body = json_of(answer)["badRequest"]
    assert (answer.status, body["code"]) == (400, "401")
    assert f"project_id '{PROJECT}' doesn't match Context's project_id 'null'" in body["message"]


def test_a_signature_for_another_project_is_400(cloud: StillCloud, job: str) -> None:
    assert error(ask(cloud, job, signed(cloud, job, project=OTHER)))[:2] == (400, "Common.0018")


def test_a_temporary_key_needs_its_security_token_and_ends(cloud: StillCloud, job: str) -> None:
    spec = {"access_key": "HSTTEMP", "secret_key": "temp-secret", "security_token": "sts-token", "expires_in": 60}
    cloud.admin("POST", "access_keys", spec)

    def asked(**more: str) -> int:
        return ask(cloud, job, {**signed(cloud, job, key="HSTTEMP", secret="temp-secret"), **more}).status

    assert asked() == 401
    assert asked(**{"X-Security-Token": "another"}) == 401
    assert asked(**{"X-Security-Token": "sts-token"}) == 200
    cloud.now += 60
    assert asked(**{"X-Security-Token": "sts-token"}) == 401


def test_the_throttle_comes_before_authentication_and_names_its_window(cloud: StillCloud, job: str) -> None:
    cloud.admin("PUT", "limit", {"limit": 2, "seconds": 60, "policy": "api"})
    assert [ask(cloud, job, {}).status for _ in range(3)] == [401, 401, 429]
    answer = ask(cloud, job)
    assert refusal(answer) == (
        429,
        "APIGW.0308",
        "The throttling threshold has been reached: policy api over ratelimit,limit:2,time:1 minute",
    )
    assert "Retry-After" not in answer.headers
    cloud.now += 60
    assert ask(cloud, job).status == 200


def test_the_throttle_counts_credentials_apart(cloud: StillCloud, job: str) -> None:
    cloud.admin("PUT", "limit", {"limit": 1, "seconds": 5, "policy": "user", "retry_after": "7"})
    assert ask(cloud, job).status == 200
    assert ask(cloud, job).headers["Retry-After"] == "7"
    assert ask(cloud, job, signed(cloud, job)).status == 200


def test_the_journal_holds_no_secret(cloud: StillCloud, job: str) -> None:
    ask(cloud, job)
    ask(cloud, job, signed(cloud, job))
    ask(cloud, job, {"X-Auth-Token": "a-wrong-secret", "X-Security-Token": "another-secret"})
    journal = cloud.admin("GET", "requests")
    assert [entry["status"] for entry in journal["requests"]] == [200, 200, 401]
    text = str(journal)
    assert not [word for word in ("demo-token", "Signature=", "a-wrong-secret", "another-secret") if word in text]
