"""Text for a terminal: what came from the cloud is made harmless, measured in columns, and cropped.

A message of the cloud or of an endpoint that answers in its place may hold escape sequences, line ends and marks that
turn the direction of writing: each is shown as its code, so that nothing but letters reaches the terminal.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_NO_WIDTH: Final = frozenset(("Mn", "Me"))
_SPACES: Final = str.maketrans("\t\n\r\v\f", "     ")


def harmless(text: str) -> str:
    """Return a text on one line, in which whatever is no visible letter is written as its code."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text.translate(_SPACES)))


def _shown(letter: str) -> str:
    if letter.isprintable():
        return letter
    if unicodedata.category(letter) == "Zs":
        return " "
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """Return how many columns of a terminal a harmless text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in _NO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def crop(text: str, columns: int, ellipsis: str) -> str:
    """Return a harmless text in at most that many columns; what is cut off is replaced by `ellipsis`."""
    if width(text) <= columns:
        return text
    room = columns - width(ellipsis)
    if room <= 0:
        return ellipsis[: max(columns, 0)]
    kept = ""
    for letter in text:
        room -= _columns(letter)
        if room < 0:
            break
        kept += letter
    return kept.rstrip() + ellipsis


def pad(text: str, columns: int) -> str:
    """Return a harmless text with spaces up to that many columns."""
    return text + " " * (columns - width(text))
