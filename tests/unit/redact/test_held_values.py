"""What log lines are redacted with: within bounds of bytes, each namespace within its own."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

import pytest

from evs_operator.redact.held_values import HeldValues
from evs_operator.redact.redaction import Redaction
from evs_operator.redact.redactor import Redactor
from support.memory import traced

MIB = 1 << 20
DRAW = random.Random(7)


def made(length: int) -> str:
    return "".join(DRAW.choices(string.ascii_letters + string.digits + "-_", k=length))


def memory_of(work: Callable[[], object]) -> float:
    """Return how many MiB are held after some work, and its result with them."""
    with traced() as held:
        kept = work()
        used = held() / MIB
        del kept
        return used


def test_a_namespace_with_more_values_than_fit_pushes_out_its_own_oldest_alone() -> None:
    redaction = Redaction(lambda: 0.0)
    redaction.hold(["the-secret-of-the-victim"], "victim")
    for number in range(3000):
        redaction.hold([f"{number:06}-{made(40)}"], "attacker")
    redaction.hold(["the-last-of-the-attackers"], "attacker")
    assert redaction("the-secret-of-the-victim the-last-of-the-attackers") == "*** ***"
    assert len(list(redaction._held)) < 2500


def test_what_all_namespaces_hold_together_is_bounded_at_the_cost_of_the_one_that_holds_most() -> None:
    held = HeldValues(most_of_one=40_000, most=100_000)
    held.hold({"the-secret-of-the-victim": 0.0}, "victim")
    for number in range(100):
        for owner in ("a", "b", "c", "d"):
            held.hold({f"{owner}-{number:04}-{made(30)}": 0.0}, owner)
    assert held.literals.size <= 100_000
    counts = {owner: sum(1 for name, _ in held if name == owner) for owner in ("a", "b", "c", "d", "victim")}
    assert counts["victim"] == 1
    assert max(counts.values()) - min(counts[owner] for owner in "abcd") <= 2


def test_a_value_is_looked_for_until_the_last_of_its_owners_has_let_it_go() -> None:
    held = HeldValues()
    assert held.hold({"shared-by-both": 0.0}, "one")
    assert not held.hold({"shared-by-both": 0.0}, "two"), "it is looked for already"
    assert not held.keep(["two"], -1.0)
    assert Redactor((), held.literals)("shared-by-both") == "***"
    assert held.keep([], -1.0)
    assert Redactor((), held.literals)("shared-by-both") == "shared-by-both"
    assert (list(held), held.literals.size, held._sizes, held._size) == ([], 0, {}, {})


def test_a_value_that_had_to_go_does_not_push_out_others_when_it_is_seen_in_use() -> None:
    held = HeldValues(most_of_one=20_000)
    values = {f"{number:04}-{made(30)}": 0.0 for number in range(100)}
    held.hold(values, "one")
    kept = list(held)
    assert len(kept) < 20
    assert not held.use(values, "one")
    assert list(held) == kept


LARGEST = {
    "a value of 64 KiB": lambda: made(65_536),
    "a value of 64 KiB in lines of 8 characters": lambda: "\n".join(made(8) for _ in range(7_281)),
    "a value of 64 KiB of escapes": lambda: "\\u0041%41&amp;\n" * 4_681,
    "a value of 64 KiB beyond ASCII": lambda: "卷" * 21_845,
    "a token of 3 kB": lambda: made(3000),
    "a password of 12 characters": lambda: made(12),
}


@pytest.mark.parametrize("kind", LARGEST)
def test_a_value_takes_little_memory_beside_its_own_characters(kind: str) -> None:
    """Measured: 2 KiB for 12 or 40 characters, 9 KiB for 3 kB, 8 KiB for 64 KiB, whatever is in it."""
    values = [LARGEST[kind]() for _ in range(20)]

    def hold() -> Redaction:
        redaction = Redaction(lambda: 0.0)
        redaction.hold(values, "team")
        return redaction

    assert memory_of(hold) / len(values) * 1024 < 16.0


def test_whatever_a_namespace_holds_takes_less_than_eight_mebibytes() -> None:
    def hold() -> Redaction:
        redaction = Redaction(lambda: 0.0)
        for number in range(2000):
            redaction.hold([f"{number:06}-{made(40 if number % 20 else 3000)}"], "attacker")
        for number in range(40):
            redaction.hold([f"{number:06}-{made(65_536)}"], "attacker")
        return redaction

    assert memory_of(hold) < 8.0


def test_three_hundred_tokens_in_turn_leave_little_behind() -> None:
    def renew() -> Redaction:
        now = 0.0
        redaction = Redaction(lambda: now)
        call = redaction.for_call()
        call.owned_by(["team"])
        for _ in range(300):
            token = made(3000)
            call.hold([token])
            call("an answer")
            for _ in range(20):  # a token of a day is renewed after 23 hours
                now += 4140.0
                call.hold([token])
                redaction.keep([call])
        return redaction

    assert memory_of(renew) < 2.0


def test_an_issuer_that_gives_a_new_token_each_second_is_kept_within_bounds() -> None:
    redaction = Redaction(lambda: 0.0)
    call = redaction.for_call()
    call.owned_by(["team"])
    call.hold(["the-password-of-the-team"])
    tokens = []
    for _ in range(100):
        tokens.append(made(60_000))
        call.hold([tokens[-1]])
        call.hold(["the-password-of-the-team"])
    assert sum(map(len, call.last_used)) <= 512 * 1024
    assert call(f"{tokens[-1]} the-password-of-the-team") == "*** ***"
