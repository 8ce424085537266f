"""Bounded at the door, in bytes and in work: what one tenant and one endpoint can make the operator hold and do.

Memory is what the kernel says the process took at its most, work is its CPU time, so that a busy machine changes
neither; the limit of the whole is that of the chart, 512 MiB, and each attack has a smaller one of its own.
"""

from __future__ import annotations

import base64
import json
import random
import time

import pytest

from support.account import Object, job, ours, secret, token_connection
from support.evil import granted
from support.jobs import body
from support.operator_process import eventually
from support.siege import PULSE, VICTIM_TOKEN, Siege

EVIL_TOKEN = "a-token-of-mallory-5d7e"
MEBI = 2**20
LINES = "".join(f"N{number:06d}\n" for number in range(MEBI // 8 - 4000))
"""About a megabyte of lines of eight characters; the API server takes Secrets up to 1 MiB."""


def noise(size: int) -> str:
    """Return text of that many characters that nothing can compress."""
    return base64.b64encode(random.Random(size).randbytes(size * 3 // 4)).decode()


BIG: dict[str, dict[str, str]] = {
    "lines of eight characters": {"token": LINES},
    "one line": {"token": noise(MEBI - 4096)},
    "a key that nobody asked for": {"token": EVIL_TOKEN, "unused": noise(MEBI - 4096)},
    "many keys that nobody asked for": {"token": EVIL_TOKEN, **{f"key-{n}": noise(900) for n in range(1000)}},
    "an access key": {"accessKey": "AK" * 8, "secretKey": LINES[: MEBI // 2], "securityToken": noise(MEBI // 3)},
    "a certificate": {"token": EVIL_TOKEN, "ca.crt": "# " + noise(MEBI - 4096)},
    "the largest that is allowed": {"token": noise(65_000)},
}


@pytest.mark.parametrize("kind", BIG)
def test_twenty_large_secrets_take_no_more_than_their_share_of_memory(it: Siege, kind: str) -> None:
    way = "accessKey" if kind == "an access key" else "token"
    tls = {"tls": {"caSecretRef": {"name": ""}}} if kind == "a certificate" else {}
    with it.bounded(memory=80, cpu=20):
        for number in range(20):
            name = f"big-{number}"
            values = {
                key: f"{number:04d}{value[4:]}" if len(value) > 900 else value for key, value in BIG[kind].items()
            }
            it.mallory.create(secret(name, **values))
            if tls:
                tls["tls"]["caSecretRef"]["name"] = name
            auth = {way: {"secretRef": {"name": name}}}
            spec: Object = {"endpoint": it.evil.url, "projectId": "f" * 32, "auth": auth, **tls}
            it.mallory.create(ours("EvsConnection", name, **spec))
        eventually(lambda: it.told("EvsConnection"), 60)


def test_a_secret_that_is_rotated_again_and_again_is_held_once(it: Siege) -> None:
    it.mallory.create(secret("own", token=EVIL_TOKEN), token_connection("default", it.evil.url))
    it.evil.says("a" * 32, body("RUNNING", job_id="a" * 32))
    it.mallory.create(job("one", "a" * 32))
    it.mallory.wait_reason("EvsJob", "one", "JobRunning")
    with it.bounded(memory=40, cpu=20):
        for number in range(150):
            it.mallory.create(secret("own", token=f"{number:04d}" + noise(20_000)))
            it.mallory.patch("EvsConnection", "default", {"spec": {"region": f"r{number}"}})
            time.sleep(0.05)
        eventually(lambda: it.mallory.get("EvsConnection", "default")["status"]["observedGeneration"] > 140, 20)


def test_tokens_that_iam_grants_again_and_again_are_held_once(it: Siege) -> None:
    it.mallory.create(secret("own", username="u", password="a-password-of-hers", domainName="d"))
    auth = {"password": {"secretRef": {"name": "own"}, "iamEndpoint": it.evil.url}}
    it.mallory.create(ours("EvsConnection", "default", endpoint=it.evil.url, projectId="f" * 32, auth=auth))
    it.evil.iam = lambda asked: granted(f"{len(it.evil.asked):06d}{noise(16_000)}")
    it.evil.says("a" * 32, body("RUNNING", job_id="a" * 32))
    it.mallory.create(job("one", "a" * 32))
    it.mallory.wait_reason("EvsJob", "one", "JobRunning")
    with it.bounded(memory=40, cpu=20):
        for number in range(150):
            it.mallory.patch("EvsJob", "one", {"spec": {"projectId": f"{number:032x}"}})
            time.sleep(0.05)
        time.sleep(2)


WIDE = {f"{'a' * 240}.bbbbbbbbbb/k{number:04d}": f"v{number:03d}{'0' * 50}" for number in range(1_800)}


def test_wide_objects_are_listed_at_the_start_within_the_memory_of_the_chart(it: Siege) -> None:
    it.mallory.create(secret("own", token=EVIL_TOKEN))
    for number in range(40):
        made = [job(f"wide-{number}", "a" * 32, suspend=True)]
        if number % 2:
            made.append(token_connection(f"wide-{number}", it.evil.url))
        for one in made:
            one["metadata"]["labels"] = WIDE
        it.mallory.create(*made)
    it.stop()
    it.operator.wait_ready(60)  # a new one, whose first lists find them
    peak = it.gauge.peak()
    print(f"{peak:.0f} MiB at the start")
    assert peak < 160
    with it.others_go_on(most=160):
        eventually(lambda: it.told("EvsJob"), 60)


def test_connections_with_the_largest_ca_take_no_more_than_their_share(it: Siege) -> None:
    it.mallory.create(secret("own", token=EVIL_TOKEN))
    bundle = base64.b64encode(("# " + noise(70_000)).encode()).decode()
    with it.bounded(memory=40, cpu=20):
        for number in range(60):
            it.mallory.create(token_connection(f"ca-{number}", it.evil.url, tls={"caBundle": bundle}))
        eventually(lambda: it.told("EvsConnection"), 60)


def test_a_project_that_changes_again_and_again_leaves_few_clients_and_sockets(it: Siege) -> None:
    it.mallory.create(secret("own", token=EVIL_TOKEN), token_connection("default", it.evil.url))
    it.evil.says("a" * 32, body("RUNNING", job_id="a" * 32))
    it.mallory.create(job("one", "a" * 32))
    it.mallory.wait_reason("EvsJob", "one", "JobRunning")
    with it.bounded(memory=12, cpu=30):
        sockets = it.gauge.sockets()
        for number in range(500):
            it.mallory.patch("EvsJob", "one", {"spec": {"projectId": f"{number:032x}"}})
        time.sleep(2)
        assert it.gauge.sockets() - sockets < 128 + 16  # of one namespace, and those to the API server


def test_a_thousand_evsjobs_and_endpoints_share_a_bounded_number_of_sockets(it: Siege) -> None:
    it.mallory.create(secret("own", token=EVIL_TOKEN))
    for number in range(20):
        it.mallory.create(token_connection(f"c-{number}", it.evil.url, projectId=f"{number:032x}"))
    with it.bounded(memory=60, cpu=60):
        for number in range(400):
            one = job(f"s-{number}", f"{number:032x}", f"c-{number % 20}", projectId=f"{number:032x}")
            it.mallory.create(one)
        time.sleep(5)
        assert it.gauge.sockets() < 300


def test_a_text_that_repeats_what_requestedat_says_is_bounded(it: Siege) -> None:
    it.mallory.create(secret("own", token=EVIL_TOKEN), token_connection("default", it.evil.url))
    it.evil.says("a" * 32, body("RUNNING", job_id="a" * 32))
    with it.bounded(memory=40, cpu=20):
        for number in range(60):
            one = job(f"r-{number}", "a" * 32)
            one["metadata"]["annotations"] = {"evs-operator.dev/requestedAt": f"{number}" + "😀" * 60_000}
            it.mallory.create(one)
        eventually(lambda: it.told("EvsJob"), 60)
    assert all(len(json.dumps(one["status"])) < 20_000 for one in it.mallory.list("EvsJob").values())


def test_the_log_hides_the_victims_secret_whatever_one_namespace_holds(it: Siege) -> None:
    for number in range(30):
        it.mallory.create(secret(f"many-{number}", token=f"{number:04d}" + LINES[:60_000]))
        it.mallory.create(token_connection(f"many-{number}", it.evil.url, f"many-{number}"))
    eventually(lambda: it.told("EvsConnection"), 60)
    echo = {"error_code": "X", "error_msg": f"you said {VICTIM_TOKEN} and I say no"}
    it.cloud.put("ec" * 16, json.dumps(echo).encode(), 400)
    it.victim.create(job("echo", "ec" * 16))
    it.victim.wait_told("EvsJob", "echo")
    assert VICTIM_TOKEN not in it.operator.log
    it.victim.delete("EvsJob", "echo")
    assert it.cloud.calls[PULSE]
