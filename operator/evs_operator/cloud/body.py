"""The one place where the body of an answer is read: bytes become text, and text a JSON object, always in one way.

Called by all that looks into an answer of a cloud, of IAM or of a metadata service; `tests/support/body_reading.py`
(part of `make lint`) finds whoever does it otherwise. What the answer says of itself (charset, content type, length)
chooses nothing here: httpx would decode with whichever codec is named, and some of Python's take hours for a megabyte.
Deliberately not here: what the object means (`job`, `envelope`), and how it came out of its compression (`unpack`).
"""

from __future__ import annotations

import codecs
import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MOST_VALUES: Final = 200_000
"""Values of an answer that are read; 10,000 sub-jobs have 130,000, and so many take 0.1 to 0.2 s and 50 MB."""
SURELY_FEW: Final = 64 * 1024
"""Bytes that cannot hold so many."""
_LONGEST_WHOLE: Final = 640
"""Digits of a whole number that is read digit by digit, which takes the square of their number."""


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _LONGEST_WHOLE else float(digits)


_DECODER: Final = json.JSONDecoder(parse_int=_whole)


@contextmanager
def without_collections() -> Iterator[None]:
    """Keep the collector of cycles out while a large answer is read, which makes no cycles.

    Each of some hundred thousand new objects counts as a reason to look through all that the process holds: twice the
    time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def text_of(content: bytes) -> str:
    """Return a body as text: UTF-8, and U+FFFD for what is none."""
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")


def object_of(content: bytes) -> dict[str, object] | None:
    """Return the JSON object that a body is; None where it is none, is nested too deep, or has too many values."""
    if len(content) > SURELY_FEW and has_too_many_values(content):
        return None
    try:
        parsed = _DECODER.decode(text_of(content))
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def has_too_many_values(content: bytes) -> bool:
    """Return whether a body holds more than `MOST_VALUES` values, without building them: 0.05 s for 8 MiB."""
    if _separators(content) <= MOST_VALUES:
        return False
    plain = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 4 * MOST_VALUES:
        return True
    # between two quotes is text, whose commas and brackets are no values
    return _separators(b"".join(plain.split(b'"')[::2])) > MOST_VALUES


def _separators(content: bytes) -> int:
    return content.count(b",") + content.count(b"[") + content.count(b"{")
