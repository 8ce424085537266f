"""Nobody can have a word of somebody else's result taken for a secret, and masked in it.

A token belongs to those for whom it was asked, whatever became of their connection meanwhile: never to all.
"""

from __future__ import annotations

import threading

import pytest

from support.account import Object, job, ours, secret, token_connection
from support.evil import Reply, granted
from support.jobs import VOLUME_ID, body
from support.operator_process import eventually
from support.siege import Siege

WORDS = ("SUCCESS", "createVolume", VOLUME_ID, "pvc-4711-data")


def assert_result_is_whole(it: Siege) -> None:
    """Have the victim follow a job to its end: its words come out as the cloud wrote them."""
    entities = {"volume_id": VOLUME_ID, "name": "pvc-4711-data"}
    it.cloud.put("c" * 32, {**body("SUCCESS", entities=entities, job_type="createVolume"), "job_id": "c" * 32})
    it.victim.create(job("whole", "c" * 32))
    status = it.victim.wait_reason("EvsJob", "whole", "JobSucceeded")
    assert (status["jobStatus"], status["jobType"], status["entities"]) == ("SUCCESS", "createVolume", entities)
    assert "***" not in str(status)
    it.victim.delete("EvsJob", "whole")


def _password(it: Siege, number: int, user: str) -> list[Object]:
    held = secret(f"p-{number}", username=user, password=f"a-password-{number}", domainName="d")
    auth = {"password": {"secretRef": {"name": f"p-{number}"}, "iamEndpoint": it.evil.url}}
    return [held, ours("EvsConnection", f"p-{number}", endpoint=it.evil.url, projectId="f" * 32, auth=auth)]


@pytest.mark.parametrize("meanwhile", ["the connection stays", "is deleted", "is deleted and made anew", "changes"])
def test_a_token_that_evil_grants_is_nobody_elses_secret_when_it_comes_while(it: Siege, meanwhile: str) -> None:
    gate = threading.Event()
    words = iter(WORDS * 9)
    it.evil.iam = lambda body: Reply(201, b'{"token":{}}', (("X-Subject-Token", next(words)),), gate)
    seen = len(it.evil.asked)
    with it.others_go_on():
        for number in range(len(WORDS)):
            it.mallory.create(*_password(it, number, meanwhile))
        eventually(lambda: len(it.evil.asked) >= seen + 1, 20)
        for number in range(len(WORDS)):
            if "deleted" in meanwhile:
                it.mallory.delete("EvsConnection", f"p-{number}")
                it.mallory.delete("Secret", f"p-{number}")
            if "anew" in meanwhile:
                it.mallory.create(*_password(it, number, meanwhile))
            if meanwhile == "changes":
                it.mallory.patch("EvsConnection", f"p-{number}", {"spec": {"endpoint": it.cloud.url}})
        gate.set()
        eventually(lambda: len(it.evil.asked) >= seen + (1 if "deleted" in meanwhile else len(WORDS)), 20)
        assert_result_is_whole(it)


def test_a_secret_of_mallory_that_is_a_common_word_masks_nothing_of_the_victims(it: Siege) -> None:
    made: list[Object] = []
    for number, word in enumerate((*WORDS, "RUNNING", "true", "volume_id", "disk")):
        it.mallory.create(secret(f"w-{number}", token=word, accessKey=word, secretKey=word, securityToken=word))
        made.append(token_connection(f"t-{number}", it.evil.url, f"w-{number}"))
        auth = {"accessKey": {"secretRef": {"name": f"w-{number}"}}}
        made.append(ours("EvsConnection", f"a-{number}", endpoint=it.evil.url, projectId="f" * 32, auth=auth))
    it.evil.iam = lambda body: granted("SUCCESS")
    with it.others_go_on():
        it.mallory.create(*made)
        eventually(lambda: it.told("EvsConnection"), 30)
        assert_result_is_whole(it)
