"""The ways in which a server gives a secret back, and a judge that knows nothing of our redaction.

`FORMS` write a secret down; `shows` undoes every one of them and says whether a telling part of the secret is there.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus, unquote

Form = Callable[[str], str]
TELLING = 12
"""Characters from which on a part of a secret tells something; a shorter one may be a word of prose."""


def _json_points(secret: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in secret)


def _wrapped(secret: str) -> str:
    return base64.encodebytes(b"header: " + secret.encode() * 1 + b"; and so on, for more than one line of it").decode()


FORMS: dict[str, Form] = {
    "plain": str,
    "URL-encoded": lambda s: quote(s, safe=""),
    "URL-encoded, lower case": lambda s: re.sub("%..", lambda m: m[0].lower(), quote(s, safe="")),
    "URL-encoded twice": lambda s: quote(quote(s, safe=""), safe=""),
    "URL-encoded, each character": lambda s: "".join(f"%{byte:02x}" for byte in s.encode()),
    "URL-encoded as a form": quote_plus,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64, url-safe": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "base64 without padding": lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
    "base64 one byte in": lambda s: base64.b64encode(b"u" + s.encode() + b"!").decode(),
    "base64 two bytes in": lambda s: base64.b64encode(b"u:" + s.encode() + b"!!").decode(),
    "base64 in a longer blob": lambda s: base64.b64encode(b"\xff\x00 user:" + s.encode() + b"@host\xfe" * 5).decode(),
    "base64 wrapped at 76": _wrapped,
    "base64 wrapped at 76, in JSON": lambda s: json.dumps(_wrapped(s)),
    "base64 of base64": lambda s: base64.b64encode(base64.b64encode(b"token=" + s.encode())).decode(),
    "base64 of JSON": lambda s: base64.b64encode(json.dumps({"auth": {"key": s}}).encode()).decode(),
    "JSON": json.dumps,
    "JSON in JSON": lambda s: json.dumps(json.dumps({"message": s})),
    "JSON, each character": _json_points,
    "JSON, slashes escaped": lambda s: json.dumps(s).replace("/", "\\/"),
    "hexadecimal": lambda s: s.encode().hex(),
    "hexadecimal, upper case": lambda s: s.encode().hex().upper(),
    "Python bytes": lambda s: repr(s.encode()),
    "Python text": repr,
    "HTML": html.escape,
    "HTML, each character": lambda s: "".join(f"&#{ord(char)};" for char in s),
    "HTML, each character in hexadecimal": lambda s: "".join(f"&#x{ord(char):X};" for char in s),
    "upper case": str.upper,
    "lower case": str.lower,
    "split over two fields": lambda s: json.dumps({"a": s[: len(s) // 2], "b": s[len(s) // 2 :]}),
    "cut off at its end": lambda s: s[: max(TELLING + 2, 2 * len(s) // 3)] + "…",
}


def shows(text: str, secret: str) -> str:
    """Return the part of the secret that a text tells whoever decodes it, "" where it tells none."""
    wanted = {variant[at : at + TELLING] for variant in _cases(secret) for at in range(len(secret) - TELLING + 1)}
    for reading in _readings(text):
        for part in wanted:
            if part in reading:
                return part
    return ""


def _cases(secret: str) -> set[str]:
    return {secret, secret.lower(), secret.upper()}


def _readings(text: str) -> Iterator[str]:
    """Yield what a text says to somebody who undoes up to three encodings."""
    seen = {text}
    layer = [text]
    for _ in range(4):
        yield from layer
        layer = [read for one in layer for read in _decoded(one) if read not in seen and not seen.add(read)]  # type: ignore[func-returns-value]  # remembers it


def _decoded(text: str) -> Iterator[str]:
    yield unquote(text)
    yield html.unescape(text)
    yield text.replace("\\\\", "\\").replace('\\"', '"').replace("\\/", "/").replace("\\'", "'")
    yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
    yield re.sub(r"\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), text)
    joined = re.sub(r"(?<=[A-Za-z0-9+/_=-]{20})(\s|\\n)+(?=[A-Za-z0-9+/_=-])", "", text)
    for run in re.findall(r"[A-Za-z0-9+/_-]{8,}", f"{text} | {joined}"):
        for start in range(4):
            yield _base64(run[start:])
    for run in re.findall(r"[0-9a-fA-F]{12,}", text):
        for start in range(2):
            digits = run[start : start + (len(run) - start) // 2 * 2]
            yield bytes.fromhex(digits).decode("latin-1")


def _base64(run: str) -> str:
    run = run.replace("-", "+").replace("_", "/")[: len(run) - (len(run) % 4 == 1)]  # one character more is no byte
    try:
        return base64.b64decode(run + "=" * (-len(run) % 4)).decode("latin-1")
    except binascii.Error:
        return ""
