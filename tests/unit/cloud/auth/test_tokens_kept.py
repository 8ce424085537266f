"""Which tokens of a shared credential are kept, for whom and how long, and what each request for one counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.cloud.auth.credentials import Password
from evs_operator.cloud.auth.kept import Kept
from evs_operator.cloud.auth.sign_in import SignIn
from evs_operator.cloud.client import EvsClient
from evs_operator.evs import errors
from support.jobs import JOB_ID, body

USER = Password("user", "the-password", "domain", "https://iam.example.com")
AUTHENTICATION = {"error": {"message": "The request you have made requires authentication.", "code": 401}}


class Cloud:
    """Grants a token for every scope but those refused."""

    def __init__(self) -> None:
        self.now = datetime(2026, 2, 3, tzinfo=UTC)
        self.granted: list[str] = []
        self.asked: list[str] = []
        self.refused: set[str] = set()
        self.spent = 0
        self.sign_in = SignIn(USER, clock=lambda: self.now, on_request=self.spend)
        self.base = EvsClient(
            "https://evs.example.com", self.sign_in.auth("0" * 32), transport=httpx.MockTransport(self.answer)
        )

    def spend(self) -> None:
        self.spent += 1

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != "iam.example.com":
            return httpx.Response(200, json=body("RUNNING"))
        scope = request.read().decode().partition('"project":')[2]
        project = scope[scope.find('id":') + 5 :].strip(' "')[:32] if scope else ""
        self.asked.append(project)
        if project in self.refused:
            return httpx.Response(401, json=AUTHENTICATION)
        self.granted.append(project)
        return httpx.Response(201, headers={"X-Subject-Token": f"token-{len(self.granted)}"}, json={"token": {}})

    async def ask(self, project: str, namespace: str = "ns", *, doubtful: bool = False) -> None:
        auth = self.sign_in.auth(project, namespace=namespace, doubtful=doubtful)
        await self.base.with_auth(auth).get_job(project, JOB_ID)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    cloud = Cloud()
    yield cloud
    await cloud.base.aclose()


def project(number: int) -> str:
    return f"{number:032x}"


async def test_a_namespace_that_names_project_after_project_pushes_out_its_own_tokens_alone(cloud: Cloud) -> None:
    await cloud.ask("a" * 32, "victim")
    for number in range(200):
        await cloud.ask(project(number), "attacker")
    await cloud.ask("a" * 32, "victim")
    assert Counter(cloud.granted)["a" * 32] == 1
    await cloud.ask(project(199), "attacker")
    assert Counter(cloud.granted)[project(199)] == 1
    await cloud.ask(project(0), "attacker")
    assert Counter(cloud.granted)[project(0)] == 2


async def test_tokens_are_held_until_their_end_and_no_longer(cloud: Cloud) -> None:
    for number in range(5):
        await cloud.ask(project(number))
    cloud.now += timedelta(hours=23, minutes=59)
    assert {f"token-{number}" for number in range(1, 6)} < set(cloud.sign_in.literals())
    cloud.now += timedelta(minutes=2)
    assert set(cloud.sign_in.literals()) == {"the-password"}


async def test_a_token_that_was_renewed_is_held_no_more(cloud: Cloud) -> None:
    for _ in range(30):
        await cloud.ask(project(0))
        cloud.now += timedelta(hours=23, minutes=30)
    assert set(cloud.sign_in.literals()) == {"the-password", "token-30"}


async def test_every_request_for_a_token_is_counted(cloud: Cloud) -> None:
    for number in range(3):
        await cloud.ask(project(number))
    assert cloud.spent == 3
    cloud.refused.add(project(9))
    cloud.now += timedelta(minutes=1)
    with pytest.raises(errors.WrongProject):
        await cloud.ask(project(9))
    assert cloud.asked[3:] == [project(9), project(2)], "a project that was granted tells that the password is good"
    assert cloud.spent == 5
    with pytest.raises(errors.WrongProject):
        await cloud.ask(project(9))
    assert cloud.spent == 5, "what is remembered is not asked for"


async def test_a_doubtful_project_that_is_refused_first_is_told_apart_by_a_token_for_none(cloud: Cloud) -> None:
    cloud.refused.add(project(0))
    with pytest.raises(errors.WrongProject) as raised:
        await cloud.ask(project(0), doubtful=True)
    assert raised.value.proven
    assert cloud.asked == [project(0), ""]
    assert "requires authentication" in raised.value.message


async def test_while_a_grant_is_fresh_a_refusal_needs_no_witness_but_not_three_in_a_row(cloud: Cloud) -> None:
    await cloud.ask("a" * 32)
    cloud.refused |= {project(number) for number in range(4)}
    for number in range(4):
        with pytest.raises(errors.WrongProject):
            await cloud.ask(project(number), doubtful=True)
    assert cloud.asked[1:] == [project(0), project(1), project(2), "a" * 32, project(3)]


async def test_a_witness_that_iam_does_not_answer_leaves_the_refusal_with_the_project(cloud: Cloud) -> None:
    cloud.refused.add(project(0))
    answer = cloud.answer

    def failing(request: httpx.Request) -> httpx.Response:
        if cloud.spent == 2 and request.url.host == "iam.example.com":
            return httpx.Response(503)
        return answer(request)

    cloud.base = EvsClient("https://evs.example.com", cloud.sign_in.auth(""), transport=httpx.MockTransport(failing))
    with pytest.raises(errors.Unauthorized) as raised:
        await cloud.ask(project(0), doubtful=True)
    assert raised.value.of_project
    await cloud.ask(project(1))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30))))
def test_who_keeps_too_much_pushes_out_their_own(puts: list[tuple[str, int]]) -> None:
    kept: Kept[tuple[str, int], int] = Kept(4, 10)
    for owner, number in puts:
        if kept.get((owner, number)) is not None:
            continue
        before = {key for key, _ in kept.items()}
        owned = Counter(key[0] for key in before)
        left = kept.put((owner, number), owner, number)
        gone = before - {key for key, _ in kept.items()}
        assert len(gone) == len(left) <= 1
        assert all(whose in (owner, *(o for o in owned if owned[o] == max(owned.values()))) for whose, _ in gone)
        assert max(Counter(key[0] for key, _ in kept.items()).values()) <= 4
    assert len(kept) <= 10
