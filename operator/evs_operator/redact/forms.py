"""The forms in which a secret value may come back: as it is, in another case, escaped, in hexadecimal or base64. Pure.

Called by `literals` (all of a value) and `beginnings` (its spellings). How many samples a form is known by does not
grow with a long value: of one of 64 KiB only parts of a kilobyte are found in its middle, and as always those at its
beginning and its end.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

SHORTEST: Final = 6
"""Bytes of the shortest value that is looked for."""
WIDE: Final = 8
"""Bytes of a sample."""
_LONG: Final = 256
"""Bytes of a value beyond which only larger parts of it are looked for: a token of IAM has up to 20 kB."""
_SPELT: Final = 1024
"""Bytes of a value beyond which nobody spells it in another case."""
_LINES: Final = 16
"""Lines of a value that are looked for one by one; a longer text is looked for in parts alone."""
_SAMPLES: Final = 64
"""Samples of a form between its beginning and its end."""


class Form(NamedTuple):
    """A value as it may come back; a part of it counts from `least` bytes on, from `first` at its start or end.

    `everywhere`: a part from the middle counts too.
    """

    data: bytes
    least: int
    first: int
    everywhere: bool

    def sampled(self) -> Iterable[int]:
        """Return the places of samples such that every part that counts holds one of them."""
        size = len(self.data)
        if size < WIDE:
            return (0,)
        between = range(0, size - WIDE, self.least - WIDE + 1) if self.everywhere else ()
        return dict.fromkeys((0, *between, size - WIDE))


def forms_of(value: str) -> Iterator[Form]:
    """Yield the forms of a value, always in the same order; none of one that is too short to be looked for."""
    raw = value.encode("utf-8", "surrogatepass")
    if len(raw) < SHORTEST:
        return
    seen: set[bytes] = set()
    lines = value.splitlines() if len(raw) <= _SPELT else []
    plain = (value, *(lines if 1 < len(lines) <= _LINES else ()))
    spelt = spellings(value) if len(raw) <= _SPELT else ()
    for text, everywhere in (*((text, True) for text in plain), *((text, False) for text in spelt)):
        data = text.encode("utf-8", "surrogatepass")
        if len(data) >= SHORTEST and data not in seen:
            seen.add(data)
            most = 12 if len(data) <= _LONG else max(24, len(data) // _SAMPLES + WIDE)
            yield Form(data, *_thresholds(len(data), 8, most), everywhere)
    for data in _encoded(raw):
        if len(data) >= SHORTEST and data not in seen:
            seen.add(data)
            yield Form(data, *_thresholds(len(data), 12, 32), everywhere=False)


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
