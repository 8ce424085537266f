"""Whose secrets are taken out of which texts, and for how long."""

from __future__ import annotations

import pytest

from evs_operator.redact.redaction import CallRedaction, Redaction
from evs_operator.redact.redactor import Redactor

HOUR = 3600.0


class RedactionBench:
    """The redaction of a process, and credentials in use."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.logs = Redaction(lambda: self.now)
        self.calls: list[CallRedaction] = []

    def credential(self, *values: str, of: tuple[str, ...]) -> CallRedaction:
        """Put a credential into use by connections of these namespaces, "" for a ClusterEvsConnection."""
        call = self.logs.for_call()
        call.hold(values)
        call.owned_by(of)
        self.calls.append(call)
        return call

    def keep(self, *still: tuple[CallRedaction, tuple[str, ...]]) -> None:
        """Do what the rounds do each minute: what is in use is said again, and the rest is forgotten."""
        for call, values in still:
            call.hold(values)
        self.logs.keep(self.calls)


@pytest.fixture
def bench() -> RedactionBench:
    return RedactionBench()


def test_an_answer_is_redacted_with_the_credential_of_its_call_and_with_nothing_else(bench: RedactionBench) -> None:
    team = bench.credential("team-a-secret", of=("team-a",))
    other = bench.credential("the-other-credential", of=("team-a",))
    platform = bench.credential("the-platform-token", of=("",))
    bench.logs.hold_own("the-operators-own-token")
    text = "team-a-secret the-other-credential the-platform-token the-operators-own-token"
    assert team(text) == "*** the-other-credential the-platform-token the-operators-own-token"
    assert other(text) == "team-a-secret *** the-platform-token the-operators-own-token"
    assert platform(text) == "team-a-secret the-other-credential *** the-operators-own-token"
    assert bench.logs(text) == "*** *** *** ***"


def test_a_credential_of_a_namespace_is_found_in_part_and_one_that_is_shared_only_by_its_beginning(
    bench: RedactionBench,
) -> None:
    secret = "hR7-kQ2xW9-pL4zT8vN1-bM6yJ3-and-more"
    own, shared = bench.credential(secret, of=("team-a",)), bench.credential(secret, of=("",))
    assert own(f"x{secret[10:30]}y") == "x***y"
    assert shared(f"x{secret[10:30]}y") == f"x{secret[10:30]}y"
    assert own(f"x{secret[:20]}y z") == "x***y z"
    assert shared(f"x{secret[:20]}y z") == "*** z"


def test_a_credential_that_was_shared_once_is_not_found_in_part_any_more(bench: RedactionBench) -> None:
    secret = "hR7-kQ2xW9-pL4zT8vN1-bM6yJ3-and-more"
    call = bench.credential(secret, of=("team-a",))
    assert call(secret[10:30]) == "***"
    call.owned_by(("team-a", ""))
    assert call(secret[10:30]) == secret[10:30]
    call.owned_by(("team-a",))
    assert call(secret[10:30]) == secret[10:30]


def test_what_is_issued_is_redacted_for_those_whose_connections_use_the_credential(bench: RedactionBench) -> None:
    call = bench.credential("a-password", of=("team-a",))
    call.hold(["an-issued-token"])
    assert call("an-issued-token") == "***"
    assert bench.logs("an-issued-token") == "***"
    assert bench.credential("another", of=("team-b",))("an-issued-token") == "an-issued-token"


def test_what_is_issued_for_a_credential_that_nobody_uses_is_nobodys(bench: RedactionBench) -> None:
    """Or who deletes a connection while IAM answers names a word that is masked in everybody's results."""
    call = bench.credential("a-password", of=("attacker",))
    call.owned_by(())
    call.hold(["SUCCESS"])
    assert bench.logs("createVolume SUCCESS") == "createVolume SUCCESS"
    assert bench.credential("another", of=("",))("createVolume SUCCESS") == "createVolume SUCCESS"


def test_a_text_that_was_shown_before_is_redacted_once_a_secret_in_it_is_held(bench: RedactionBench) -> None:
    call, text = bench.credential("a-password", of=("team-a",)), "it is team-a-secret"
    assert bench.logs(text) == call(text) == call.of_answer([text])(text) == text
    call.hold(["team-a-secret"])
    assert bench.logs(text) == call(text) == call.of_answer([text])(text) == "it is ***"


