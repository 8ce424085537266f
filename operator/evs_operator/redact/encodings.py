"""Other readings of a text: what it says once its escapes are resolved, with the way back to where it says it. Pure.

Called by `redact`: a secret comes back URL-encoded, escaped in JSON or HTML, or wrapped over lines, and often in two
of these at once. So a text is read in layers, each a `View`: the bytes, and the place in the original of each of them.
Base64 and hexadecimal are not undone here: `literals` knows those forms, and `redact` looks into whole blobs.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

_LAYERS: Final = 3
"""Escapes within escapes that are resolved: URL-encoded twice, JSON in HTML."""

_ESCAPE: Final = re.compile(
    rb"(?P<url>(?:%[0-9A-Fa-f]{2})+)"
    rb"|(?P<ascii>(?:\\u00[0-7][0-9A-Fa-f])+)"
    rb"|(?P<point>\\u[0-9A-Fa-f]{4})"
    rb"|(?P<byte>(?:\\x[0-9A-Fa-f]{2})+)"
    rb"|(?P<html>&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[a-zA-Z]{2,8});)"
)
_WIDTH: Final = {"url": 3, "ascii": 6, "byte": 4}
"""Bytes that one byte of the reading took, where each took the same; others are one piece."""

_KINDS: Final = {b"%": ("url",), b"\\u": ("ascii", "point"), b"\\x": ("byte",), b"&": ("html",)}
"""Kinds of escapes by what a text that has one must hold."""

_BACKSLASHES: Final = re.compile(rb"\\+")
_IN_BLOB: Final = rb"[A-Za-z0-9+/_=-]"
_WRAPPED: Final = re.compile(
    rb"(?<!" + _IN_BLOB + rb")(?P<line>" + _IN_BLOB + rb"{20,}+)(?P<gap>(?:\s|\\+[rn])++)(?=" + _IN_BLOB + rb")"
)
_NEXT_LINE: Final = re.compile(_IN_BLOB + rb"{20}")
_FULL_LINE: Final = 60
"""Characters of a line of wrapped base64 (64 or 76); what follows a shorter one is more of it if it is long too."""

_Piece = tuple[int, int, int]
"""Start in the reading, start in its base, and bytes there for each byte here; 0: the piece is one whole."""


class View:
    """A reading of a text. `data` is its bytes; `place` leads from a range of them to the range in the original.

    `joined`: words that stood apart may have grown together, so what they look like means nothing. `escapes` is how
    many were resolved.
    """

    def __init__(
        self,
        data: bytes,
        base: View | None = None,
        pieces: Callable[[], list[_Piece]] = list,
        *,
        joined: bool = False,
        escapes: int = 0,
    ) -> None:
        self.data = data
        self.joined = joined
        self.escapes = escapes
        self._base = base
        self._cut = pieces
        self._pieces: list[_Piece] = []
        self._starts: list[int] = []

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where the non-empty range `start` to `end` (exclusive) stands in the original."""
        if self._base is None:
            return start, end
        if not self._pieces:
            self._pieces = self._cut()
            self._starts = [piece[0] for piece in self._pieces]
        return self._base.place(self._first(start), self._last(end - 1))

    def _first(self, at: int) -> int:
        here, there, width = self._pieces[bisect_right(self._starts, at) - 1]
        return there + (at - here) * width

    def _last(self, at: int) -> int:
        number = bisect_right(self._starts, at) - 1
        here, there, width = self._pieces[number]
        return there + (at - here + 1) * width if width else self._pieces[number + 1][1]


def views(data: bytes) -> Iterator[View]:
    """Yield the text as it is, and then each reading that differs."""
    view: View | None = View(data)
    for _ in range(_LAYERS + 1):
        if view is None:
            return
        yield view
        if b"\\" in view.data:
            yield _bare(view)
        if gaps := [match.span("gap") for match in _WRAPPED.finditer(view.data) if _goes_on(match)]:
            yield _without(view, gaps)
        present = [kinds for mark, kinds in _KINDS.items() if mark in view.data]
        if len(present) > 1:  # a value may itself hold what is an escape of another kind: "&amp;" beside "%41"
            yield from filter(None, (_unescaped(view, kinds) for kinds in present))
        view = _unescaped(view, tuple(chain(*present))) if present else None


def _goes_on(match: re.Match[bytes]) -> bool:
    """Return whether a long run and what follows it are lines of one text; a word of prose is no line."""
    full = match.end("line") - match.start("line") >= _FULL_LINE
    return full or _NEXT_LINE.match(match.string, match.end()) is not None


def _bare(base: View) -> View:
    """Return the reading without backslashes, however many stand before a quote or a slash."""

    def pieces() -> list[_Piece]:
        return _kept(match.span() for match in _BACKSLASHES.finditer(base.data))

    return View(base.data.replace(b"\\", b""), base, pieces)


def _without(base: View, gaps: list[tuple[int, int]]) -> View:
    """Return the reading without the line ends inside long runs, as base64 is wrapped."""
    pieces = _kept(gaps)
    ends = [start for start, _ in gaps] + [len(base.data)]
    data = b"".join(base.data[there:end] for (_, there, _), end in zip(pieces, ends, strict=True))
    return View(data, base, lambda: pieces, joined=True)


def _kept(gaps: Iterable[tuple[int, int]]) -> list[_Piece]:
    """Return the pieces between the gaps, the first and the last included."""
    pieces = [(0, 0, 1)]
    for start, end in gaps:
        here, there, _ = pieces[-1]
        pieces.append((here + start - there, end, 1))
    return pieces


def _unescaped(base: View, kinds: tuple[str, ...]) -> View | None:
    """Return the reading with one layer of escapes of these kinds resolved, None where there are none."""
    data = base.data
    parts: list[bytes] = []
    pieces: list[_Piece] = []
    here = there = 0
    for match in _ESCAPE.finditer(data):
        kind = match.lastgroup or ""
        meant = _meant(kind, match[0]) if kind in kinds else None
        if meant is None:
            continue
        start, end = match.span()
        pieces += [(here, there, 1), (here + start - there, start, _WIDTH.get(kind, 0))]
        parts += [data[there:start], meant]
        here += start - there + len(meant)
        there = end
    if not pieces:
        return None
    pieces.append((here, there, 1))
    return View(b"".join([*parts, data[there:]]), base, lambda: pieces, escapes=len(parts) // 2)


def _meant(kind: str, escape: bytes) -> bytes | None:
    match kind:
        case "url":
            return bytes.fromhex(escape.replace(b"%", b"").decode())
        case "ascii":
            return bytes.fromhex(escape.replace(b"\\u00", b"").decode())
        case "byte":
            return bytes.fromhex(escape.replace(b"\\x", b"").decode())
        case "point":
            return chr(int.from_bytes(bytes.fromhex(escape[2:].decode()), "big")).encode("utf-8", "surrogatepass")
        case _:
            text = escape.decode()
            meant = html.unescape(text)
            return None if meant == text else meant.encode("utf-8", "surrogatepass")
