"""Logs on stderr, as JSON or as text. Every record, whoever wrote it, passes the redactor.

Another library's line is redacted as a whole. A line of ours is redacted piece by piece, the format and each argument:
the name of an object before a colon would look like what precedes a secret. Sentences and names that are our own
(`wording.Ours`) are not searched; whatever is not called so is.

Called once by `cli`, and again by the supervisor with the redactor that knows the secrets of the process. Tracebacks
are for `--log-level debug`; elsewhere an exception is one line: its type, its first line, and where it was raised.
Warnings and errors of the same words come at most once a minute; lines of level info report changes and all come.
Text is redacted before it is cut or escaped, so that half a secret is never what is left. Deliberately not done:
files, rotation, colours, shortening.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from evs_operator.redact.redactor import MASK, is_clean

from .wording import Ours

Redact = Callable[[str], str]

_PRODUCT: Final = __name__.partition(".")[0]
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_RESERVED: Final = frozenset({"ts", "level", "logger", "msg", "at", "traceback"})
_OUR_FIELDS: Final = frozenset(
    {"evsjob", "job", "connection", "state", "reason", "duration", "trace_id", "span_id", "repeated"}
)
"""Fields that hold names, ids and words of ours alone."""
_REPEAT_SECONDS: Final = 60.0
_REMEMBERED: Final = 1000
_JSON_INTEGER_BITS: Final = 53
_encode = json.JSONEncoder(ensure_ascii=False).encode

_log = logging.getLogger(__name__)


def configure(log_format: str, level: str, redact: Redact) -> None:
    """Send all logging to stderr: `log_format` json or text, `level` one of debug, info, warning, error.

    Other libraries speak from WARNING up, from INFO up where `level` is debug, and never below `level`. Exceptions
    that nobody catches are logged too, as Python would print them past the redactor.
    """
    debug = level == "debug"
    own = logging.getLevelNamesMapping()[level.upper()]
    handler = logging.StreamHandler()
    handler.setFormatter((JsonFormatter if log_format == "json" else TextFormatter)(redact, debug=debug))
    if not debug:
        handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if debug else max(own, logging.WARNING))
    logging.getLogger(_PRODUCT).setLevel(own)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # it prints the record and a traceback as they are
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_thread


@dataclass(frozen=True, slots=True)
class _Line:
    """What is shown of a record, redacted."""

    ts: str
    level: str
    logger: str
    msg: str
    fields: Mapping[str, object]
    traceback: str


class _Formatter(logging.Formatter):
    """Reads a record; the formats differ in how they write it down."""

    def __init__(self, redact: Redact, *, debug: bool) -> None:
        super().__init__()
        self._redact = redact
        self._debug = debug

    def _read(self, record: logging.LogRecord) -> _Line:
        moment = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        ts = moment.isoformat(timespec="milliseconds") + "Z"
        extra, error = _extra(record), _error(record)
        ours = record.name.partition(".")[0] == _PRODUCT and self._ours(record)
        if ours:
            fields = {name: value if name in _OUR_FIELDS else self._field(name, value) for name, value in extra.items()}
            message = ours
        else:
            message = _message(record)
            if error is None and self._is_clean(record.name, message, extra):
                return _Line(ts, record.levelname, record.name, message, extra, "")
            message = self._redact(message)
            fields = {name: self._field(name, value) for name, value in extra.items()}
        trace = ""
        if error is not None:
            first = next(iter(self._redact(_text(error)).splitlines()), "")
            message += f": {type(error).__name__}" + (f": {first}" if first else "")
            if self._debug:
                trace = self._redact("".join(traceback.format_exception(error)).rstrip())
            elif place := _place(error):
                fields["at"] = place
        if not ours:  # once more as a whole: `password=%s` and the name of an exception's field may meet only here
            message = self._redact(message)
        return _Line(ts, record.levelname, self._redact(record.name), message, fields, trace)

    def _ours(self, record: logging.LogRecord) -> str:
        """Return the message of a record of ours with all redacted that is not our own; "" where that cannot be."""
        if not isinstance(record.msg, str) or not isinstance(record.args, tuple | None):
            return ""
        try:
            form = self._redact(record.msg)
            return form % tuple(self._argument(value) for value in record.args) if record.args else form
        except Exception:  # noqa: BLE001  # a foreign __str__, or arguments that do not fit
            return ""

    def _argument(self, value: object) -> object:
        if isinstance(value, Ours):
            return value.shown(self._redact)
        return value if isinstance(value, int | float) else _Redacted(value, self._redact)

    def _is_clean(self, logger: str, message: str, extra: Mapping[str, object]) -> bool:
        """Return whether nothing in a record has to be hidden: nearly all records are like that."""
        return is_clean(self._redact, (logger, message, *(f"{name}={_text(value)}" for name, value in extra.items())))

    def _field(self, name: str, value: object) -> object:
        """Return the value, redacted together with its name: `token=...` shows what the value alone does not."""
        whole, prefix = f"{name}={_text(value)}", f"{name}="
        shown = self._redact(whole)
        if shown == whole:
            return value
        return shown.removeprefix(prefix) if shown.startswith(prefix) else MASK


class _Redacted:
    """An argument that a format asks for text."""

    def __init__(self, value: object, redact: Redact) -> None:
        self._value = value
        self._redact = redact

    def __str__(self) -> str:
        return self._redact(str(self._value))

    def __repr__(self) -> str:
        return self._redact(repr(self._value))


class JsonFormatter(_Formatter):
    """One JSON object per line: ts, level, logger, msg, then the record's own fields; at debug level `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = self._read(record)
        shown: dict[str, object] = {"ts": line.ts, "level": line.level.lower(), "logger": line.logger, "msg": line.msg}
        shown |= {name: _json_value(value) for name, value in line.fields.items()}
        if line.traceback:
            shown["traceback"] = line.traceback
        text = _encode(shown)
        # JSON lets pass what steers a terminal (U+009B) or turns the direction of writing (U+202E)
        return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


