"""A secret that its reader may not know: the mask tells nothing but that a text holds it, or its beginning."""

from __future__ import annotations

import base64
import json
import random
import re
import string
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evs_operator.redact.beginnings import TELLING, Beginnings
from evs_operator.redact.redactor import Redactor
from support import secret_forms
from support.secret_forms import FORMS, shows

JWT = (
    "eyJhbGciOiJSUzI1NiIsImtpZCI6Ik5rX2x3In0.eyJhdWQiOlsiaHR0cHM6Ly9rdWJlcm5ldGVzIl0sInN1YiI6ImV2cy1vcGVyYXRvciJ9."
    + "".join(random.Random(12).choices(string.ascii_letters + string.digits + "-_", k=342))
)
SECRETS = [
    "demo-token-1",
    "Xy7/Kp+93=Qw&zz%41",
    "with \"quotes\", \\ and 'more'",
    "pässwörd-卷-and-long-enough",
    "HPUAEXAMPLE1234567AK",
    JWT,
]
WHOLE = [name for name in FORMS if "split" not in name and "cut" not in name]


def shared(*secrets: str) -> Redactor:
    return Redactor((), Beginnings(secrets))


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:12])
@pytest.mark.parametrize("name", WHOLE)
def test_a_secret_that_a_text_holds_whole_is_taken_out_in_every_form(name: str, secret: str) -> None:
    shown = shared(secret, "another-secret-value")(f"before {FORMS[name](secret)} after")
    assert not shows(shown, secret), shown
    assert shown.startswith("before ")
    assert "***" in shown


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("length", [TELLING, 17, 18, 19, 40, 200])
def test_a_secret_that_a_text_begins_is_taken_out_in_every_form(name: str, length: int) -> None:
    secret = JWT[110:]
    shown = shared(secret)(f"before {FORMS[name](secret[:length] + '..')} after")
    assert not shows(shown, secret[:length]), shown


TEXT = st.text(string.ascii_letters + string.digits + " +/=-_.%&;\\\"'\n", max_size=80)
SECRET = st.text(string.ascii_letters + string.digits + "+/=-_. ", min_size=6, max_size=60).map(str.strip)


def pieces_of(secret: str) -> st.SearchStrategy[str]:
    """Draw what comes close to a secret: parts of it, in any form, with and without what stands around."""
    part = st.tuples(st.integers(0, len(secret)), st.integers(0, len(secret))).map(
        lambda ends: secret[min(ends) : max(ends)]
    )
    formed = st.tuples(part, st.sampled_from(sorted(FORMS))).map(lambda drawn: FORMS[drawn[1]](drawn[0]))
    return st.lists(formed | TEXT | st.sampled_from([" ", "x", "***", "."]), max_size=5).map("".join)


def holds(text: str, secret: str) -> bool:
    """Tell, without our own code, whether a text holds what gives a secret away."""
    head = secret.encode()[:TELLING].decode("utf-8", "ignore")
    spelt = {head, head.lower(), head.upper(), head.replace(" ", "+"), head.replace("\\", "")}
    readings = {text, *secret_forms._readings(text)}
    readings |= {found for reading in list(readings) for found in whole_runs(reading)}
    return any(part in reading for reading in readings for part in spelt)


