"""The simulator as users run it: a process, its command line, its clock, and the wire."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import AsyncIterator

import aiohttp
import pytest

from support.simulator import PROJECT, TOKEN, SimulatorProcess, start_simulator

HEADERS = {"X-Auth-Token": TOKEN}


@pytest.fixture
def cloud(process: SimulatorProcess) -> SimulatorProcess:
    process.set_clock(stopped=False, offset=0)
    process.reset()
    return process


@pytest.fixture
async def session(cloud: SimulatorProcess) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cloud.url, headers=HEADERS, max_field_size=65536) as session:
        yield session


def path(job: str) -> str:
    return f"/v1/{PROJECT}/jobs/{job}"


async def test_a_job_is_answered_over_http(cloud: SimulatorProcess, session: aiohttp.ClientSession) -> None:
    job = cloud.add_job(begin_in=-60)
    async with session.get(path(job)) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])
        assert (await answer.json())["status"] == "SUCCESS"


async def test_the_id_of_a_refused_request_is_that_of_the_header(session: aiohttp.ClientSession) -> None:
    async with session.get(path("0" * 32), headers={"X-Auth-Token": "x"}) as answer:
        assert answer.headers["Server"] == "api-gateway"
        assert (await answer.json())["request_id"] == answer.headers["X-Request-Id"]


async def test_time_moves_when_it_is_told_to(cloud: SimulatorProcess, session: aiohttp.ClientSession) -> None:
    cloud.set_clock(stopped=True)
    job = cloud.add_job()
    words = []
    for seconds in (0, 1, 7):
        cloud.set_clock(advance=seconds)
        async with session.get(path(job)) as answer:
            words.append((await answer.json())["status"])
    assert words == ["INIT", "RUNNING", "SUCCESS"]


async def test_the_date_is_that_of_the_simulated_clock(cloud: SimulatorProcess, session: aiohttp.ClientSession) -> None:
    now = cloud.admin("GET", "clock")["seconds"]
    cloud.set_clock(stopped=True, offset=1_770_110_100 - now)
    cloud.set_clock(advance=1_770_110_100.5 - cloud.admin("GET", "clock")["seconds"])
    async with session.get(path("0" * 32)) as answer:
        assert answer.headers["Date"] == "Tue, 03 Feb 2026 09:15:00 GMT"


async def test_a_token_of_20_kilobytes_goes_through(cloud: SimulatorProcess, session: aiohttp.ClientSession) -> None:
    cloud.admin("PUT", "settings", {"token_length": 20_000})
    token = cloud.admin("POST", "tokens", {})["token"]
    job = cloud.add_job()
    async with session.get(path(job), headers={"X-Auth-Token": token}) as answer:
        assert (len(token), answer.status) == (20_000, 200)
    async with session.get(path(job), headers={"X-Auth-Token": "M" * 40_000}) as answer:
        assert answer.status == 494


async def test_a_connection_may_be_reset_before_the_headers(
    cloud: SimulatorProcess, session: aiohttp.ClientSession
) -> None:
    cloud.add_fault("reset_before_headers")
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await session.get(path("0" * 32))
    assert cloud.requests()[-1]["status"] == 0


async def test_a_connection_may_be_reset_within_the_body(
    cloud: SimulatorProcess, session: aiohttp.ClientSession
) -> None:
    job = cloud.add_job()
    cloud.add_fault("reset_after_headers", count=1)
    async with session.get(path(job)) as answer:
        assert answer.status == 200
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
            await answer.read()
    async with session.get(path(job)) as answer:
        assert (await answer.json())["job_id"] == job


@pytest.mark.parametrize("kind", ["delay", "slow_body"])
async def test_an_answer_may_be_late(cloud: SimulatorProcess, session: aiohttp.ClientSession, kind: str) -> None:
    job = cloud.add_job()
    cloud.add_fault(kind, seconds=0.3)
    started = time.monotonic()
    async with session.get(path(job)) as answer:
        headers_after = time.monotonic() - started
        assert (await answer.json())["job_id"] == job
    assert time.monotonic() - started >= 0.29
    assert (headers_after >= 0.29) == (kind == "delay")


async def test_a_body_of_ten_thousand_sub_jobs_is_served(
    cloud: SimulatorProcess, session: aiohttp.ClientSession
) -> None:
    job = cloud.add_job(job_type="batchCreateVolume", sub_jobs=10_000, begin_in=-60)
    async with session.get(path(job)) as answer:
        body = await answer.json()
    assert len(body["entities"]["sub_jobs"]) == 10_000


async def test_a_scripted_body_of_several_megabytes_arrives_whole(
    cloud: SimulatorProcess, session: aiohttp.ClientSession
) -> None:
    text = "0123456789" * 400_000
    job = cloud.add_job(body=text)
    async with session.get(path(job)) as answer:
        assert await answer.text() == text


async def test_the_journal_tells_what_was_asked(cloud: SimulatorProcess, session: aiohttp.ClientSession) -> None:
    job = cloud.add_job()
    await session.get(path(job))
    await session.get(path("0" * 32))
    journal = cloud.admin("GET", "requests")
    assert (journal["total"], journal["by_status"]) == (2, {"200": 1, "400": 1})
    entry = cloud.requests(job)[0]
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", path(job), 200)
    assert entry["headers"]["X-Auth-Token"] == "***"
    cloud.admin("DELETE", "requests")
    assert cloud.requests() == []


def test_jobs_can_be_made_by_the_thousand(cloud: SimulatorProcess) -> None:
    made = cloud.admin("POST", "jobs", {"copies": 1000, "duration": 10})
    assert len(set(made["job_ids"])) == 1000
    assert cloud.admin("GET", "health")["jobs"] == 1000


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", "jobs", {"jobtype": "createVolume"}, 400),
        ("POST", "jobs", {"variants": ["unheard_of"]}, 400),
        ("POST", "jobs", {"duration": "long"}, 400),
        ("POST", "jobs", {"sub_jobs": [1]}, 400),
        ("POST", "jobs", {"sub_jobs": True}, 400),
        ("POST", "jobs", {"variants": [{}]}, 400),
        ("POST", "jobs", {"variants": {"long_reason": 1e400}}, 400),
        ("POST", "jobs", {"variants": {"long_reason": 10**13}}, 400),
        ("POST", "jobs", {"variants": {"vanish_after": "soon"}}, 400),
        ("POST", "jobs", {"status_script": [[1]]}, 400),
        ("POST", "jobs", {"http_status": 503}, 400),
        ("POST", "jobs", {"body": "x", "http_status": 600}, 400),
        ("DELETE", "tokens/none", None, 404),
        ("POST", "jobs", {"copies": 0}, 400),
        ("PUT", "jobs/none", {}, 404),
        ("GET", "jobs/none", None, 404),
        ("DELETE", "jobs/none", None, 404),
        ("GET", "nothing", None, 404),
        ("POST", "clock", {"forward": 1}, 400),
        ("POST", "clock", {"advance": "1"}, 400),
        ("POST", "clock", {"advance": 1e12}, 400),
        ("POST", "jobs", {"begin_in": 1e12}, 400),
        ("POST", "jobs", {"duration": 1e12}, 400),
        ("PUT", "settings", {"speeed": 2}, 400),
        ("PUT", "settings", {"speed": 0}, 400),
        ("PUT", "settings", {"token_length": 10**13}, 400),
        ("PUT", "settings", {"entity_mode": "old"}, 400),
        ("PUT", "limit", {"policy": "moon"}, 400),
        ("POST", "tokens", {"revoked": "yes"}, 400),
        ("GET", "requests?limit=x", None, 400),
    ],
)
def test_a_wrong_admin_call_is_refused_with_one_line(
    cloud: SimulatorProcess, method: str, target: str, body: dict[str, object] | None, status: int
) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        cloud.admin(method, target, body)
    with raised.value as answer:
        assert answer.code == status
        assert b'{"error":' in answer.read()


async def test_it_starts_on_a_free_port_and_ends_with_0_when_told_to() -> None:
    async with start_simulator("--speed", "100") as cloud:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", cloud.url)
        assert cloud.admin("GET", "settings")["speed"] == 100.0
        cloud.process.send_signal(signal.SIGINT)
        assert cloud.process.wait(10) == 0


def test_it_shares_no_code_with_the_operator_that_it_judges() -> None:
    check = "import sys, evs_simulator.cli; sys.exit(any(name.startswith('evs_operator') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", check], timeout=20, check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--address", "nowhere"], 2),
        (["--address", "127.0.0.1:99999"], 2),
        (["--speed", "0"], 2),
        (["--tls-certificate", "/nonexistent.pem"], 1),
    ],
)
def test_a_wrong_flag_is_said_and_ends_it(arguments: list[str], code: int) -> None:
    command = [sys.executable, "-m", "evs_simulator", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == code
    assert "evs-simulator" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_address_in_use_ends_it_with_1(process: SimulatorProcess) -> None:
    address = process.url.removeprefix("http://")
    command = [sys.executable, "-m", "evs_simulator", "--address", address]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
