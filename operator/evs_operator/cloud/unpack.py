"""Takes the body of an answer out of the compression that it came in, within a limit and without trusting its name.

Called by `wire` where an answer names a content coding, which nobody asked for: proxies and gateways compress errors
whatever the request accepts. gzip and deflate are unpacked; what is named so and is not, and everything else that a
server calls a coding ("UTF-8", "none"), is read as it is. Deliberately not here: brotli and zstd, which no answer to
our requests was seen in; such a body cannot be read, and its status line counts.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Final

_WINDOWS: Final[Mapping[str, tuple[int, ...]]] = {
    "gzip": (31,),
    "x-gzip": (31,),
    "deflate": (15, -15),  # as the standard has it, and as some servers do
}
"""What zlib is to expect for each coding, in this order."""
_LAYERS: Final = 2
"""Codings on top of each other that are taken off."""


def unpacked(content: bytes, named: Iterable[str], most: int) -> bytes | None:
    """Return a body without the codings that its headers name; None where it is longer than `most` bytes then."""
    codings = [coding for header in named for part in header.split(",") if (coding := part.strip().lower()) in _WINDOWS]
    for coding in list(reversed(codings))[:_LAYERS]:
        found = _inflated(content, _WINDOWS[coding], most)
        if found is None:
            return None
        content = found
    return content


def _inflated(content: bytes, windows: Iterable[int], most: int) -> bytes | None:
    for window in windows:
        try:
            found = zlib.decompressobj(window).decompress(content, most + 1)
        except zlib.error:
            continue
        return found if len(found) <= most else None
    return content
