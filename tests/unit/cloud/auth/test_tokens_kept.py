"""Which tokens of a shared credential are kept, for whom and how long, and what each request for one counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.cloud.auth.credentials import Password
from evs_operator.cloud.auth.kept import Kept
from evs_operator.cloud.auth.sign_in import SignIn
from evs_operator.cloud.client import EvsClient
from evs_operator.evs import errors
from support.iam_cloud import AUTHENTICATION, EVS, IAM, IamCloud
from support.jobs import JOB_ID, body

USER = Password("user", "the-password", "domain", IAM)


class Tenants:
    """Namespaces that share one sign-in, at a cloud that takes every token."""

    def __init__(self) -> None:
        self.cloud = IamCloud()
        self.cloud.evs = lambda token: httpx.Response(200, json=body("RUNNING"))
        self.sign_in = SignIn(USER, clock=self.cloud.clock, on_request=self.spend)
        self.spent = 0
        self.base = EvsClient(EVS, self.sign_in.auth("0" * 32), transport=self.cloud.transport)

    def spend(self) -> None:
        self.spent += 1

    async def ask(self, project: str, namespace: str = "ns", *, doubtful: bool = False) -> None:
        auth = self.sign_in.auth(project, namespace=namespace, doubtful=doubtful)
        await self.base.with_auth(auth).get_job(project, JOB_ID)


@pytest.fixture
async def tenants() -> AsyncIterator[Tenants]:
    tenants = Tenants()
    yield tenants
    await tenants.base.aclose()


@pytest.fixture
def cloud(tenants: Tenants) -> IamCloud:
    return tenants.cloud


def project(number: int) -> str:
    return f"{number:032x}"


async def test_a_namespace_that_names_project_after_project_pushes_out_its_own_tokens_alone(
    tenants: Tenants, cloud: IamCloud
) -> None:
    await tenants.ask("a" * 32, "victim")
    for number in range(200):
        await tenants.ask(project(number), "attacker")
    await tenants.ask("a" * 32, "victim")
    assert Counter(cloud.granted)["a" * 32] == 1
    await tenants.ask(project(199), "attacker")
    assert Counter(cloud.granted)[project(199)] == 1
    await tenants.ask(project(0), "attacker")
    assert Counter(cloud.granted)[project(0)] == 2


async def test_tokens_are_held_until_their_end_and_no_longer(tenants: Tenants, cloud: IamCloud) -> None:
    for number in range(5):
        await tenants.ask(project(number))
    cloud.now += timedelta(hours=23, minutes=59)
    assert {f"token-{number}" for number in range(1, 6)} < set(tenants.sign_in.literals())
    cloud.now += timedelta(minutes=2)
    assert set(tenants.sign_in.literals()) == {"the-password"}


async def test_a_token_that_was_renewed_is_held_no_more(tenants: Tenants, cloud: IamCloud) -> None:
    for _ in range(30):
        await tenants.ask(project(0))
        cloud.now += timedelta(hours=23, minutes=30)
    assert set(tenants.sign_in.literals()) == {"the-password", "token-30"}


async def test_every_request_for_a_token_is_counted(tenants: Tenants, cloud: IamCloud) -> None:
    for number in range(3):
        await tenants.ask(project(number))
    assert tenants.spent == 3
    cloud.refused.add(project(9))
    cloud.now += timedelta(minutes=1)
    with pytest.raises(errors.WrongProject):
        await tenants.ask(project(9))
    assert cloud.asked[3:] == [project(9), project(2)], "a project that was granted tells that the password is good"
    assert tenants.spent == 5
    with pytest.raises(errors.WrongProject):
        await tenants.ask(project(9))
    assert tenants.spent == 5, "what is remembered is not asked for"


async def test_a_doubtful_project_that_is_refused_first_is_told_apart_by_a_token_for_none(
    tenants: Tenants, cloud: IamCloud
) -> None:
    cloud.refused.add(project(0))
    with pytest.raises(errors.WrongProject) as raised:
        await tenants.ask(project(0), doubtful=True)
    assert raised.value.proven
    assert cloud.asked == [project(0), ""]
    assert "requires authentication" in raised.value.message


async def test_while_a_grant_is_fresh_a_refusal_needs_no_witness_but_not_three_in_a_row(
    tenants: Tenants, cloud: IamCloud
) -> None:
    await tenants.ask("a" * 32)
    cloud.refused |= {project(number) for number in range(4)}
    for number in range(4):
        with pytest.raises(errors.WrongProject):
            await tenants.ask(project(number), doubtful=True)
    assert cloud.asked[1:] == [project(0), project(1), project(2), "a" * 32, project(3)]


async def test_a_witness_that_iam_does_not_answer_leaves_the_refusal_with_the_project(
    tenants: Tenants, cloud: IamCloud
) -> None:
    refusal = httpx.Response(401, json=AUTHENTICATION)
    cloud.iam = lambda: refusal if tenants.spent == 1 else httpx.Response(503)
    with pytest.raises(errors.Unauthorized) as raised:
        await tenants.ask(project(0), doubtful=True)
    assert raised.value.of_project
    cloud.iam = None
    await tenants.ask(project(1))


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
