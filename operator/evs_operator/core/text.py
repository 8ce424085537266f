"""Bounds for text that comes from outside, and the size that text takes where the API server stores it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

# what moves a terminal's cursor, turns the direction of writing, or is no character at all
_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_SPACE = re.compile(r"\s+")
_PLAIN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ELLIPSIS = "…"
_LOOK_AHEAD = 1024


def bounded(text: str, limit: int) -> str:
    """Cut text to at most `limit` characters, the last one an ellipsis where something was cut."""
    if not text.isprintable():  # which none of them is
        text = _CONTROL.sub("\ufffd", text)
    return text if len(text) <= limit else text[: limit - 1] + _ELLIPSIS


def masked(text: str, redact: Callable[[str], str], limit: int) -> str:
    """Redact text and cut it to `limit` characters.

    A server may send megabytes: what lies far beyond the limit is not shown, so it is not searched either.
    """
    return bounded(redact(text[: limit + _LOOK_AHEAD]), limit)


def masked_id(value: str, redact: Callable[[str], str], limit: int) -> str:
    """Redact and cut what is most often the id of a volume, which cannot hold a secret and is not searched."""
    return value if _PLAIN_ID.fullmatch(value) else masked(value, redact, limit)


def is_plain_id(value: str) -> bool:
    """Return whether a text is the id of a volume and nothing else."""
    return _PLAIN_ID.fullmatch(value) is not None


def one_line(text: str, limit: int) -> str:
    """Put text on one line of at most `limit` characters."""
    return bounded(_SPACE.sub(" ", text).strip(), limit)


def stored_size(value: object) -> int:
    """Bytes that a JSON value takes in etcd: Go escapes <, > and & as six bytes, and U+2028, U+2029."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    escaped = sum(text.count(char) for char in "<>&")
    separators = text.count("\u2028") + text.count("\u2029")
    return len(text.encode("utf-8", "replace")) + 5 * escaped + 3 * separators
