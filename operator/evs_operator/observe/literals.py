"""Finds secret values that the process holds in a text: whole, or a telling part of one, as they are or encoded. Pure.

Called by `redact` with each reading of a text (`encodings`). A value is known by samples of eight bytes, so that a text
is compared with all of them in one pass of C code, however many there are: 1 MB takes 50 ms with 10,000 values. A part
counts because a server splits a value over fields, and we cut what is long. Values below six bytes are left alone: they
cannot be told from prose.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

SHORTEST: Final = 6
"""Bytes of the shortest value that is looked for."""

_WIDE: Final = 8
_NARROW: Final = 4
"""Bytes of a sample, which are read as one number; the narrow one is for values below eight bytes."""

_WORD_LIKE: Final = 12
"""Letters from which on a part of a value is more than a word of prose."""
_LONG: Final = 256
"""Bytes of a value beyond which only larger parts of it are looked for: a token of IAM has up to 20 kB."""
_CROWD: Final = 8
"""Values that may share a sample; where more do, whatever holds it is taken for one of them."""
_ID: Final = re.compile(rb"[0-9A-Fa-f]{8}(?:-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")
_ID_MOST: Final = 36
_RUN: Final = re.compile(rb"[^\s\"'<>,;{}\[\]]*")
_RUN_MOST: Final = 256

Span = tuple[int, int]
Owners = TypeVar("Owners")


class _Form(NamedTuple):
    """A value as it may come back; a part of it counts from `least` bytes on, from `first` at its start or end.

    `everywhere`: a part from the middle counts too.
    """

    data: bytes
    least: int
    first: int
    everywhere: bool


class Literals:
    """A growing set of secret values."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: dict[str, None] = {}
        self._forms: list[_Form] = []
        self._wide: dict[int, list[tuple[int, int]]] = {}
        self._narrow: dict[int, list[tuple[int, int]]] = {}
        self.add(values)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def add(self, values: Iterable[str]) -> None:
        """Look for these values too; one that is known already counts as the newest."""
        for value in values:
            known = value in self._values
            self._values.pop(value, None)
            self._values[value] = None
            if not known:
                for form in _forms(value):
                    self._learn(form)

    def keep_newest(self, count: int) -> None:
        """Forget all values but the newest ones."""
        self.keep(frozenset(list(self._values)[-count:]))

    def keep(self, values: Collection[str]) -> None:
        """Forget all values but these; one that is not known stays unknown. Keeping 10,000 takes about a second."""
        kept = [value for value in self._values if value in values]
        self._values, self._forms, self._wide, self._narrow = {}, [], {}, {}
        self.add(kept)

    def spans(self, text: bytes) -> list[Span]:
        """Return the ranges of a text that show a value."""
        hits = [*sample_hits(text, self._wide, _WIDE), *sample_hits(text, self._narrow, _NARROW)]
        found: list[Span] = []
        done = 0
        for at, width, owners in sorted(hits, key=lambda hit: hit[0]):
            if at + width <= done:
                continue
            spans = [_run_around(text, at, width)] if len(owners) > _CROWD else self._matches(text, at, width, owners)
            for span in spans:
                found.append(span)
                done = max(done, span[1])
        return found

    def _learn(self, form: _Form) -> None:
        number, size = len(self._forms), len(form.data)
        self._forms.append(form)
        wide = size >= _WIDE
        width = _WIDE if wide else _NARROW
        known = self._wide if wide else self._narrow
        # every part of `least` bytes holds one of the samples between
        between = range(0, size - width, form.least - width + 1) if form.everywhere else ()
        for at in dict.fromkeys((0, *between, size - width) if wide else (0,)):
            owners = known.setdefault(int.from_bytes(form.data[at : at + width], sys.byteorder), [])
            if len(owners) <= _CROWD:
                owners.append((number, at))

    def _matches(self, text: bytes, at: int, width: int, owners: list[tuple[int, int]]) -> Iterator[Span]:
        for number, inside in owners:
            form = self._forms[number]
            before = _alike_before(text, at, form.data, inside)
            after = _alike_after(text, at + width, form.data, inside + width)
            start, end = at - before, at + width + after
            whole = end - start == len(form.data)
            if not whole and _is_id(text, start, end):
                continue
            at_an_end = inside == before or inside + width + after == len(form.data)
            enough = form.first if at_an_end else form.least
            if text[start:end].isalpha():
                enough = max(enough, _WORD_LIKE)
            if whole or end - start >= enough:
                yield start, end


def _forms(value: str) -> Iterator[_Form]:
    """Yield a value as it may come back: as it is, in another case, escaped, in hexadecimal, in base64 anywhere."""
    raw = value.encode("utf-8", "surrogatepass")
    if len(raw) < SHORTEST:
        return
    seen: set[bytes] = set()
    lines = value.splitlines()
    plain = (value, *(lines if len(lines) > 1 else ()))
    for text, everywhere in (*((text, True) for text in plain), *((text, False) for text in spellings(value))):
        data = text.encode("utf-8", "surrogatepass")
        if len(data) >= SHORTEST and data not in seen:
            seen.add(data)
            yield _Form(data, *_thresholds(len(data), 8, 12 if len(data) <= _LONG else 24), everywhere)
    for data in _encoded(raw):
        if len(data) >= SHORTEST and data not in seen:
            seen.add(data)
            yield _Form(data, *_thresholds(len(data), 12, 32), everywhere=False)


def spellings(value: str) -> Iterator[str]:
    """Yield a value as text may spell it: as it is, in another case, as a form, escaped and not unescaped any more."""
    yield from (value, value.lower(), value.upper(), value.replace(" ", "+"), value.replace("\\", ""))
    yield from (repr(value)[1:-1], json.dumps(value)[1:-1].replace("\\", ""))


def _encoded(raw: bytes) -> Iterator[bytes]:
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for offset in range(3):
        inner = base64.b64encode(b"\0" * offset + raw).rstrip(b"=")
        # the first and the last characters depend on the neighbours
        inner = inner[(0, 2, 3)[offset] : None if (offset + len(raw)) % 3 == 0 else -1]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")


def _thresholds(size: int, least: int, most: int) -> tuple[int, int]:
    """Return from how many bytes on a part counts: two fifths of the form, and less at either end."""
    return min(max(least, size * 2 // 5), most, size), min(least, size)


def sample_hits(text: bytes, known: Mapping[int, Owners], width: int) -> Iterator[tuple[int, int, Owners]]:
    """Yield place, width and owners of each sample that stands in the text, at whatever offset."""
    if not known:
        return
    whole = memoryview(text)
    for offset in range(min(width, max(len(text) - width + 1, 0))):
        part = whole[offset : offset + (len(text) - offset) // width * width]
        numbers = part.cast("Q") if width == _WIDE else part.cast("I")
        if known.keys().isdisjoint(numbers):
            continue
        for index, number in enumerate(numbers):
            if (owners := known.get(number)) is not None:
                yield offset + index * width, width, owners


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
    """Tell whether a part stands within a UUID or the id of a project or a job, which happens to be in a value too."""
    ids = _ID.finditer(text, max(start - _ID_MOST, 0), end + _ID_MOST)
    return any(match.start() <= start and end <= match.end() for match in ids)


def _run_around(text: bytes, at: int, width: int) -> Span:
    left = _RUN.match(text[max(at - _RUN_MOST, 0) : at][::-1])
    right = _RUN.match(text, at + width, at + width + _RUN_MOST)
    return at - (left.end() if left else 0), right.end() if right else at + width