def whole_runs(text: str) -> Iterator[str]:
    """Yield what runs of hexadecimal and base64 say, wherever it begins and up to the last whole byte."""
    for run in re.findall(r"[0-9A-Fa-f]{12,}", text):
        for start in range(2):
            part = run[start:]
            yield bytes.fromhex(part[: len(part) // 2 * 2]).decode("latin-1")
    for run in re.findall(r"[A-Za-z0-9+/_-]{6,}", text):
        for start in range(4):
            part = run[start:].replace("-", "+").replace("_", "/")
            said = base64.b64decode(part + "A" * (-len(part) % 4))
            yield said[: len(part) * 6 // 8].decode("latin-1")


@settings(max_examples=300)
@given(st.data())
def test_of_two_secrets_that_a_text_does_not_hold_it_looks_the_same(data: st.DataObject) -> None:
    one, other = data.draw(SECRET), data.draw(SECRET)
    text = data.draw(pieces_of(one))
    assume(min(len(one), len(other)) >= 6 and not holds(text, one) and not holds(text, other))
    assert shared(one)(text) == shared(other)(text) == shared()(text)


@settings(max_examples=200)
@given(st.data())
def test_how_much_of_a_secret_follows_its_beginning_cannot_be_seen(data: st.DataObject) -> None:
    """Two secrets that begin alike: however far a text goes on with one of them, it looks the same."""
    head = data.draw(st.text(string.ascii_letters + string.digits, min_size=TELLING, max_size=30))
    one, other = (head + data.draw(st.text(string.ascii_letters, min_size=1, max_size=40)) for _ in range(2))
    text = data.draw(pieces_of(one))
    assert shared(one)(text) == shared(other)(text)


@given(st.binary(min_size=6, max_size=15), st.binary(max_size=4), st.binary(max_size=4), st.integers(0, 7))
def test_a_secret_but_for_its_last_bits_is_not_found_in_base64(
    raw: bytes, before: bytes, after: bytes, bit: int
) -> None:
    secret = "".join(chr(65 + byte % 26) for byte in raw)
    close = secret[:-1] + chr(ord(secret[-1]) ^ (1 << bit % 5))
    text = base64.b64encode(before + close.encode() + after).decode()
    assume(not holds(text, secret))
    assert shared(secret)(text) == shared()(text)


FIELDS: dict[str, Callable[[str], str]] = {
    "the name of a key": lambda guess: f"lacks x{guess} for tls.caSecretRef",
    "the name of a volume": lambda guess: f"pvc-{guess}",
    "an error text": lambda guess: f"volume {guess} is error!",
    "the echo of a job id": lambda guess: guess,
    "hexadecimal": lambda guess: guess.encode().hex(),
    "URL-encoded": lambda guess: quote(guess, safe="").replace("e", "%65"),
    "in two fields": lambda guess: json.dumps({"a": guess[: len(guess) // 2], "b": guess[len(guess) // 2 :]}),
    "in JSON": lambda guess: "".join(f"\\u{ord(char):04x}" for char in guess),
    "base64 in lines": lambda guess: base64.encodebytes(b"x" * 30 + guess.encode()).decode(),
    **{
        f"base64 at {offset}": lambda guess, offset=offset: base64.b64encode(b"x" * offset + guess.encode()).decode()  # type: ignore[misc]
        for offset in range(3)
    },
}


@pytest.mark.parametrize("field", FIELDS)
def test_who_knows_twenty_four_characters_of_a_token_learns_not_one_more(field: str) -> None:
    """The attacker of the first finding: a window of known characters, and a guess of the next."""
    form = FIELDS[field]
    guesses = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."]
    for at in (0, 40, 130, 200, 300, 301, 302, 350, 399, 410):  # ten places: at its beginning, and all over it
        known, unknown = JWT[at : at + 24], JWT[at + 24 :]
        token, another = shared(JWT), shared(JWT[: at + 24] + unknown.swapcase()[::-1])
        for guess in guesses:
            text = form(known + guess)
            assert token(text) == another(text), f"a guess of character {at + 24} can be told to be right or wrong"


def test_the_attack_works_where_the_reader_is_taken_for_the_owner() -> None:
    redact = Redactor([JWT])
    known, right = JWT[200:224], JWT[224]
    wrong = "A" if right != "A" else "B"
    assert redact(f"lacks x{known}{right} for") == "lacks x*** for"
    assert redact(f"lacks x{known}{wrong} for") == f"lacks x***{wrong} for"


def test_the_mask_takes_the_whole_run_so_that_its_length_tells_nothing() -> None:
    redact = shared("open-sesame-and-more-of-it")
    for rest in ("", "-and-more", "-and-more-of-it", "-and-more-of-it-and-beyond", "!?=&;,"):
        assert redact(f"a b<open-sesame-and-{rest}> c") == "a *** c"


def test_words_of_a_result_stay_though_a_shared_secret_is_made_of_them() -> None:
    redact = shared("createVolume SUCCESS 0123456789abcdef")
    assert redact("createVolume") == "createVolume"
    assert redact("SUCCESS") == "SUCCESS"


def test_a_secret_with_blanks_hides_all_that_follows_its_beginning() -> None:
    redact = shared("correct horse battery staple")
    assert redact("the correct horse battery stap") == "the ***"
    assert redact("the correct horse battery cow") == "the ***", "as long as a text that goes on with it"
    assert redact("the correct horse cow") == "the correct horse cow"


def test_tokens_that_begin_alike_are_one_needle() -> None:
    known = Beginnings(JWT[:40] + str(number) for number in range(1000))
    assert sum(len(owners) for owners in known._wide.values()) < 20
