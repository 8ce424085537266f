"""Tenants who share a credential: what the cloud says of one's project is no verdict on another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from evs_operator.connections.controller import ConnectionController
from evs_operator.evs.error_codes import table
from support.engine_world import in_world
from support.shared_cloud import KINDS, VICTIM, Reply, SharedWorld, foreign

Main = Callable[[SharedWorld], Coroutine[Any, Any, None]]
Run = Callable[[Main], None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    async def at_once(function: Callable[[], Any]) -> Any:
        return function()

    monkeypatch.setattr(asyncio, "to_thread", at_once)  # virtual time does not wait for threads
    return lambda main: in_world(main, lambda: SharedWorld(tmp_path / "token"))


def answer(status: int, body: object = None, **headers: str) -> Reply:
    content = {"json": body} if isinstance(body, dict | list) else {"text": str(body or "")}
    return lambda: httpx.Response(status, headers=headers, **content)  # type: ignore[arg-type]  # as httpx takes them


def e1(status: int, code: object, message: str = "no") -> Reply:
    return answer(status, {"error": {"message": message, "code": code}})


def e2(status: int, code: str, message: str = "no") -> Reply:
    return answer(status, {"error_msg": message, "error_code": code, "request_id": "7f0d"})


AUTHENTICATION = "The request you have made requires authentication."
TEXTS = (
    "Incorrect IAM authentication information: verify aksk signature fail, canonicalRequest:GET|/v1/|",
    "Get secretKey failed,ak:AKIDEXAMPLE,err:ak not exist",
    "AK access failed to reach the limit,forbidden",
    "calc aksk signature fail:signature expired, signature time:20260203T091500Z,server time:20260203T093105Z",
    "decrypt token fail",
    "token expires",
    "x-auth-token not found",
    "Unauthorized",
)
_GATEWAY = {
    "0101": 404, "0103": 404, "0106": 400, "0201": 494, "0301": 401, "0302": 403, "0303": 401, "0305": 401,
    "0306": 403, "0307": 401, "0310": 403, "0401": 403, "0402": 403, "0404": 403, "0501": 405, "0502": 405,
    "0601": 500, "0602": 400, "0605": 500, "0608": 502, "0612": 502, "0613": 503, "0705": 500, "0801": 403, "0802": 403,
}  # fmt: skip
_ENVELOPES: tuple[Reply, ...] = (
    answer(401, {"error": {"message": AUTHENTICATION, "code": 401, "title": "Unauthorized"}}),
    answer(404, {"itemNotFound": {"message": "no such thing", "code": 404}}),
    answer(401, {"unauthorized": {"message": "no", "code": 401}}),
    answer(403, {"forbidden": {"message": "no", "code": "403"}}),
    answer(400, {"badRequest": {"message": "project_id 'x' doesn't match Context's project_id 'null'", "code": "401"}}),
    answer(400, {"code": "SYS.0400", "message": "URL's projectId is not equal token's projectId."}),
    answer(401, {"errorCode": "x", "errorMsg": "no"}),
    answer(401, {"errCode": "x", "errMsg": "no"}),
    answer(401, {"error": {"code": "111401001", "message": "Invalid token.", "ext_message": None}}),
    answer(200, {"error": {"message": "Invalid token in the header.", "code": "Common.0013"}}),
    answer(401, "Authentication required"),
    answer(502, "<html>The backend server is unreachable.</html>"),
    answer(404, "<html>not here</html>"),
    answer(302, "", Location="https://login.example.com/"),
    answer(200, "<html>sign in</html>"),
    answer(200, {"status": "error", "message": "upstream down"}),
    *(answer(status) for status in (200, 400, 401, 403, 404, 405, 407, 408, 409, 415, 500, 501, 502, 504)),
)
ANSWERS: tuple[Reply, ...] = (
    *(e2(401, "APIGW.0301", text) for text in TEXTS),
    *(e2(status, f"APIGW.{code}") for code, status in _GATEWAY.items()),
    *(e1(row.http_status, row.code, row.message) for row in table() if row.http_status not in (413, 429)),
    *_ENVELOPES,
)
"""All that EVS may answer, but for throttles: those hold for all calls of a credential."""
GRANTS: tuple[Reply, ...] = (
    answer(401, {"error": {"message": AUTHENTICATION, "code": 401, "title": "Unauthorized"}}),
    answer(401, {"error": {"message": "The username or password is wrong.", "code": 401, "title": "Unauthorized"}}),
    answer(401, {"error": {"message": "Could not find project", "code": 401, "title": "Unauthorized"}}),
    *(e2(401, f"IAM.{code}") for code in ("0001", "0003", "0061", "0062", "0066", "0067", "1105", "1107", "1108")),
    *(e2(403, f"IAM.{code}") for code in ("0080", "0083")),
    *(e2(status, "IAM.1109") for status in (400, 404)),
    *_ENVELOPES,
)
UNAUTHORIZED = (
    *(e2(401, "APIGW.0301", text) for text in TEXTS),
    e2(401, "APIGW.0307", "The token must be updated"),
    e1(400, "Common.0013", "Invalid token in the header."),
    e1(500, "EVS.2036", "the result of decode token is null!"),
    answer(401),
)


def plays(world: SharedWorld, tenants: str = "attacker") -> None:
    """Let a tenant name a foreign project for each answer that there is."""
    for number, reply in enumerate((*ANSWERS, *GRANTS)):
        project = foreign(number)
        if number < len(ANSWERS):
            world.shared.answers[project] = reply
        else:
            world.shared.grants[project] = reply
        world.follow(f"job-{number}", tenants, project, every=5)


def longest_gap(times: list[float], began: float, ended: float) -> float:
    """Return the longest time without a call."""
    return max(after - before for before, after in pairwise([began, *times, ended]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["victim", "attacker"])
def test_a_tenant_goes_on_whatever_the_cloud_answers_about_the_projects_of_another(
    run: Run, kind: str, first: str
) -> None:
    async def main(world: SharedWorld) -> None:
        connection = world.share(kind, rate=1000, burst=100)
        if first == "victim":
            world.follow("job", "victim", VICTIM)
            await world.run(10.0)
            plays(world)
        else:
            plays(world)
            await world.run(10.0)
            world.follow("job", "victim", VICTIM)
        began, said = world.loop.now, set()
        for _ in range(65):
            await world.run(2.0)
            said.add(world.ready())
        if first == "victim":
            assert said == {"CredentialsValid"}
        assert longest_gap(world.shared.asked_about(VICTIM, began), began, world.loop.now) <= 5.0
        assert connection.refusal is None
        assert world.ready() == "CredentialsValid"

    run(main)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [0, 2, 4, 8, 9, 11])
def test_a_fresh_credential_whose_first_call_is_refused_for_one_project_serves_another_in_seconds(
    run: Run, kind: str, number: int
) -> None:
    async def main(world: SharedWorld) -> None:
        world.share(kind)
        for project in range(8):
            world.shared.answers[foreign(project)] = UNAUTHORIZED[number]
            world.follow(f"job-{project}", "attacker", foreign(project), every=1)
        await world.run(20.0)
        world.follow("job", "victim", VICTIM)
        began = world.loop.now
        await world.run(60.0)
        assert longest_gap(world.shared.asked_about(VICTIM), began, world.loop.now) <= 5.0
        assert world.ready() == "CredentialsValid"

    run(main)


@pytest.mark.parametrize("kind", ["password", "oidc"])
@pytest.mark.parametrize("domain_too", [False, True])
def test_a_fresh_credential_whose_first_project_iam_refuses_serves_another_in_seconds(
    run: Run, kind: str, domain_too: bool
) -> None:
    """IAM says the same of a wrong password, also of a user without a role in the domain."""

    async def main(world: SharedWorld) -> None:
        world.share(kind)
        for project in ["", *map(foreign, range(20))] if domain_too else map(foreign, range(20)):
            world.shared.grants[project] = GRANTS[0]
        for project in range(20):
            world.follow(f"job-{project}", "attacker", foreign(project), every=1)
        await world.run(20.0)
        world.follow("job", "victim", VICTIM)
        began = world.loop.now
        await world.run(60.0)
        assert longest_gap(world.shared.asked_about(VICTIM), began, world.loop.now) <= 5.0
        assert world.ready() == "CredentialsValid"

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_a_credential_that_is_wrong_is_tried_a_few_times_however_many_projects_ask(run: Run, kind: str) -> None:
    async def main(world: SharedWorld) -> None:
        world.share(kind)
        world.shared.every_answer = world.shared.every_grant = UNAUTHORIZED[0]
        for namespace in ("attacker", "victim", "other"):
            for project in range(20):
                world.follow(f"job-{project}", namespace, foreign(project), every=1)
        await world.run(59.0)
        assert 1 <= len(world.shared.calls) + len(world.shared.requests) <= 4
        assert world.ready() == "Unauthorized"
        await world.run(841.0)
        assert len(world.shared.calls) + len(world.shared.requests) <= 16

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_a_credential_that_is_wrong_is_tried_once_where_one_project_asks(run: Run, kind: str) -> None:
    async def main(world: SharedWorld) -> None:
        world.share(kind, project=VICTIM)
        world.shared.every_answer = world.shared.every_grant = UNAUTHORIZED[0]
        for namespace in ("attacker", "victim"):
            for job in range(20):
                world.follow(f"job-{job}", namespace, VICTIM, every=1)
        await world.run(59.0)
        assert len(world.shared.calls) + len(world.shared.requests) == 1
        assert world.ready() == "Unauthorized"

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_a_credential_that_goes_bad_is_refused_for_all_and_heals_for_all(run: Run, kind: str) -> None:
    async def main(world: SharedWorld) -> None:
        world.share(kind)
        for number, namespace in enumerate(("attacker", "victim", "other")):
            world.follow("job", namespace, foreign(number))
        await world.run(30.0)
        world.shared.every_answer = world.shared.every_grant = UNAUTHORIZED[4]
        await world.run(10.0)
        assert world.ready() == "Unauthorized"
        calls = len(world.shared.calls) + len(world.shared.requests)
        assert calls <= 60
        await world.run(600.0)
        assert len(world.shared.calls) + len(world.shared.requests) - calls <= 40
        world.shared.every_answer = world.shared.every_grant = None
        await world.run(310.0)
        assert world.ready() == "CredentialsValid"
        for number in range(3):
            assert world.shared.asked_about(foreign(number), world.loop.now - 5.0), number

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_of_ever_new_projects_cost_no_more_calls_than_the_limit(run: Run, kind: str) -> None:
    async def main(world: SharedWorld) -> None:
        world.share(kind, rate=2, burst=2)
        world.follow("job", "victim", VICTIM)
        await world.run(20.0)
        entry = world.follow("job", "attacker", foreign(0))
        began = world.loop.now
        for number in range(600):
            world.shared.answers[foreign(number)] = UNAUTHORIZED[0]
            world.shared.grants[foreign(number)] = GRANTS[0]
            world.change(entry, projectId=foreign(number))
            await world.run(0.1)
        made = [at for at, _ in (*world.shared.calls, *world.shared.requests) if at >= began]
        assert len(made) <= 2 * 60 + 6
        assert longest_gap(world.shared.asked_about(VICTIM, began), began, world.loop.now) <= 5.0
        assert world.ready() == "CredentialsValid"

    run(main)


def test_a_hundred_projects_of_one_tenant_ask_for_tokens_at_the_rate_of_the_connection(run: Run) -> None:
    async def main(world: SharedWorld) -> None:
        world.share("password", rate=1, burst=1)
        world.follow("job", "victim", VICTIM)
        await world.run(10.0)
        began = world.loop.now
        for number in range(100):
            world.follow(f"job-{number}", "attacker", foreign(number))
        await world.run(60.0)
        tokens = [at for at, _ in world.shared.requests if at >= began]
        made = [at for at, _ in (*world.shared.calls, *world.shared.requests) if at >= began]
        assert 10 <= len(tokens) <= 62
        assert len(made) <= 62
        assert longest_gap(world.shared.asked_about(VICTIM, began), began, world.loop.now) <= 7.0

    run(main)


def test_a_lock_of_the_key_stops_all_projects_but_for_what_is_under_way_and_one_call_that_tells(run: Run) -> None:
    async def main(world: SharedWorld) -> None:
        world.share("accessKey")
        for number in range(6):
            world.follow(f"job-{number}", ("attacker", "victim", "other")[number % 3], foreign(number), every=30)
        await world.run(65.0)
        locked = e2(401, "APIGW.0301", "AK access failed to reach the limit,forbidden")
        world.shared.every_answer = locked
        began = world.loop.now
        await world.run(290.0)
        assert len([at for at, _ in world.shared.calls if at >= began]) <= 6 + 1
        assert world.ready() == "Unauthorized"
        world.shared.every_answer = None
        await world.run(60.0)
        assert world.ready() == "CredentialsValid"

    run(main)


def test_a_project_that_is_accepted_again_has_its_own_jobs_polled_at_once_and_no_others(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(world: SharedWorld) -> None:
        world.share("accessKey")
        woken: list[tuple[str, str | None]] = []
        monkeypatch.setattr(
            ConnectionController, "poll_healed", lambda self, key, project: woken.append((key.name, project))
        )
        world.follow("job", "victim", VICTIM)
        await world.run(5.0)
        world.shared.answers[foreign(0)] = UNAUTHORIZED[0]
        world.follow("job", "attacker", foreign(0))
        await world.run(10.0)
        del world.shared.answers[foreign(0)]
        await world.run(61.0)
        assert woken == [("default", foreign(0))]

    run(main)


@pytest.mark.parametrize("reply", [answer(404, "<html>"), answer(503), answer(302), answer(200)])
def test_trouble_with_one_project_is_not_that_of_the_connection_while_another_is_answered_now_and_then(
    run: Run, reply: Reply
) -> None:
    async def main(world: SharedWorld) -> None:
        world.share("accessKey")
        world.follow("job", "victim", VICTIM, every=60)
        await world.run(1.0)
        world.shared.answers[foreign(0)] = reply
        for number in range(5):
            world.follow(f"job-{number}", "attacker", foreign(0), every=5)
        for _ in range(90):
            await world.run(2.0)
            assert world.ready() == "CredentialsValid"
        world.shared.every_answer = answer(503)
        await world.run(200.0)
        assert world.ready() == "Unreachable"

    run(main)
