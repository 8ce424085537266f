"""Logs on stderr, as JSON or as text. Every record, whoever wrote it, passes the redactor.

Tracebacks are for `--log-level debug`; elsewhere an exception is its type and first line. The same message of
the same logger comes at most once a minute.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_REPEAT_SECONDS: Final = 60.0
_REMEMBERED: Final = 1000
_QUIET: Final = ("kopf", "httpx", "httpcore", "aiohttp", "asyncio", "kubernetes", "urllib3")

Redact = Callable[[str], str]


def configure(log_format: str, level: str, redact: Redact) -> None:
    """Send all logging to stderr; other libraries speak from WARNING up unless `level` is debug."""
    handler = logging.StreamHandler()
    debug = level == "debug"
    formatter = JsonFormatter(redact, debug=debug) if log_format == "json" else TextFormatter(redact, debug=debug)
    handler.setFormatter(formatter)
    if not debug:
        handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.INFO if debug else logging.WARNING)
    logging.captureWarnings(True)
    logging.raiseExceptions = False


class _Formatter(logging.Formatter):
    def __init__(self, redact: Redact, *, debug: bool) -> None:
        super().__init__()
        self._redact = redact
        self._debug = debug

    def _parts(self, record: logging.LogRecord) -> tuple[str, str, dict[str, object]]:
        moment = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        stamp = moment.isoformat(timespec="milliseconds") + "Z"
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        if record.exc_info and record.exc_info[0] is not None:
            message += self._exception(record)
        extra = {key: value for key, value in record.__dict__.items() if key not in _STANDARD and _is_plain(value)}
        return stamp, message, extra

    def _exception(self, record: logging.LogRecord) -> str:
        if record.exc_info is None or record.exc_info[1] is None:
            return ""
        error = record.exc_info[1]
        if self._debug:
            return "\n" + "".join(traceback.format_exception(error)).rstrip()
        first = str(error).splitlines()[0] if str(error) else ""
        return f": {type(error).__name__}: {first}" if first else f": {type(error).__name__}"


class JsonFormatter(_Formatter):
    """One JSON object per line: ts, level, logger, msg, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        stamp, message, extra = self._parts(record)
        fields = {
            "ts": stamp,
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": self._redact(message),
            **{key: self._redact(value) if isinstance(value, str) else value for key, value in extra.items()},
        }
        return json.dumps(fields, ensure_ascii=False, default=str)


class TextFormatter(_Formatter):
    """`2026-02-03T09:15:00.118Z INFO  logger  message key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        stamp, message, extra = self._parts(record)
        fields = "".join(f" {key}={value}" for key, value in extra.items() if value != "")
        return self._redact(f"{stamp} {record.levelname:<7} {record.name}  {message}{fields}")


class RepeatFilter(logging.Filter):
    """Lets a warning or error of the same words through once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record is news."""
        if record.levelno < logging.WARNING:
            return True
        key = (record.name, f"{record.msg}{record.args}")
        now = self._clock()
        if now - self._last.get(key, -_REPEAT_SECONDS) < _REPEAT_SECONDS:
            return False
        if len(self._last) >= _REMEMBERED:
            self._last.clear()
        self._last[key] = now
        return True


def _is_plain(value: object) -> bool:
    """Tell whether a field may be shown: kopf puts whole objects into its records."""
    return isinstance(value, str | int | float | bool)
