"""Writes a body as text that is JSON and YAML 1.1 at once: the API server reads an apply patch as YAML.

`api` calls it for every request. JSON may write a character beyond U+FFFF as two surrogate escapes, which are an error
in YAML, so every character goes as it is, but for those that YAML refuses raw or takes for the end of a line: these
have the same escape in both. Half a surrogate pair, which no text can hold, becomes U+FFFD.
"""

from __future__ import annotations

import json
import re
from typing import Final

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_NOT_RAW: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def encoded(body: object) -> bytes:
    """Return the body as UTF-8; raises TypeError for what JSON has no word for."""
    text = _encode(body)
    if text.isascii() and "\x7f" not in text:
        return text.encode("ascii")
    return _NOT_RAW.sub(_escape, text).encode("utf-8")


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"
