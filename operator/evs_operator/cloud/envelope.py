"""Reads an error out of a body, whichever layer wrote it: the ten forms of evs-api 5.1.

A job's own `error_code` is no error of the call: the caller looks for a job first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .job import clean

_SPACE = re.compile(r"\s+")
_PAIRS = (("error_code", "error_msg"), ("errorCode", "errorMsg"), ("errorCode", "errorMessage"), ("errCode", "errMsg"))


@dataclass(frozen=True, slots=True)
class Envelope:
    """Code ("" where none; always text) and message of an error answer."""

    code: str
    message: str


def parse_envelope(body: Mapping[str, object]) -> Envelope | None:
    """Return the error that a JSON object holds, None where it holds none."""
    return _flat(body) or _nested(body.get("error")) or _top(body) or _single(body)


def raw_envelope(content: bytes) -> Envelope:
    """Return the start of a body that is not JSON, on one line."""
    text = _SPACE.sub(" ", clean(content[:2000].decode("utf-8", "replace"))).strip()
    return Envelope("", text[:200])


def _flat(body: Mapping[str, object]) -> Envelope | None:
    for code_key, message_key in _PAIRS:
        if message_key in body:
            return _envelope(body.get(code_key), body.get(message_key))
    if "error_code" in body and body.get("status") is None:
        return _envelope(body.get("error_code"), body.get("message"))
    return None


def _nested(error: object) -> Envelope | None:
    if isinstance(error, Mapping) and error:
        return _envelope(
            error.get("code", error.get("error_code")), error.get("message", error.get("error_msg", error.get("title")))
        )
    if isinstance(error, str) and error:
        return _envelope(None, error)
    return None


def _top(body: Mapping[str, object]) -> Envelope | None:
    if "code" in body and "message" in body:
        return _envelope(body["code"], body["message"])
    return None


def _single(body: Mapping[str, object]) -> Envelope | None:
    if len(body) != 1:
        return None
    key, value = next(iter(body.items()))
    if not isinstance(value, Mapping) or "message" not in value:
        return None
    return _envelope(value.get("code") or key, value["message"], key)


def _envelope(code: object, message: object, kind: str = "") -> Envelope:
    shown = "" if code is None else clean(str(code))
    if kind and shown.isdecimal():
        shown = kind  # Cinder's numeric code repeats the HTTP status; the key says what it is
    text = "" if message is None else _SPACE.sub(" ", clean(str(message))).strip()
    return Envelope(shown[:64], text[:400])
