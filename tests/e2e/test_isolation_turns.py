"""Turns: where many share a pool, a tenant whose endpoints hang makes nobody else wait.

Each test fills one pool with what never answers, sixty times over, and measures how long the victim's next new
connection takes: name resolution, verification, sign-ins, workers, Secret reads, Events, the port for metrics.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from support.account import Object, job, ours, secret, token_connection
from support.evil import Reply
from support.jobs import body
from support.operator_process import eventually
from support.scripted_cloud import PROJECT
from support.siege import VICTIM_TOKEN, Siege

NAMES = """
import socket, sys, time
sys.modules["uvloop"] = None  # it resolves names without Python
_real = socket.getaddrinfo
def getaddrinfo(host, port, *rest, **more):
    name = host.decode() if isinstance(host, bytes) else host
    if name and name.endswith(".slow.example.test"):
        time.sleep(10)
        raise socket.gaierror(socket.EAI_AGAIN, "no server answers")
    if name and name.endswith(".good.example.test"):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port or 0)))]
    return _real(host, port, *rest, **more)
socket.getaddrinfo = getaddrinfo
"""
BY_NAME = [f"http://n{number}.good.example.test:PORT" for number in range(3)]
FLAGS = [word for url in ("https://*.slow.example.test", *BY_NAME) for word in ("--allow-endpoint", url)]
SOON = 12.0
"""Seconds for a new connection of the victim beside an attack; it takes three where nobody attacks."""


@pytest.fixture
def mute() -> Iterator[Reply]:
    """Give an answer that never comes, until the test is over."""
    gate = threading.Event()
    yield Reply(gate=gate)
    gate.set()


def wait_for_victim(it: Siege, name: str, within: float = SOON, **spec: str) -> None:
    """Measure how long a new connection of the victim takes until the cloud has accepted it."""
    it.victim.create(token_connection(name, spec.get("endpoint", it.cloud.url)))
    began = time.monotonic()
    it.victim.wait_reason("EvsConnection", name, "CredentialsValid", within)
    print(f"{name}: {time.monotonic() - began:.1f} s")
    it.victim.delete("EvsConnection", name)


def hang(it: Siege, count: int, spec: Object | None = None, *, jobs: bool) -> None:
    """Create connections whose endpoint never answers, each with a token of its own."""
    made: list[Object] = []
    for number in range(count):
        name = f"hung-{number}"
        endpoint = f"https://evs-{number}.slow.example.test" if spec is None else it.evil.url
        it.mallory.create(secret(name, token=f"{name}-token", username=name, password=f"{name}-word", domainName="d"))
        made.append(token_connection(name, endpoint, name, **(spec or {})))
        if jobs:
            made.append(job(name, f"{number:032x}", name))
    it.mallory.create(*made)


def test_sixty_names_that_dns_never_answers_leave_a_new_connection_of_the_victim_alone(it: Siege) -> None:
    hang(it, 60, jobs=True)
    with it.others_go_on():
        time.sleep(2)
        for number, url in enumerate(BY_NAME):
            wait_for_victim(it, f"by-name-{number}", endpoint=url.replace("PORT", it.cloud.url.rpartition(":")[2]))


def test_sixty_endpoints_that_never_answer_leave_the_verification_of_the_victims_alone(it: Siege, mute: Reply) -> None:
    for number in range(60):
        it.evil.answers[f"{number:032x}"] = mute
    it.evil.answers = _Always(mute)
    with it.others_go_on():
        hang(it, 60, {}, jobs=False)
        for number in range(2):
            wait_for_victim(it, f"verified-{number}")
    it.evil.answers = {}


class _Always(dict[str, Reply]):
    """Gives one answer to every question."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def get(self, key: str, default: object = None) -> Reply:  # type: ignore[override]  # one answer, whatever was asked
        return self._reply


@pytest.mark.parametrize("drips", [False, True], ids=["never answers", "answers a byte at a time"])
def test_sixty_evsjobs_leave_the_workers_to_the_victim_where_their_endpoint(
    it: Siege, mute: Reply, drips: bool
) -> None:
    it.evil.answers = _Always(replace(mute, body=b"{" * 999, drips=drips))
    with it.others_go_on():
        hang(it, 60, {}, jobs=True)
        time.sleep(3)
        it.cloud.put("d" * 32, {**body("SUCCESS"), "job_id": "d" * 32})
        it.victim.create(job("among", "d" * 32))
        it.victim.wait_reason("EvsJob", "among", "JobSucceeded", SOON)
        it.victim.delete("EvsJob", "among")
        wait_for_victim(it, "beside-workers")
    it.evil.answers = {}


