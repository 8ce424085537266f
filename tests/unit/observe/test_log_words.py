"""Lines of our own: names and sentences stand as they are, whatever they look like, and what they quote is redacted."""

from __future__ import annotations

import ast
import json
import logging
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evs_operator
from evs_operator.observe.logs import JsonFormatter, TextFormatter
from evs_operator.observe.wording import Ours
from evs_operator.redact.redactor import Redactor

SECRET = "hR7kQ2xW9pL4zT8vN1bM6yJ3"
NAMES = ["access-key", "j-evs-token", "team-secret", "ak", "sk", "password", "my.token", "x-auth-token", "bearer"]
redact = Redactor([SECRET])


def line(message: object, *args: object, logger: str = "evs_operator.jobs", **extra: object) -> dict[str, object]:
    record = logging.LogRecord(logger, logging.INFO, __file__, 1, message, args, None)
    record.__dict__.update(extra)
    text = TextFormatter(redact, debug=False).format(record)
    shown = json.loads(JsonFormatter(redact, debug=False).format(record))
    assert isinstance(shown, dict)
    assert str(shown["msg"]) in text
    return shown


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_name_whatever_it_looks_like(name: str) -> None:
    full = f"default/{name}"
    said = f"EvsConnection {full}: Secret default/missing does not exist: create it"
    shown = line("EvsJob %s: %s: %s", Ours(full), "CredentialsInvalid", Ours(said), evsjob=full, connection=full)
    assert shown["msg"] == f"EvsJob {full}: CredentialsInvalid: {said}"
    assert (shown["evsjob"], shown["connection"]) == (full, full)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_api_server_says_of_an_object_stands_after_its_name(name: str) -> None:
    refused = Ours(f"PATCH /namespaces/x/evsjobs/{name}/status:", f'evsjobs "{name}": {SECRET} is wrong', [name, "x"])
    shown = line("%s", Ours(f"EvsJob x/{name}:", refused))
    assert shown["msg"] == f'EvsJob x/{name}: PATCH /namespaces/x/evsjobs/{name}/status: evsjobs "{name}": *** is wrong'


def test_what_a_sentence_of_ours_quotes_is_redacted() -> None:
    assert line("%s", Ours("it said:", f"{SECRET} password=hunter2"))["msg"] == "it said: *** password=***"
    nested = Ours("EvsJob a/b:", Ours("the API server said:", SECRET))
    assert line("%s: %s", nested, 3)["msg"] == "EvsJob a/b: the API server said: ***: 3"


def test_an_argument_that_nobody_called_ours_is_redacted() -> None:
    assert line("%s and %r of %d", SECRET, {"key": SECRET}, 3)["msg"] == "*** and {'key': '***'} of 3"
    assert line(f"{SECRET} of %d", 3)["msg"] == "*** of 3"
    assert line("%s of %d", SECRET, "x")["msg"] == "%s of %d ('***', 'x')"
    assert line("%(a)s", {"a": SECRET})["msg"] == "***"
    assert line("said", answer=f"x {SECRET}", token="abcdefg")["answer"] == "x ***"


def test_a_line_of_another_library_is_redacted_as_a_whole() -> None:
    assert line("token: %s", Ours("abcdefg"), logger="kopf.objects")["msg"] == "token: ***"


@given(st.text(string.printable), st.text(string.printable), st.lists(st.text(string.ascii_lowercase), max_size=3))
def test_a_sentence_reads_as_if_it_were_one_text(own: str, quoted: str, names: list[str]) -> None:
    made = Ours(own, quoted, names)
    assert made == made.shown(str) == (f"{own} {quoted}" if quoted else own)
    assert Ours("a", made) == f"a {made}"
    assert Ours("a", made).quoted == quoted


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(Path(evs_operator.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and re.fullmatch(
                r"(self\.)?_log\.(?!isEnabledFor)\w+", ast.unparse(node.func)
            ):
                yield f"{path.name}:{node.lineno}", node


CALLS = dict(_calls())


def test_the_calls_are_found() -> None:
    assert len(CALLS) > 35


@pytest.mark.parametrize("place", CALLS)
def test_every_line_of_ours_has_a_format_of_its_own_in_which_nothing_looks_like_a_secret(place: str) -> None:
    """Formats and arguments are redacted apart: a value after the name of a secret would be shown."""
    form = CALLS[place].args[0]
    assert isinstance(form, ast.Constant), "a text that is put together is searched, and a name in it may be hidden"
    assert isinstance(form.value, str)
    number = len(CALLS[place].args) - 1
    assert form.value.replace("%%", "").count("%") == number
    filled = re.sub(r"%(\.0f|[dsr])", "value1x", form.value)
    assert Redactor()(filled) == filled


@pytest.mark.parametrize("place", CALLS)
def test_every_name_of_an_object_in_a_line_is_called_ours(place: str) -> None:
    """Or it is compared with secrets, and hidden where it looks like a part of one."""
    for argument in CALLS[place].args[1:]:
        for node in ast.walk(argument):
            if isinstance(node, ast.Attribute) and node.attr in {"name", "namespace", "_name"}:
                assert isinstance(argument, ast.Call), ast.unparse(argument)
                assert ast.unparse(argument.func) in {"Ours", "_name"}, ast.unparse(argument)


@pytest.mark.parametrize("module", sorted(Path(evs_operator.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_every_error_of_the_api_server_tells_its_own_words_from_those_it_quotes(module: Path) -> None:
    """Or the name of an object in it would have the next word hidden, in whatever line it comes to stand."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"KubeError", "AnswerTooLargeError"}:
            assert not isinstance(node.args[1], ast.JoinedStr), ast.unparse(node)
