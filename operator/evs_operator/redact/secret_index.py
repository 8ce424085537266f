"""Finds secret values that the process holds in a text: whole, or a telling part of one, as they are or encoded. Pure.

Called by `redact` with each reading of a text (`encodings`). A value is known by samples of eight bytes, so that a text
is compared with all of them in one pass of C code, however many there are: 1 MB takes 50 ms with 10,000 values. The
forms of a value (`forms`) are made anew where a sample stands in a text; kept are the value and its samples. A part
counts because a server splits a value over fields, and we cut what is long. Values below six bytes are left alone: they
cannot be told from prose.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

from .forms import WIDE, Form, forms_of
from .work import SAMPLE, Work

_NARROW: Final = 4
"""Bytes of a sample of what is too short for a wide one; both are read as one number."""
_WORD_LIKE: Final = 12
"""Letters from which on a part of a value is more than a word of prose."""
_CROWD: Final = 8
"""Values that may share a sample; where more do, whatever holds it is taken for one of them."""
_ID: Final = re.compile(rb"[0-9A-Fa-f]{8}(?:-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")
_ID_MOST: Final = 36
_RUN: Final = re.compile(rb"[^\s\"'<>,;{}\[\]]*")
_RUN_MOST: Final = 256
_SAMPLE_BYTES: Final = 96
_VALUE_BYTES: Final = 300
"""Memory that a sample and a value take, beside the value's own characters; measured."""
_FORM_BITS: Final = 6
_PLACE_BITS: Final = 24

Span = tuple[int, int]
Owners = TypeVar("Owners")
_Known = dict[int, "int | list[int]"]
"""Owners by sample: one, some, or (a negative number) how many of a crowd. An owner is value, form and place in one."""


