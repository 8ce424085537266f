"""A token from IAM: asked for once, kept, renewed in time and after a refusal, never hammered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from evs_operator.cloud.auth.credentials import Password
from evs_operator.cloud.auth.sign_in import SignIn, auth_for
from evs_operator.cloud.client import EvsClient
from evs_operator.evs import errors
from support.iam_cloud import EVS, IAM, IamCloud
from support.jobs import JOB_ID, body

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
USER = Password("svc-volumes", "the-password", "OTC-EU-DE-1", f"{IAM}/v3")
REFUSED = {"error": {"message": "The username or password is wrong.", "code": 401, "title": "Unauthorized"}}


@pytest.fixture
def cloud() -> IamCloud:
    return IamCloud()


@pytest.fixture
async def client(cloud: IamCloud) -> AsyncIterator[EvsClient]:
    auth = auth_for(USER, PROJECT, clock=cloud.clock)
    async with EvsClient(EVS, auth, transport=cloud.transport) as client:
        yield client


async def ask(client: EvsClient) -> str:
    return (await client.get_job(PROJECT, JOB_ID)).status


async def test_the_token_is_asked_for_as_iam_wants_it(cloud: IamCloud, client: EvsClient) -> None:
    await ask(client)
    (request,) = cloud.grants
    assert (request.method, str(request.url)) == ("POST", "https://iam.example.com/v3/auth/tokens?nocatalog=true")
    user = {"name": "svc-volumes", "password": "the-password", "domain": {"name": "OTC-EU-DE-1"}}
    assert json.loads(request.content) == {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"id": PROJECT}},
        }
    }
    assert request.headers["Content-Type"].startswith("application/json")
    assert "X-Auth-Token" not in request.headers
    assert request.extensions["timeout"]["connect"] == 5.0


async def test_one_token_serves_all_calls(cloud: IamCloud, client: EvsClient) -> None:
    for _ in range(3):
        await ask(client)
    assert (len(cloud.grants), cloud.calls) == (1, ["token-1"] * 3)


async def test_one_request_serves_all_callers_that_wait(cloud: IamCloud, client: EvsClient) -> None:
    cloud.slow = True
    assert await asyncio.gather(*(ask(client) for _ in range(50))) == ["RUNNING"] * 50
    assert len(cloud.grants) == 1


async def test_one_renewal_serves_all_callers_that_were_refused(cloud: IamCloud, client: EvsClient) -> None:
    await ask(client)
    cloud.slow, cloud.valid = True, set()
    assert await asyncio.gather(*(ask(client) for _ in range(50))) == ["RUNNING"] * 50
    assert len(cloud.grants) == 2


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(days=2), timedelta(days=-2)])
async def test_a_token_is_renewed_an_hour_before_its_end_whatever_our_clock_says(
    cloud: IamCloud, client: EvsClient, ahead: timedelta
) -> None:
    cloud.iam_ahead = ahead
    await ask(client)
    cloud.now += timedelta(hours=22, minutes=59)
    await ask(client)
    assert len(cloud.grants) == 1
    cloud.now += timedelta(minutes=2)
    await ask(client)
    assert (len(cloud.grants), cloud.calls[-1]) == (2, "token-2")


async def test_a_short_lived_token_is_used_for_half_of_its_life(cloud: IamCloud, client: EvsClient) -> None:
    cloud.life = timedelta(minutes=30)
    await ask(client)
    cloud.now += timedelta(minutes=14)
    await ask(client)
    assert len(cloud.grants) == 1
    cloud.now += timedelta(minutes=2)
    await ask(client)
    assert len(cloud.grants) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": None},
        {"expires_at": "soon"},
        {"expires_at": "2000-01-01T00:00:00Z"},
        {"expires_at": "9999-12-31T23:59:59Z", "issued_at": None},
        {"expires_at": [], "issued_at": 5},
    ],
)
async def test_an_odd_expiry_never_makes_every_call_ask_for_a_token(
    cloud: IamCloud, client: EvsClient, fields: dict[str, object]
) -> None:
    cloud.iam = lambda: cloud.grant("token-x", **fields)
    for _ in range(5):
        await ask(client)
    assert len(cloud.grants) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"token":7}', b"<html>", b'{"token":' + b'{"a":' * 99_999])
async def test_the_token_counts_whatever_the_body_of_the_grant_is(
    cloud: IamCloud, client: EvsClient, content: bytes
) -> None:
    def grant() -> httpx.Response:
        cloud.valid = {"t"}
        return httpx.Response(201, content=content, headers={"X-Subject-Token": "t"})

    cloud.iam = grant
    assert [await ask(client), await ask(client)] == ["RUNNING", "RUNNING"]
    assert len(cloud.grants) == 1


EXPIRIES = [
    (401, {"error_msg": "The token must be updated", "error_code": "APIGW.0307"}),
    (401, {"error_msg": "Incorrect IAM authentication information: decrypt token fail", "error_code": "APIG.0301"}),
    (401, "Authentication required"),
    (400, {"error": {"message": "Invalid token in the header.", "code": "Common.0013"}}),
    (400, {"error": {"message": "invalid token!", "code": "EVS.0002"}}),
    (500, {"error": {"message": "the result of decode token is null!", "code": "EVS.2036"}}),
    (200, {"error": {"message": "Invalid token in the header.", "code": "Common.0013"}}),
]


@pytest.mark.parametrize(("status", "content"), EXPIRIES)
async def test_a_token_that_is_refused_as_soon_as_it_was_granted_is_not_renewed_on_the_spot(
    cloud: IamCloud, client: EvsClient, status: int, content: object
) -> None:
    cloud.evs = lambda token: httpx.Response(status, json=content)
    with pytest.raises(errors.Unauthorized):
        await ask(client)
    assert (len(cloud.grants), cloud.calls) == (1, ["token-1"])


@pytest.mark.parametrize(("status", "content"), EXPIRIES)
async def test_a_token_that_expired_is_renewed_once_and_the_call_made_again(
    cloud: IamCloud, client: EvsClient, status: int, content: object
) -> None:
    assert await ask(client) == "RUNNING"
    cloud.evs = lambda token: httpx.Response(status, json=content) if token == "token-1" else None
    assert await ask(client) == "RUNNING"
    assert (len(cloud.grants), cloud.calls) == (2, ["token-1", "token-1", "token-2"])


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, {"error": {"message": "query job fail. Common.0013", "code": "Common.0011"}}),
        (400, {"error": {"message": "Invalid token in the header", "code": "Common.0018"}}),
        (401, {"error": {"message": "no agency", "code": "EVS.2143"}}),
        (403, {"error": {"message": "Policy check failed.", "code": "EVS.5403"}}),
        (429, {"error_msg": "slow", "error_code": "APIGW.0308"}),
        (500, {"error": {"message": "Internal server error.", "code": "EVS.5500"}}),
        (302, {}),
    ],
)
async def test_any_other_refusal_leaves_the_token_alone(
    cloud: IamCloud, client: EvsClient, status: int, content: object
) -> None:
    await ask(client)
    cloud.evs = lambda token: httpx.Response(status, json=content)
    with pytest.raises(errors.CloudError):
        await ask(client)
    assert (len(cloud.grants), len(cloud.calls)) == (1, 2)


async def test_a_cloud_that_refuses_every_token_is_asked_twice_and_no_more(cloud: IamCloud, client: EvsClient) -> None:
    await ask(client)
    cloud.evs = lambda token: httpx.Response(401, json={"error_msg": "no", "error_code": "APIGW.0301"})
    with pytest.raises(errors.Unauthorized):
        await ask(client)
    assert (len(cloud.grants), len(cloud.calls)) == (2, 3)


async def test_many_callers_refused_for_good_do_not_storm_iam(cloud: IamCloud, client: EvsClient) -> None:
    await ask(client)
    cloud.slow = True
    cloud.evs = lambda token: httpx.Response(401, json={"error_msg": "no", "error_code": "APIGW.0301"})
    found = await asyncio.gather(*(ask(client) for _ in range(40)), return_exceptions=True)
    assert all(isinstance(error, errors.Unauthorized) for error in found)
    assert len(cloud.grants) <= 3
    assert len(cloud.calls) <= 1 + 2 * 40


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (401, REFUSED, errors.Unauthorized),
        (400, {"error_msg": "user locked", "error_code": "IAM.0061"}, errors.Unauthorized),
        (404, {"error": {"message": "Could not find project", "code": 404}}, errors.WrongProject),
        (401, {"error": {"message": "The project could not be found.", "code": 401}}, errors.WrongProject),
        (400, {"error_msg": "not there", "error_code": "IAM.1109"}, errors.WrongProject),
        (403, {"error": {"message": "Forbidden", "code": 403}}, errors.Forbidden),
        (404, "<html>", errors.EndpointInvalid),
        (302, "", errors.EndpointInvalid),
    ],
)
async def test_after_a_refusal_by_iam_nothing_is_asked_for_five_minutes(
    cloud: IamCloud, client: EvsClient, status: int, content: object, kind: type[errors.CloudError]
) -> None:
    cloud.iam = lambda: (
        httpx.Response(status, text=content) if isinstance(content, str) else httpx.Response(status, json=content)
    )
    messages = set()
    for _ in range(4):
        with pytest.raises(kind) as raised:
            await ask(client)
        messages.add(str(raised.value))
        cloud.now += timedelta(seconds=99)
    assert (len(cloud.grants), cloud.calls, len(messages)) == (1, [], 1)
    assert "iam.example.com" in messages.pop()
    cloud.now += timedelta(seconds=10)
    cloud.iam = None
    assert await ask(client) == "RUNNING"


async def test_a_refusal_told_again_does_not_grow(cloud: IamCloud, client: EvsClient) -> None:
    cloud.iam = lambda: httpx.Response(401, json=REFUSED)
    lengths = set()
    for _ in range(3):
        with pytest.raises(errors.Unauthorized) as raised:
            await ask(client)
        lengths.add(len(raised.traceback))
    assert len(lengths) <= 2


@pytest.mark.parametrize(
    ("answer", "kind", "pause"),
    [
        (httpx.Response(503, text="down"), errors.ServerError, 5),
        (httpx.Response(503, text="down", headers={"Retry-After": "120"}), errors.ServerError, 120),
        (httpx.Response(500, text="down", headers={"Retry-After": "1"}), errors.ServerError, 5),
        (
            httpx.Response(429, json={"error_msg": "10 times per 60 seconds", "error_code": "IAM.0012"}),
            errors.RateLimited,
            60,
        ),
        (
            httpx.Response(429, json={"error_msg": "x", "error_code": "IAM.0012"}, headers={"Retry-After": "7"}),
            errors.RateLimited,
            7,
        ),
        (httpx.Response(201, json={"token": {}}), errors.InvalidResponse, 5),
        (httpx.Response(201, json={"token": {}}, headers={b"X-Subject-Token": b"t\xf6"}), errors.InvalidResponse, 5),
        (httpx.Response(200, json={"token": {}}, headers={"X-Subject-Token": "t"}), errors.InvalidResponse, 5),
    ],
)
async def test_trouble_of_iam_that_passes_is_told_to_all_who_come_meanwhile_and_then_iam_is_asked_again(
    cloud: IamCloud, client: EvsClient, answer: httpx.Response, kind: type[errors.CloudError], pause: int
) -> None:
    cloud.slow = True
    cloud.iam = lambda: httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)
    found = await asyncio.gather(*(ask(client) for _ in range(20)), return_exceptions=True)
    assert {type(error) for error in found} == {kind}
    cloud.now += timedelta(seconds=pause - 1)
    with pytest.raises(kind) as raised:
        await ask(client)
    assert raised.value.signing_in
    assert (len(cloud.grants), cloud.calls) == (1, [])
    cloud.now += timedelta(seconds=1)
    cloud.iam = None
    assert await ask(client) == "RUNNING"


@pytest.mark.parametrize("trouble", [httpx.Response(503), httpx.Response(429, json={"error_code": "IAM.0012"}), None])
async def test_a_renewal_that_fails_for_a_passing_reason_keeps_nobody_from_working(
    cloud: IamCloud, client: EvsClient, trouble: httpx.Response | None
) -> None:
    def fails() -> httpx.Response:
        if trouble is None:
            raise httpx.ConnectError("no route")
        return httpx.Response(trouble.status_code, content=trouble.content)

    await ask(client)
    cloud.iam = fails
    cloud.now += timedelta(hours=23, minutes=10)
    if trouble is None:
        with pytest.raises(errors.Unreachable):  # who asks learns it, nobody else
            await ask(client)
    for _ in range(5):
        assert await ask(client) == "RUNNING"
    assert len(cloud.grants) == 2
    cloud.now += timedelta(seconds=61)
    cloud.iam = None
    await ask(client)
    assert (len(cloud.grants), cloud.calls[-1]) == (3, "token-3")


async def test_an_expired_token_is_not_used_where_iam_is_in_trouble(cloud: IamCloud, client: EvsClient) -> None:
    await ask(client)
    cloud.iam = lambda: httpx.Response(503)
    cloud.now += timedelta(hours=24)
    with pytest.raises(errors.ServerError):
        await ask(client)
    assert cloud.calls == ["token-1"]


OTHER = "1" * 32


@pytest.fixture
async def shared(cloud: IamCloud) -> AsyncIterator[Callable[[str], EvsClient]]:
    """Give clients of one sign-in, one for each project."""
    sign_in = SignIn(USER, clock=cloud.clock)
    clients: dict[str, EvsClient] = {}

    def client(project: str) -> EvsClient:
        if project not in clients:
            clients[project] = EvsClient(EVS, sign_in.auth(project), transport=cloud.transport)
        return clients[project]

    yield client
    for made in clients.values():
        await made.aclose()


async def test_a_wrong_password_is_tried_three_times_at_the_most_however_many_projects_wait(
    cloud: IamCloud, shared: Callable[[str], EvsClient]
) -> None:
    cloud.slow = True
    cloud.iam = lambda: httpx.Response(401, json=REFUSED)
    asking = [shared(f"{number:032x}").get_job(f"{number:032x}", JOB_ID) for number in range(20)]
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(error) for error in found} == {errors.Unauthorized}
    assert (len(cloud.grants), cloud.calls) == (3, [])
    for _ in range(3):
        cloud.now += timedelta(seconds=301)
        asking = [shared(f"{number:032x}").get_job(f"{number:032x}", JOB_ID) for number in range(20)]
        await asyncio.gather(*asking, return_exceptions=True)
    assert len(cloud.grants) == 3 + 3 * 2, "and twice in five minutes as long as it stays wrong"


async def test_each_project_has_a_token_of_its_own(cloud: IamCloud, shared: Callable[[str], EvsClient]) -> None:
    cloud.evs = lambda token: httpx.Response(200, json=body("RUNNING"))
    for project in (PROJECT, OTHER, PROJECT, OTHER):
        await shared(project).get_job(project, JOB_ID)
    assert (cloud.asked, cloud.calls) == ([PROJECT, OTHER], ["token-1", "token-2", "token-1", "token-2"])


async def test_a_project_that_iam_does_not_know_keeps_no_other_project_waiting(
    cloud: IamCloud, shared: Callable[[str], EvsClient]
) -> None:
    cloud.iam = lambda: httpx.Response(401, json={"error": {"message": "The project could not be found.", "code": 401}})
    with pytest.raises(errors.WrongProject):
        await shared(OTHER).get_job(OTHER, JOB_ID)
    cloud.iam = None
    await shared(PROJECT).get_job(PROJECT, JOB_ID)
    with pytest.raises(errors.WrongProject):  # remembered, not asked again
        await shared(OTHER).get_job(OTHER, JOB_ID)
    assert (len(cloud.grants), cloud.calls) == (2, ["token-2"])


async def test_every_token_is_told_before_it_is_used(cloud: IamCloud) -> None:
    told: list[str] = []
    cloud.evs = lambda token: httpx.Response(200 if token in told else 500, json=body("RUNNING"))
    sign_in = SignIn(USER, clock=cloud.clock, hold=told.append)
    async with EvsClient(EVS, sign_in.auth(PROJECT), transport=cloud.transport) as client:
        await ask(client)
    assert told == ["token-1"]
    assert set(sign_in.literals()) == {"the-password", "token-1"}


async def test_a_caller_that_gives_up_hands_the_asking_on(cloud: IamCloud, client: EvsClient) -> None:
    cloud.slow = True
    first = asyncio.create_task(ask(client))
    second = asyncio.create_task(ask(client))
    await cloud.arrived.wait()
    first.cancel()
    assert await second == "RUNNING"
    assert cloud.calls == ["token-1"]
    with pytest.raises(asyncio.CancelledError):
        await first


def test_the_password_flow_needs_an_event_loop_to_share_its_token() -> None:
    auth = auth_for(USER, PROJECT, clock=lambda: datetime.now(UTC))
    with pytest.raises(RuntimeError):
        next(auth.sync_auth_flow(httpx.Request("GET", EVS)))
