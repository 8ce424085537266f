"""Takes secrets out of text: for logs, statuses, events, metrics and errors alike. Pure.

Two nets: what looks like a secret (headers, signatures, tokens, key = value pairs), and the secret values that are
held (`literals`, `beginnings`). Both are held into the text as it is, into each reading of it (`encodings`) and into
what its runs of base64 and hexadecimal say. Ids, times and prose stay as they are. What is looked through is counted
(`work`); what is too much is left out. Deliberately not done: telling what a secret of less than six characters is, and
finding one that a server has encrypted or spelt backwards.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

from .encodings import View, views
from .secret_index import SecretIndex, Span
from .work import PIECE, READING, TooMuchError, Work

MASK: Final = "***"
LEFT_OUT: Final = "…"
"""In the place of what was not looked through."""
MOST_OF_ONE: Final = 512 * 1024
"""Bytes that are looked through of a text that stands alone, in all its readings."""
_LONGEST: Final = 64 * 1024
_MASK: Final = MASK.encode()
_BLOB_DEPTH: Final = 2
_SHORTEST_BLOB: Final = 24
_SHORTEST_RANDOM: Final = 80
_DIGEST_SIZE: Final = 64

_KEY: Final = rb"(?:[-_ ]?key(?:[-_ ]?data)?)"
_NAMES: Final[Mapping[bytes, bytes]] = {
    b"token": b"",
    b"password": b"",
    b"passwd": b"",
    b"adminpass": b"",
    b"pwd": b"",
    b"authorization": b"",
    b"cookie": b"",
    b"secret": rb"(?:[-_ ]?access)?" + _KEY + b"?",
    b"access": _KEY + b"?",
    b"private": _KEY,
    b"signing": _KEY,
    b"client-key": rb"-data",
    b"api": _KEY,
    b"signature": b"",
    b"credential": b"",
    b"sk": rb"(?<![a-z0-9]sk)",
    b"ak": rb"(?<![a-z0-9]ak)",
}
"""How the name of a secret ends, and what may follow before its value."""

# name: "value" with whatever is in the quotes, in JSON within a string, and then name = value without any
_VALUE: Final = (
    rb"(?:\\*[\"']?\s*[:=]\s*\\+[\"'](?P<inner>(?!\*\*\*)(?:(?!\\+[\"']).){3,4096})"
    rb"|[\"']?\s*[:=]\s*\"(?P<double>(?!\*\*\*)(?:[^\"\\]|\\.){3,})"
    rb"|[\"']?\s*[:=]\s*'(?P<single>(?!\*\*\*)(?:[^'\\]|\\.){3,})"
    rb"|[\"']?\s*(?:=|:(?!//))\s*[\"']?(?P<bare>(?!\*\*\*)[^\s\"',;&|{}\\]{3,}))"
)
# Each begins with letters of its own, which makes the search for it fast; all read lower case.
_PATTERNS: Final = tuple(
    (word, re.compile(re.escape(word) + rest, re.DOTALL))
    for word, rest in (
        # the gateway echoes the canonical request with every signed value: nothing after it is worth keeping
        (b"canonical", rb"_?request\s*[:=](?P<all>.+)"),
        (b"sdk-hmac-sha256", rb"\b(?P<all>(?:(?!sdk-hmac).){0,1024}?signature=[0-9a-z%+/=]*)"),
        (b"bearer", rb"\s+(?P<all>[a-z0-9._~+/=-]{6,})"),
        (b"basic", rb"\s+(?P<all>[a-z0-9._~+/=-]{6,})"),
        (b"://", rb"(?P<all>[^/\s@\"']+)@"),
        (b"eyj", rb"(?<![a-z0-9_]eyj)(?P<all>[a-z0-9_.+/=%-]{16,})"),
        (b"mii", rb"(?<![a-z0-9_]mii)(?P<all>[a-z0-9_.+/=%-]{16,})"),
        (b"private key-----", rb"(?P<all>.+?)(?:-----|\Z)"),
        *((word, rest + _VALUE) for word, rest in _NAMES.items()),
    )
)
_IN_RUN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
_RUNS: Final = bytes(byte if byte in _IN_RUN else 0x20 for byte in range(256))
_DIGEST: Final = re.compile(rb"\b[0-9A-Fa-f]{64}\b")
_RANDOM: Final = re.compile(rb"(?=[^A-Z]*[A-Z])(?=[^0-9]*[0-9])")
_HEX: Final = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


class Held(Protocol):
    """A set of secret values that may grow."""

    def spans(self, text: bytes, work: Work) -> Iterable[Span]:
        """Return the ranges of a text that must not be shown, for the values held now; raises TooMuchError."""


class Redactor:
    """Callable that takes secrets out of text; `literals` are secret values, `more` are sets of them that may grow."""

    def __init__(self, literals: Iterable[str] = (), *more: Held) -> None:
        own = SecretIndex(literals)
        self._sets: tuple[Held, ...] = (own, *more) if len(own) else more

    def __call__(self, text: str) -> str:
        """Return text without secrets; of one that is long, the beginning, and nothing of one that hides too much."""
        try:
            shown = self.within(text[:_LONGEST], Work(MOST_OF_ONE))
        except TooMuchError:
            return LEFT_OUT
        return shown if len(text) <= _LONGEST else shown + LEFT_OUT

    def within(self, text: str, work: Work) -> str:
        """Return text without secrets; raises TooMuchError where that takes more than what is left of a bound."""
        data = text.encode("utf-8", "surrogatepass")
        return _masked(data, self._spans(data, _BLOB_DEPTH, work)).decode("utf-8", "surrogatepass")

    def _spans(self, data: bytes, depth: int, work: Work) -> Iterator[Span]:
        """Yield the ranges that must not be shown, in no order."""
        for view in views(data):
            work.spend(READING + len(view.data) + PIECE * view.escapes)
            for start, end in self._spans_of(view, depth, work):
                yield view.place(start, end)

    def _spans_of(self, view: View, depth: int, work: Work) -> Iterator[Span]:
        for held in self._sets:
            yield from held.spans(view.data, work)
        if not view.joined:
            yield from _suspicious(view.data, work)
        if depth:
            for at, run in _runs(view.data, _SHORTEST_BLOB):
                work.spend(PIECE)
                if any(True for said in _said(run) for _ in self._spans(said, depth - 1, work)):
                    yield at, at + len(run)


def is_clean(redact: Callable[[str], str], texts: Iterable[str]) -> bool:
    """Tell with one look whether nothing in any of the texts has to be hidden.

    NUL between them is in no secret, no escape and no run of base64: what would be found in one of them alone is
    found in the whole.
    """
    whole = "\0".join(texts)
    return redact(whole) == whole


def _suspicious(data: bytes, work: Work) -> Iterator[Span]:
    """Yield what looks like a secret: by its name, by its form, or because nobody could read it."""
    lower = data.lower()
    for word, pattern in _PATTERNS:
        if word in lower:
            work.spend(PIECE * lower.count(word))
            yield from (match.span(match.lastgroup or 0) for match in pattern.finditer(lower))
    for at, run in _runs(data, _DIGEST_SIZE):
        if len(run) >= _SHORTEST_RANDOM and _RANDOM.match(run):
            yield at, at + len(run)
        yield from ((at + match.start(), at + match.end()) for match in _DIGEST.finditer(run))


def _runs(data: bytes, least: int) -> Iterator[tuple[int, bytes]]:
    """Yield place and content of each run of the characters of base64 and hexadecimal that is long enough."""
    at = 0
    for run in data.translate(_RUNS).split():
        if len(run) >= least:
            at = data.index(run, at)
            yield at, run
            at += len(run)


def _said(blob: bytes) -> Iterator[bytes]:
    """Yield each text that hexadecimal or base64, wherever it begins, holds; a random id is no text."""
    if _HEX.fullmatch(blob) and (said := bytes.fromhex(blob.decode())).isascii():
        yield said
    blob = blob.translate(_URL_SAFE)
    for start in range(4):
        # a whole number of groups: what the last few characters say is in no held value's form anyway
        groups = blob[start : start + (len(blob) - start) // 4 * 4]
        # the first twelve bytes tell it from nearly all that is no text
        if binascii.a2b_base64(groups[:16]).isascii() and (said := binascii.a2b_base64(groups)).isascii():
            yield said


def _whole(data: bytes, span: Span) -> Span:
    """Widen a range to whole characters."""
    start, end = span
    while start > 0 and data[start] & 0xC0 == 0x80:
        start -= 1
    while end < len(data) and data[end] & 0xC0 == 0x80:
        end += 1
    return start, end


def _masked(data: bytes, spans: Iterable[Span]) -> bytes:
    """Put one mask in the place of each range, and of those that touch."""
    parts: list[bytes] = []
    done = 0
    for start, end in sorted(_whole(data, span) for span in spans):
        if start > done or not parts:
            parts += [data[done:start], _MASK]
        done = max(done, end)
    return b"".join([*parts, data[done:]])