class SecretIndex:
    """A set of secret values. `size` is about how many bytes of memory it takes."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._numbers: dict[str, int] = {}
        self._values: dict[int, str] = {}
        self._next = 0
        self._wide: _Known = {}
        self._narrow: _Known = {}
        self.size = 0
        self.add(values)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def add(self, values: Iterable[str]) -> None:
        """Look for these values too."""
        for value in values:
            if value not in self._numbers:
                number, self._next = self._next, self._next + 1
                self._numbers[value], self._values[number] = number, value
                samples = 0
                for known, sample, owner in self._samples(value, number):
                    _enter(known, sample, owner)
                    samples += 1
                self.size += _size(value, samples)

    def discard(self, values: Iterable[str]) -> None:
        """Look for these values no longer."""
        for value in values:
            number = self._numbers.pop(value, None)
            if number is not None:
                del self._values[number]
                samples = 0
                for known, sample, owner in self._samples(value, number):
                    _leave(known, sample, owner)
                    samples += 1
                self.size -= _size(value, samples)

    def spans(self, text: bytes, work: Work) -> list[Span]:
        """Return the ranges of a text that show a value; raises TooMuchError."""
        hits = [*sample_hits(text, self._wide, WIDE), *sample_hits(text, self._narrow, _NARROW)]
        found: list[Span] = []
        done = 0
        for at, width, owners in sorted(hits, key=lambda hit: hit[0]):
            if at + width <= done:
                continue
            for span in self._spans_at(text, at, width, owners, work):
                found.append(span)
                done = max(done, span[1])
        return found

    def _samples(self, value: str, number: int) -> Iterator[tuple[_Known, int, int]]:
        for index, form in enumerate(forms_of(value)):
            owner = (number << _FORM_BITS | index) << _PLACE_BITS
            width, known = (WIDE, self._wide) if len(form.data) >= WIDE else (_NARROW, self._narrow)
            for at in form.sampled():
                yield known, int.from_bytes(form.data[at : at + width], sys.byteorder), owner | at

    def _spans_at(self, text: bytes, at: int, width: int, owners: int | list[int], work: Work) -> Iterator[Span]:
        """Yield what a sample that stands there shows."""
        if isinstance(owners, int) and owners < 0:
            yield _run_around(text, at, width)
            return
        for owner in (owners,) if isinstance(owners, int) else owners:
            work.spend(SAMPLE)
            number, index = divmod(owner >> _PLACE_BITS, 1 << _FORM_BITS)
            forms = work.forms_of(self._values[number])
            if forms is None:
                yield _run_around(text, at, width)
                return
            span = _match(text, at, width, forms[index], owner & ((1 << _PLACE_BITS) - 1))
            if span is not None:
                yield span


def _size(value: str, samples: int) -> int:
    return len(value) + _VALUE_BYTES + samples * _SAMPLE_BYTES


def _enter(known: _Known, sample: int, owner: int) -> None:
    owners = known.get(sample)
    if owners is None:
        known[sample] = owner
    elif isinstance(owners, list):
        owners.append(owner)
        if len(owners) > _CROWD:
            known[sample] = -len(owners)
    else:
        known[sample] = owners - 1 if owners < 0 else [owners, owner]


def _leave(known: _Known, sample: int, owner: int) -> None:
    """Take an owner out; what was a crowd stays one until all of it has left."""
    owners = known[sample]
    if isinstance(owners, list):
        owners.remove(owner)
        if len(owners) == 1:
            known[sample] = owners[0]
    elif owners < -1:
        known[sample] = owners + 1
    else:
        del known[sample]


def sample_hits(text: bytes, known: Mapping[int, Owners], width: int) -> Iterator[tuple[int, int, Owners]]:
    """Yield place, width and owners of each sample that stands in the text, at whatever offset."""
    if not known:
        return
    whole = memoryview(text)
    for offset in range(min(width, max(len(text) - width + 1, 0))):
        part = whole[offset : offset + (len(text) - offset) // width * width]
        numbers = part.cast("Q") if width == WIDE else part.cast("I")
        if known.keys().isdisjoint(numbers):
            continue
        for index, number in enumerate(numbers):
            if (owners := known.get(number)) is not None:
                yield offset + index * width, width, owners


def _match(text: bytes, at: int, width: int, form: Form, inside: int) -> Span | None:
    """Return the range that is alike around a sample, None where that tells nothing."""
    before = _alike_before(text, at, form.data, inside)
    after = _alike_after(text, at + width, form.data, inside + width)
    start, end = at - before, at + width + after
    if end - start == len(form.data):
        return start, end
    if _is_id(text, start, end):
        return None
    at_an_end = inside == before or inside + width + after == len(form.data)
    enough = form.first if at_an_end else form.least
    if text[start:end].isalpha():
        enough = max(enough, _WORD_LIKE)
    return (start, end) if end - start >= enough else None


def _alike_after(one: bytes, start: int, other: bytes, begin: int) -> int:
    """Return how many bytes are the same from here on."""
    low, high = 0, min(len(one) - start, len(other) - begin)
    while low < high:
        middle = (low + high + 1) // 2
        if one[start + low : start + middle] == other[begin + low : begin + middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _alike_before(one: bytes, end: int, other: bytes, stop: int) -> int:
    """Return how many bytes are the same up to here."""
    low, high = 0, min(end, stop)
    while low < high:
        middle = (low + high + 1) // 2
        if one[end - middle : end - low] == other[stop - middle : stop - low]:
            low = middle
        else:
            high = middle - 1
    return low


def _is_id(text: bytes, start: int, end: int) -> bool:
    """Say whether a part stands within a UUID or the id of a project or a job, which happens to be in a value too."""
    ids = _ID.finditer(text, max(start - _ID_MOST, 0), end + _ID_MOST)
    return any(match.start() <= start and end <= match.end() for match in ids)


def _run_around(text: bytes, at: int, width: int) -> Span:
    left = _RUN.match(text[max(at - _RUN_MOST, 0) : at][::-1])
    right = _RUN.match(text, at + width, at + width + _RUN_MOST)
    return at - (left.end() if left else 0), right.end() if right else at + width
