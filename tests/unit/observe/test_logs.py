"""Logs: form, levels, what is held back, and what can never raise."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import warnings
from types import SimpleNamespace

import pytest

from evs_operator.observe.logs import JsonFormatter, RepeatFilter, TextFormatter, configure
from evs_operator.redact.redactor import Redactor


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def unchanged(text: str) -> str:
    return text


def record(
    message: object = "status written", *args: object, level: int = logging.INFO, **extra: object
) -> logging.LogRecord:
    made = logging.LogRecord("evs_operator.jobs", level, __file__, 1, message, args, None)
    made.created = 1770110100.118
    made.__dict__.update(extra)
    return made


def failing(error: BaseException, message: str = "poll failed") -> logging.LogRecord:
    made = record(message, level=logging.ERROR)
    try:
        raise error
    except BaseException:  # noqa: BLE001  # whatever it is given
        made.exc_info = sys.exc_info()
    return made


def text(made: logging.LogRecord, *, debug: bool = False) -> str:
    return TextFormatter(unchanged, debug=debug).format(made)


def fields(made: logging.LogRecord, *, debug: bool = False) -> dict[str, object]:
    line = JsonFormatter(unchanged, debug=debug).format(made)
    assert "\n" not in line
    shown = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert isinstance(shown, dict)
    return shown


def test_a_text_line_is_time_level_logger_message_and_fields() -> None:
    line = text(record("polled %d", 3, evsjob="team-a/create", took=0.25, empty=""))
    assert line == '2026-02-03T09:15:00.118Z INFO  evs_operator.jobs  polled 3 evsjob=team-a/create took=0.25 empty=""'


def test_a_json_line_is_an_object_with_the_records_own_fields() -> None:
    assert fields(record("polled %d", 3, evsjob="team-a/create", took=0.25, first=True)) == {
        "ts": "2026-02-03T09:15:00.118Z",
        "level": "info",
        "logger": "evs_operator.jobs",
        "msg": "polled 3",
        "evsjob": "team-a/create",
        "took": 0.25,
        "first": True,
    }


def test_objects_that_other_libraries_attach_are_not_shown() -> None:
    assert "k8s_ref" not in fields(record(k8s_ref={"name": "x"}, settings=SimpleNamespace(token="t")))


def test_a_field_never_takes_the_place_of_the_fixed_ones() -> None:
    made = record("as it was", ts="x", logger="y")
    made.__dict__["level"] = 5
    shown = fields(made)
    assert (shown["msg"], shown["level"], shown["logger"]) == ("as it was", "info", "evs_operator.jobs")
    assert (shown["ts_"], shown["level_"], shown["logger_"]) == ("x", 5, "y")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_cannot_say_are_text(number: float) -> None:
    assert fields(record(rate=number))["rate"] == str(number)


def test_text_from_outside_cannot_pass_for_a_record_of_its_own() -> None:
    forged = "job failed\n2026-02-03T09:15:00.118Z INFO  evs_operator  all is well\x1b[2J"
    for line in (text(record(forged)), text(record("x", reason=forged)), text(failing(ValueError(forged)))):
        assert "\n" not in line
        assert "\x1b" not in line
    for line in text(failing(ValueError(forged)), debug=True).splitlines()[1:]:
        assert line.startswith("    ")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("plain", "plain"), ("", '""'), ('no "quota" left', r'"no \"quota\" left"'), ("a=b", '"a=b"')],
)
def test_a_value_that_is_not_one_plain_word_is_quoted_in_text(value: str, shown: str) -> None:
    assert text(record(reason=value)).endswith(f" reason={shown}")


def test_an_exception_is_its_type_first_line_and_place() -> None:
    shown = fields(failing(ValueError("first line\nsecond line")))
    assert shown["msg"] == "poll failed: ValueError: first line"
    assert re.fullmatch(r"test_logs\.py:\d+", str(shown["at"]))
    assert "traceback" not in shown
    assert "Traceback" not in text(failing(ValueError("first line")))


def test_an_exception_without_words_is_its_type() -> None:
    assert fields(failing(KeyboardInterrupt()))["msg"] == "poll failed: KeyboardInterrupt"


def test_tracebacks_are_for_debug_level() -> None:
    shown = fields(failing(ValueError("first line\nsecond line")), debug=True)
    assert str(shown["traceback"]).startswith("Traceback (most recent call last):\n")
    assert str(shown["traceback"]).endswith("ValueError: first line\nsecond line")
    assert "\n    Traceback (most recent call last):\n" in text(failing(ValueError("x")), debug=True)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    "made",
    [
        record("%d polls", "three"),
        record("%s and %s", 1),
        record("%(name)s", {"other": 1}),
        record("100%", 1),
        record(Unprintable()),
        record("%s", Unprintable()),
        record("%r %d", Unprintable(), Unprintable()),
        record("lone surrogate \ud800", field="\ud800"),
        record(10**5000, number=10**5000),
        failing(UnprintableError()),
        failing(ExceptionGroup("several", [UnprintableError(), ValueError("x")])),
    ],
    ids=lambda value: None if isinstance(value, bool) else "",
)
def test_a_record_that_cannot_be_formatted_still_is_a_line(made: logging.LogRecord, debug: bool) -> None:
    assert "evs_operator.jobs" in text(made, debug=debug)
    assert fields(made, debug=debug)["logger"] == "evs_operator.jobs"
    assert RepeatFilter(lambda: 0.0).filter(made)


def test_what_could_not_be_formatted_is_shown_as_it_came() -> None:
    assert fields(record("%d polls", "three"))["msg"] == "%d polls ('three',)"


def test_the_same_warning_comes_once_a_minute_and_then_says_how_often_it_was_held_back() -> None:
    now = 1000.0
    repeats = RepeatFilter(lambda: now)

    def warn() -> logging.LogRecord | None:
        made = record("waiting: %s", "no CRDs", level=logging.WARNING)
        return made if repeats.filter(made) else None

    assert warn() is not None
    now += 59.9
    assert warn() is None
    assert warn() is None
    now += 0.1
    again = warn()
    assert again is not None
    assert fields(again)["repeated"] == 2
    now += 60.0
    later = warn()
    assert later is not None
    assert "repeated" not in fields(later)


@pytest.mark.parametrize(
    "other",
    [
        record("waiting: %s", "no CRDs", level=logging.WARNING),
        record("waiting: %s", "no access", level=logging.WARNING, evsjob="a"),
        record("waiting: %s", "no access", level=logging.WARNING, evsjob="b"),
        failing(ValueError("one")),
        failing(ValueError("two")),
        failing(KeyError("one")),
    ],
    ids=["arguments", "field a", "field b", "error one", "error two", "type of error"],
)
def test_a_warning_that_differs_in_anything_shown_is_not_held_back(other: logging.LogRecord) -> None:
    repeats = RepeatFilter(lambda: 0.0)
    for known in (
        record("waiting: %s", "no access", level=logging.WARNING),
        record("waiting: %s", "no access", level=logging.WARNING, evsjob="c"),
        failing(ValueError("three")),
    ):
        assert repeats.filter(known)
    assert repeats.filter(other)
    assert not repeats.filter(other)


def test_lines_of_level_info_all_come() -> None:
    repeats = RepeatFilter(lambda: 0.0)
    assert all(repeats.filter(record()) for _ in range(3))


def test_the_memory_for_repeated_warnings_is_bounded_and_forgets_the_oldest() -> None:
    repeats = RepeatFilter(lambda: 0.0)
    for number in range(1001):
        assert repeats.filter(record("%d", number, level=logging.WARNING))
    assert not repeats.filter(record("%d", 1000, level=logging.WARNING))
    assert not repeats.filter(record("%d", 1, level=logging.WARNING))
    assert repeats.filter(record("%d", 0, level=logging.WARNING))


@pytest.mark.usefixtures("own_logging")
@pytest.mark.parametrize(
    ("level", "own", "foreign"),
    [
        ("debug", logging.DEBUG, logging.INFO),
        ("info", logging.INFO, logging.WARNING),
        ("warning", logging.WARNING, logging.WARNING),
        ("error", logging.ERROR, logging.ERROR),
    ],
)
def test_other_libraries_are_quiet_unless_debugging_and_never_louder_than_asked(
    level: str, own: int, foreign: int, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("json", level, unchanged)
    for name in ("evs_operator.jobs", "kopf.objects", "httpx", "aiohttp.access", "asyncio", "kubernetes"):
        for spoken in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(spoken, "level %d", spoken)
        heard = {
            getattr(logging, line["level"].upper())
            for line in map(json.loads, capsys.readouterr().err.splitlines())
            if line["logger"] == name
        }
        least = own if name.startswith("evs_operator") else foreign
        assert heard == {spoken for spoken in (10, 20, 30, 40) if spoken >= least}, name


@pytest.mark.usefixtures("own_logging")
def test_configuring_again_replaces_the_redactor_and_doubles_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text", "info", unchanged)
    configure("text", "info", Redactor(["s3cr3t-value"]))
    logging.getLogger("evs_operator").info("read s3cr3t-value")
    assert [line.split("  ")[-1] for line in capsys.readouterr().err.splitlines()] == ["read ***"]


@pytest.mark.usefixtures("own_logging")
def test_warnings_exceptions_in_threads_and_in_finalizers_pass_the_redactor(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info", Redactor(["s3cr3t-value"]))
    error = ValueError("s3cr3t-value")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("s3cr3t-value is old", stacklevel=1)
    sys.excepthook(ValueError, error, None)
    sys.unraisablehook(SimpleNamespace(err_msg=None, object="s3cr3t-value", exc_value=error))
    thread = threading.Thread(target=lambda: int("s3cr3t-value"))
    thread.start()
    thread.join()
    err = capsys.readouterr().err
    assert "s3cr3t-value" not in err
    assert [json.loads(line)["logger"] for line in err.splitlines()] == ["py.warnings"] + [
        "evs_operator.observe.logs"
    ] * 3


@pytest.mark.usefixtures("own_logging")
def test_a_redactor_that_fails_loses_the_line_and_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(text: str) -> str:
        raise RuntimeError(text)

    configure("text", "info", broken)
    logging.getLogger("evs_operator").info("s3cr3t-value")
    assert capsys.readouterr().err == ""


def test_a_group_of_errors_is_logged_by_its_first_inner_one_and_where_that_was_raised() -> None:
    def fault() -> None:
        raise TypeError("no ASCII")

    try:
        try:
            fault()
        except TypeError as inner:
            raise ExceptionGroup("unhandled errors", [ExceptionGroup("within", [inner, ValueError("later")])]) from None
    except ExceptionGroup:
        record = logging.LogRecord("evs_operator", logging.ERROR, "", 0, "work ended", (), sys.exc_info())
    line = json.loads(JsonFormatter(str, debug=False).format(record))
    assert line["msg"] == "work ended: TypeError: no ASCII"
    assert line["at"].startswith("test_logs.py:")