class TextFormatter(_Formatter):
    """`2026-02-03T09:15:00.118Z INFO  logger  message key=value`; at debug level an indented traceback follows."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = self._read(record)
        fields = "".join(f" {name}={_quoted(value)}" for name, value in line.fields.items())
        # continued lines are indented, so that no text from outside can pass for a record
        trace = "".join(f"\n    {_escaped(part)}" for part in line.traceback.splitlines())
        return f"{line.ts} {line.level:<5} {_escaped(line.logger)}  {_escaped(line.msg)}{fields}{trace}"


class RepeatFilter(logging.Filter):
    """Lets a warning or error of the same words through once a minute; the next tells how often it was `repeated`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[int, tuple[float, int]] = {}  # hash of the words -> (time let through, number held back since)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is news."""
        if record.levelno < logging.WARNING:
            return True
        error = _error(record)
        fields = tuple((name, _text(value)) for name, value in _extra(record).items())
        key = hash((record.name, _message(record), type(error), _text(error), fields))
        now = self._clock()
        since, held_back = self._seen.pop(key, (-math.inf, 0))
        if now - since < _REPEAT_SECONDS:
            self._seen[key] = (since, held_back + 1)
            return False
        if len(self._seen) >= _REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key] = (now, 0)
        if held_back:
            record.__dict__["repeated"] = held_back
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # a foreign __str__ may raise anything, and a log line must not end a poll
        return f"{_text(record.msg)} {_text(record.args)}"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # as above
        return f"<unprintable {type(value).__name__}>"


def _error(record: logging.LogRecord) -> BaseException | None:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # a group says neither what happened nor where
    return error


def _extra(record: logging.LogRecord) -> dict[str, str | int | float | bool]:
    """Return the record's own fields that are plain: kopf puts whole objects into its records."""
    return {
        f"{name}_" if name in _RESERVED else name: value
        for name, value in record.__dict__.items()
        if name not in _STANDARD and isinstance(value, str | int | float | bool)
    }


def _place(error: BaseException) -> str:
    """Return `file.py:line` of the statement that raised, which is what a report of a defect needs first."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return f"{Path(step.tb_frame.f_code.co_filename).name}:{step.tb_lineno}" if step is not None else ""


def _json_value(value: object) -> object:
    """Return the value as JSON can say it: without NaN and infinity, and without integers that readers round."""
    unsafe = (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and value.bit_length() > _JSON_INTEGER_BITS
    )
    return _text(value) if unsafe else value


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _quoted(value: object) -> str:
    text = _text(value)
    plain = text and text.isprintable() and not set(text) & set(" \"'=")
    return text if plain else json.dumps(text, ensure_ascii=False)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("ended by an unexpected error", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _log.error("a thread died", exc_info=args.exc_value)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    _log.error("%s: %r", args.err_msg or "exception ignored in", args.object, exc_info=args.exc_value)