def test_sixty_sign_ins_that_never_answer_leave_those_of_the_victim_alone(it: Siege, mute: Reply) -> None:
    it.evil.iam = lambda asked: (
        mute if "hung" in str(asked) else Reply(201, b"{}", (("X-Subject-Token", VICTIM_TOKEN),))
    )
    with it.others_go_on():
        made = []
        for number in range(60):
            name = f"hung-{number}"
            made.append(secret(name, username=name, password=f"{name}-word", domainName="d"))
            auth = {"password": {"secretRef": {"name": name}, "iamEndpoint": it.evil.url}}
            made.append(ours("EvsConnection", name, endpoint=it.evil.url, projectId=PROJECT, auth=auth))
            made.append(job(name, f"{number:032x}", name))
        it.mallory.create(*made)
        it.victim.create(secret("iam", username="v", password="the-victims-password", domainName="d"))
        auth = {"password": {"secretRef": {"name": "iam"}, "iamEndpoint": it.evil.url}}
        it.victim.create(ours("EvsConnection", "iam", endpoint=it.cloud.url, projectId=PROJECT, auth=auth))
        it.victim.wait_reason("EvsConnection", "iam", "CredentialsValid", SOON)
        it.victim.delete("EvsConnection", "iam")


def test_three_hundred_broken_connections_leave_the_secret_reads_of_the_victim_alone(it: Siege) -> None:
    made = [token_connection(f"broken-{number}", it.evil.url, f"absent-{number}") for number in range(300)]
    with it.others_go_on():
        it.mallory.create(*made)
        time.sleep(2)
        wait_for_victim(it, "reads")
        it.victim.create(token_connection("rotated", it.cloud.url, "later"))
        it.victim.wait_reason("EvsConnection", "rotated", "SecretNotFound", SOON)
        it.victim.create(secret("later", token=VICTIM_TOKEN))
        it.victim.wait_reason("EvsConnection", "rotated", "CredentialsValid", 20)
        it.victim.delete("EvsConnection", "rotated")


def test_the_warnings_of_hundreds_of_evsjobs_leave_the_events_of_the_victim_alone(it: Siege) -> None:
    it.mallory.create(secret("own", token="a-token-of-mallory-5d7e"), token_connection("default", it.evil.url))
    for number in range(400):
        it.evil.says(f"{number:032x}", body("FAIL", job_id=f"{number:032x}", fail_reason="x" * 900))
    it.cloud.put("e" * 32, {**body("FAIL"), "job_id": "e" * 32, "fail_reason": "the victims own failure"})
    with it.others_go_on():
        it.mallory.create(*(job(f"warns-{number}", f"{number:032x}") for number in range(400)))
        it.victim.create(job("warned", "e" * 32))
        eventually(lambda: "the victims own failure" in it.victim.events(), 20)
        it.victim.delete("EvsJob", "warned")


def test_a_connection_that_changes_again_and_again_costs_little_beside_many_evsjobs(it: Siege) -> None:
    it.mallory.create(secret("own", token="a-token-of-mallory-5d7e"), token_connection("default", it.evil.url))
    it.mallory.create(*(job(f"still-{number}", "a" * 32, suspend=True) for number in range(300)))
    with it.others_go_on():
        used, began = it.gauge.cpu(), time.monotonic()
        for number in range(200):
            it.mallory.patch("EvsConnection", "default", {"metadata": {"labels": {"n": f"v{number}"}}})
        spent = it.gauge.cpu() - used
        print(f"{spent:.2f} s of CPU in {time.monotonic() - began:.1f} s")
        assert spent < 4


def test_hundreds_of_half_requests_at_the_metrics_port_leave_the_probes_alone(it: Siege) -> None:
    with it.others_go_on(), contextlib.ExitStack() as sockets:
        for _ in range(400):
            half = sockets.enter_context(socket.create_connection(("127.0.0.1", it.operator.port), timeout=10))
            half.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 4_000)
        time.sleep(1)
        assert it.operator.http("/healthz")[0] == 200
        assert it.operator.http("/readyz")[0] == 200