def test_a_text_too_long_to_be_remembered_is_redacted_too(bench: RedactionBench) -> None:
    call = bench.credential("team-a-secret", of=("team-a",))
    assert call("x " * 500 + "team-a-secret").endswith("x ***")
    assert call.of_answer()("x " * 500 + "team-a-secret").endswith("x ***")


def test_a_value_that_was_replaced_may_come_back_for_an_hour(bench: RedactionBench) -> None:
    call = bench.credential("the-old-token", of=("team",))
    bench.now += 10.0
    call.hold(["a-brand-new-one"])
    text = "the-old-token a-brand-new-one"
    bench.now += HOUR - 11.0
    bench.keep((call, ("a-brand-new-one",)))
    assert call(text) == bench.logs(text) == "*** ***"
    bench.now += 1.0
    bench.keep((call, ("a-brand-new-one",)))
    assert call(text) == bench.logs(text) == "the-old-token ***"


def test_a_value_in_use_is_redacted_however_long_that_is(bench: RedactionBench) -> None:
    call = bench.credential("team-a-secret", of=("team-a",))
    for _ in range(100):
        bench.now += HOUR / 2
        bench.keep((call, ("team-a-secret",)))
    assert call("team-a-secret") == bench.logs("team-a-secret") == "***"


def test_the_values_of_a_namespace_leave_the_log_with_its_last_connection(bench: RedactionBench) -> None:
    """Or the next team whose namespace has that name would meet them."""
    gone = bench.credential("alpha-0123456", "shared-by-both-1", of=("team",))
    stays = bench.credential("omega-9876543", "shared-by-both-1", of=("other",))
    text = "alpha-0123456 omega-9876543 shared-by-both-1"
    gone.owned_by(())
    bench.keep((stays, ("omega-9876543", "shared-by-both-1")))
    assert bench.logs(text) == "alpha-0123456 *** ***"
    assert gone(text) == "*** omega-9876543 ***", "its calls may still be answered"


def test_the_operators_own_token_stays_in_the_log_until_an_hour_after_the_next(bench: RedactionBench) -> None:
    bench.logs.hold_own("the-first-own-token")
    for _ in range(5):
        bench.now += HOUR
        bench.keep()
    assert bench.logs("the-first-own-token") == "***"
    bench.logs.hold_own("the-second-of-them")
    bench.now += HOUR - 1.0
    bench.keep()
    assert bench.logs("the-first-own-token the-second-of-them") == "*** ***"
    bench.now += 1.0
    bench.keep()
    assert bench.logs("the-first-own-token the-second-of-them") == "the-first-own-token ***"


def test_namespaces_that_come_and_go_leave_nothing_behind(bench: RedactionBench) -> None:
    for number in range(300):
        bench.calls = [bench.credential(f"{number:04}-{'x' * 20}", of=(f"build-{number}",))]
        bench.keep()
    assert list(bench.logs._held) == [("build-299", f"0299-{'x' * 20}")]


def test_texts_that_were_announced_are_redacted_as_they_would_be_alone(bench: RedactionBench) -> None:
    call = bench.credential("team-a-secret", of=("team-a",))
    texts = [f"volume-{number:04d}" for number in range(250)]
    texts[120] = "it is team-a-secret"
    texts[240] = "password=hunter2"
    redact = call.of_answer(texts)
    assert redact("it is team-a-secret") == "it is ***"
    assert redact("password=hunter2") == "password=***"
    assert [redact(text) for text in texts if text.startswith("volume")] == texts[:120] + texts[121:240] + texts[241:]
    assert redact("team-a-secret in a text that was not announced") == "*** in a text that was not announced"


def test_announced_texts_are_looked_through_together(bench: RedactionBench, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    alone = Redactor.within
    monkeypatch.setattr(Redactor, "within", lambda self, text, work: (looks.append(text), alone(self, text, work))[1])
    texts = [f"volume-{number:04d}" for number in range(250)]
    redact = bench.credential("team-a-secret", of=("team-a",)).of_answer(texts)
    assert [redact(text) for text in texts] == texts
    assert len(looks) == 3
