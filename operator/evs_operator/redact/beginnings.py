"""Finds secret values that the reader of a text may not know: whole or by their own beginning, never in part. Pure.

Called by `redact` for texts that a tenant may have written and that are redacted with a credential which is shared
with others. Where such a tenant sees the mask, the mask is an answer to a guess. So what is found, and what the mask
covers, depends on nothing but whether the first sixteen bytes of a value are there (all of it, if it is shorter), in
any usual encoding: the guess must hold all of them at once. The mask takes the whole run of characters without blanks,
whose length is the text's own. Deliberately not done: parts from the middle or the end (`literals`).
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from .forms import SHORTEST, WIDE, spellings
from .secret_index import Span, sample_hits
from .work import Work

TELLING: Final = 16
"""Bytes of the beginning of a value that give it away."""

_NARROW: Final = 4
_BLANK: Final = re.compile(rb"\s")
_RUN: Final = re.compile(rb"\S*")
_BASE64: Final = {
    byte: value
    for alphabet in (b"+/", b"-_")
    for value, byte in enumerate(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + alphabet)
}


class _Edge(NamedTuple):
    """A character of base64 of which a few bits belong to a value: `(number >> shift) & mask == bits`."""

    shift: int
    mask: int
    bits: int

    def is_at(self, text: bytes, at: int) -> bool:
        number = _BASE64.get(text[at]) if 0 <= at < len(text) else None
        return number is not None and (number >> self.shift) & self.mask == self.bits


class _Needle(NamedTuple):
    """What to look for. Base64 has characters before and after it that hold the rest of the first and last byte.

    `goes_on`: the value has blanks further on, so that its end cannot be told from what follows.
    """

    data: bytes
    goes_on: bool = False
    before: _Edge | None = None
    after: _Edge | None = None

    def is_at(self, text: bytes, at: int) -> bool:
        """Return whether it stands there whole, to the last bit."""
        return (
            text.startswith(self.data, at)
            and (self.before is None or self.before.is_at(text, at - 1))
            and (self.after is None or self.after.is_at(text, at + len(self.data)))
        )


class Beginnings:
    """A growing set of secret values."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: dict[str, None] = {}
        self._wide: dict[int, list[_Needle]] = {}
        self._narrow: dict[int, list[_Needle]] = {}
        self.add(values)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def add(self, values: Iterable[str]) -> None:
        """Look for these values too."""
        for value in values:
            if value not in self._values:
                self._values[value] = None
                for needle in _needles(value):
                    self._learn(needle)

    def spans(self, text: bytes, work: Work) -> list[Span]:
        """Return the ranges of a text to mask, in order: each the run without blanks that a value begins in.

        Nothing of this is counted as work: how much of an answer is shown must not depend on a value either.
        """
        hits = [*sample_hits(text, self._wide, WIDE), *sample_hits(text, self._narrow, _NARROW)]
        found: list[Span] = []
        done = 0
        for at, _, needles in sorted(hits, key=lambda hit: hit[0]):
            for needle in needles:
                end = at + len(needle.data)
                if end > done and needle.is_at(text, at):
                    start, done = _run_around(text, at, end)
                    if needle.goes_on:
                        done = len(text)
                    found.append((start, done))
        return found

    def _learn(self, needle: _Needle) -> None:
        width, known = (WIDE, self._wide) if len(needle.data) >= WIDE else (_NARROW, self._narrow)
        owners = known.setdefault(int.from_bytes(needle.data[:width], sys.byteorder), [])
        if needle not in owners:  # tokens of one issuer begin alike
            owners.append(needle)


def _needles(value: str) -> Iterator[_Needle]:
    """Yield the beginning of a value in each way in which it may be written."""
    raw = value.encode("utf-8", "surrogatepass")
    if len(raw) < SHORTEST:
        return
    for text in spellings(value):
        data = text.encode("utf-8", "surrogatepass")
        if len(data) >= SHORTEST:
            yield _Needle(data[:TELLING], goes_on=_BLANK.search(data, TELLING) is not None)
    head = raw[:TELLING]
    yield _Needle(head.hex().encode())
    yield _Needle(head.hex().upper().encode())
    for offset in range(3):
        yield from _in_base64(head, offset)


def _in_base64(head: bytes, offset: int) -> Iterator[_Needle]:
    """Yield what stands in base64 where `offset` bytes of something else come before, modulo three."""
    whole = base64.b64encode(b"\0" * offset + head).rstrip(b"=")
    left = (offset + len(head)) % 3
    inner = whole[(0, 2, 3)[offset] : len(whole) - (left > 0)]
    before = (None, _Edge(0, 0x0F, head[0] >> 4), _Edge(0, 0x03, head[0] >> 6))[offset]
    after = (None, _Edge(4, 0x03, head[-1] & 0x03), _Edge(2, 0x0F, head[-1] & 0x0F))[left]
    yield _Needle(inner, before=before, after=after)
    yield _Needle(inner.translate(bytes.maketrans(b"+/", b"-_")), before=before, after=after)


def _run_around(text: bytes, start: int, end: int) -> Span:
    """Widen a range to the blanks around it, or to the ends of the text."""
    before = max(text.rfind(blank, 0, start) for blank in (b" ", b"\t", b"\n", b"\r", b"\v", b"\f"))
    run = _RUN.match(text, end)
    return before + 1, run.end() if run else end
