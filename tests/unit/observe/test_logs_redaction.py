"""No secret reaches a log line, whichever way it came into the record (truth rule 6)."""

from __future__ import annotations

import json
import logging
import string
import sys
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from evs_operator.observe.logs import JsonFormatter, TextFormatter
from evs_operator.redact.redactor import Redactor

# "*" is left out: the mask is made of it
SECRETS = st.text(alphabet=sorted({*string.printable, "é", "€", "\u2028"} - {"*"}), min_size=6, max_size=60)
TOKENS = st.text(alphabet=string.ascii_letters + string.digits + "+/=_-!@#$%^&", min_size=6, max_size=60)


def record(message: object, *args: object) -> logging.LogRecord:
    return logging.LogRecord("evs_operator.cloud", logging.ERROR, __file__, 1, message, args, None)


def in_message(secret: str) -> logging.LogRecord:
    return record(f"refused: {secret} is wrong")


def in_arguments(secret: str) -> logging.LogRecord:
    return record("refused: %s, %s", 1, secret)


def in_arguments_that_do_not_fit(secret: str) -> logging.LogRecord:
    return record(f"refused: %d {secret}", "x")


def in_a_field(secret: str) -> logging.LogRecord:
    made = record("refused")
    made.__dict__["answer"] = f"{secret} is wrong"
    return made


def in_the_name_of_the_logger(secret: str) -> logging.LogRecord:
    made = record("refused")
    made.name = f"evs_operator.{secret}"
    return made


def in_an_exception(secret: str) -> logging.LogRecord:
    made = record("refused")
    try:
        raise ValueError(f"with {secret} in it")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def in_the_cause_of_an_exception(secret: str) -> logging.LogRecord:
    made = record("refused")
    try:
        try:
            raise ConnectionError(secret)
        except ConnectionError as error:
            error.add_note(f"sent {secret}")
            raise ExceptionGroup("several", [error]) from error
    except ExceptionGroup:
        made.exc_info = sys.exc_info()
    return made


WAYS = (
    in_message,
    in_arguments,
    in_arguments_that_do_not_fit,
    in_a_field,
    in_the_name_of_the_logger,
    in_an_exception,
    in_the_cause_of_an_exception,
)
FORMATS = (JsonFormatter, TextFormatter)


def forms(secret: str) -> set[str]:
    """Return the secret as it is, and as either format would write it down."""
    return {secret, json.dumps(secret, ensure_ascii=False)[1:-1], ascii(secret)[1:-1]}


def lines(way: Callable[[str], logging.LogRecord], secret: str, redactor: Redactor, *, debug: bool) -> list[str]:
    return [kind(redactor, debug=debug).format(way(secret)) for kind in FORMATS]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("way", WAYS)
@given(secret=SECRETS)
@example(secret="pass\nword")
@example(secret="two words")
@example(secret='quo"te\\d')
@example(secret="100%sure")
def test_no_secret_reaches_a_line(way: Callable[[str], logging.LogRecord], debug: bool, secret: str) -> None:
    harmless = "".join(lines(way, "?", Redactor(), debug=debug))
    assume(not any(form in harmless for form in forms(secret)))  # such as "refused" itself
    for line in lines(way, secret, Redactor([secret]), debug=debug):
        assert not any(form in line for form in forms(secret))


@pytest.mark.parametrize("way", WAYS)
def test_half_a_secret_is_not_left_where_a_line_was_cut(way: Callable[[str], logging.LogRecord]) -> None:
    secret = "first-half\nsecond-half"
    for line in lines(way, secret, Redactor([secret]), debug=False):
        assert "half" not in line


@pytest.mark.parametrize("debug", [False, True])
@given(secret=TOKENS)
def test_no_secret_inside_an_object_reaches_a_line(debug: bool, secret: str) -> None:
    def way(value: str) -> logging.LogRecord:
        return record("answered %r with %s", {"header": [value]}, (value,))

    assume(secret not in "".join(lines(way, "?", Redactor(), debug=debug)))
    for line in lines(way, secret, Redactor([secret]), debug=debug):
        assert secret not in line


@pytest.mark.parametrize("way", WAYS)
def test_the_tests_above_would_see_a_secret(way: Callable[[str], logging.LogRecord]) -> None:
    assert all("s3cr3t-value" in line for line in lines(way, "s3cr3t-value", Redactor(), debug=True))


@pytest.mark.parametrize("kind", FORMATS)
def test_the_name_of_a_field_tells_that_its_value_is_a_secret(kind: type[JsonFormatter | TextFormatter]) -> None:
    made = record("asked")
    made.__dict__["token"] = "looks-like-nothing"
    made.__dict__["pages"] = 3
    line = kind(Redactor(), debug=False).format(made)
    assert "looks-like-nothing" not in line
    assert "***" in line


def test_a_number_that_is_a_secret_is_redacted_and_others_stay_numbers() -> None:
    made = record("asked")
    made.__dict__.update(code=12345678, pages=3)
    shown = json.loads(JsonFormatter(Redactor(["12345678"]), debug=False).format(made))
    assert (shown["code"], shown["pages"]) == ("***", 3)


@pytest.mark.parametrize("kind", FORMATS)
def test_no_text_steers_the_terminal_that_shows_a_line(kind: type[JsonFormatter | TextFormatter]) -> None:
    told = "red \x1b[31m \x9b31m \u202e \u2028 \x85 \x7f and 磁盘"
    line = kind(Redactor(), debug=False).format(record(told))
    assert line.isprintable()
    assert "磁盘" in line
    if kind is JsonFormatter:
        assert json.loads(line)["msg"] == told
