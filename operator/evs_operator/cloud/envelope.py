"""Reads an error out of a body, whichever layer wrote it: docs/reference/jobs-api.md#forms-of-an-error.

A job's own `error_code` is no error of the call: the caller looks for a job first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from evs_operator.evs.job import clean

from .body import text_of

_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")
_SIGNING_DATE = re.compile(r"\b\d{8}T\d{6}Z\b")
_PAIRS: Final = (
    ("error_code", "error_msg"),
    ("errorCode", "errorMsg"),
    ("errorCode", "errorMessage"),
    ("errCode", "errMsg"),
)
_CODE_LIMIT: Final = 64
_ID_LEAST: Final = 8
"""Characters of a request id that is cut out of a message; a shorter one may be a part of its words."""
_MESSAGE_LIMIT: Final = 400
_RAW_LIMIT: Final = 200
_EMPTY: Final = frozenset({"", "null", "none", "nil", "false", "0", "{}", "[]"})
_SUCCESS: Final = frozenset({"0", "200"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """Code ("" where none; always text) and message of an error answer, on one line each.

    `status` is the HTTP status that the error names itself, 0 where it names none. `request_id` is the body's.
    `retry_after` is the seconds that it asks to wait, None where it names none.
    """

    code: str
    message: str
    status: int = 0
    request_id: str = ""
    retry_after: float | None = None


def parse_envelope(body: Mapping[str, object]) -> Envelope | None:
    """Return the error that a JSON object holds, None where it holds none."""
    try:
        request_id = _line(body.get("request_id"), _CODE_LIMIT)
        found = _flat(body) or _nested(body.get("error")) or _top(body) or _single(body)
        return None if found is None else replace(_envelope(found, request_id), retry_after=_wait_named(body))
    except (RecursionError, ValueError):  # a value nested too deep, or too long a number, to be written as text
        return None


def is_error(value: object) -> bool:
    """Return whether the field `error` of a body says that there is one: empty values, and codes of success, do not."""
    try:
        return _is_told(value)
    except RecursionError:
        return True


def _is_told(value: object) -> bool:
    if isinstance(value, Mapping):
        code = value.get("code")
        is_success = isinstance(code, str | int) and str(code).strip() in _SUCCESS
        return not is_success and any(_is_told(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_is_told(inner) for inner in value)
    return bool(value) and not (isinstance(value, str) and value.strip().lower() in _EMPTY)


def raw_envelope(content: bytes) -> Envelope:
    """Return the start of a body that is not JSON, on one line."""
    return Envelope("", _line(text_of(content[:2000]), _RAW_LIMIT))


_Found = tuple[object, object, str]
"""Code, message, and the key under which Cinder and Nova put both."""


def _flat(body: Mapping[str, object]) -> _Found | None:
    for code_key, message_key in _PAIRS:
        if body.get(message_key):
            return body.get(code_key), body[message_key], ""
    if body.get("error_code") and body.get("status") is None:
        return body["error_code"], body.get("message"), ""
    return None


def _nested(error: object) -> _Found | None:
    if isinstance(error, dict):
        code = error.get("code") or error.get("error_code")
        message = error.get("message") or error.get("error_msg") or error.get("title")
        return (code, message, "") if code or message else None
    return (None, error, "") if isinstance(error, str) and error else None


def _top(body: Mapping[str, object]) -> _Found | None:
    if body.get("code") and "message" in body:
        return body["code"], body["message"], ""
    return None


def _single(body: Mapping[str, object]) -> _Found | None:
    if len(body) != 1:
        return None
    key, value = next(iter(body.items()))
    if not isinstance(value, dict) or "message" not in value:
        return None
    return value.get("code") or key, value["message"], key


def _wait_named(body: Mapping[str, object]) -> float | None:
    """Return the seconds that an error of Nova or Cinder asks to wait, beside its message."""
    for holder in (body, *body.values()) if len(body) == 1 else (body, body.get("error")):
        named = holder.get("retryAfter", holder.get("retry_after")) if isinstance(holder, Mapping) else None
        if isinstance(named, str) and named.isascii() and named.isdecimal():
            return float(named[:10])
        if isinstance(named, int | float) and not isinstance(named, bool) and 0 <= named < inf:
            return float(named)
    return None


def _envelope(found: _Found, request_id: str) -> Envelope:
    code, message, kind = found
    shown = _line(code, _CODE_LIMIT)
    status = int(shown) if shown.isascii() and shown.isdecimal() and len(shown) == 3 else 0
    if kind and status:
        shown = _line(kind, _CODE_LIMIT)  # Cinder's numeric code repeats the HTTP status; the key says what it is
    text = _line(message, _MESSAGE_LIMIT)
    if len(request_id) >= _ID_LEAST:
        text = text.replace(request_id, "…")
    # what differs from one answer to the next would make a new message of the same trouble
    return Envelope(shown, _SIGNING_DATE.sub("…", text), status, request_id)


def _line(value: object, limit: int) -> str:
    """Return a value as one line of bounded text; "" for null."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _SPACE.sub(" ", clean(text[: 10 * limit])).strip()[:limit]
