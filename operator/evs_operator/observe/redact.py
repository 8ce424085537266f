"""Takes secrets out of text: for logs, statuses, events, metrics and errors alike. Pure.

Two nets: what looks like a secret (headers, signatures, tokens, key = value pairs), and every literal secret value
that the process holds, also URL-encoded and in base64. Ids, times and prose stay as they are.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "***"
_SHORTEST_LITERAL: Final = 6

_NAMES = (
    r"(?:x[-_ ]?(?:auth|security|subject)[-_ ]?token|authorization|password|passwd|pwd|(?:secret|access)[-_ ]?key"
    r"|secret|sk|ak|access|security[-_ ]?token|securitytoken|token|signature|credential)"
)
_PATTERNS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement)
    for pattern, replacement in (
        # the gateway echoes the canonical request with every signed value: nothing after it is worth keeping
        (r"(canonical_?request\s*[:=]).*", rf"\1{MASK}"),
        (r"SDK-HMAC-SHA256\b(?:(?!SDK-HMAC).){0,1024}?Signature=[0-9a-z%+/=]*", MASK),
        (r"(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", rf"\1 {MASK}"),
        (r"://[^/\s@\"']+@", f"://{MASK}@"),
        (r"\b(?:eyJ|MII)[A-Za-z0-9_.+/=%-]{16,}", MASK),
        # name: "value" with whatever is in the quotes, in JSON within a string, and then name = value without any
        (rf"(\b{_NAMES}\\*[\"']?\s*[:=]\s*\\+[\"'])(?!\*\*\*)(?:(?!\\+[\"']).){{3,4096}}", rf"\1{MASK}"),
        (rf"(\b{_NAMES}[\"']?\s*[:=]\s*\")(?!\*\*\*)(?:[^\"\\]|\\.){{3,}}", rf"\1{MASK}"),
        (rf"(\b{_NAMES}[\"']?\s*[:=]\s*')(?!\*\*\*)(?:[^'\\]|\\.){{3,}}", rf"\1{MASK}"),
        (rf"(\b{_NAMES}[\"']?\s*(?:=|%3D|:(?!//))\s*[\"']?)(?!\*\*\*)[^\s\"',;&|{{}}\\]{{3,}}", rf"\1{MASK}"),
        (r"\b[0-9a-f]{64}\b", MASK),
        (r"(?<![A-Za-z0-9+/_=-])(?=[A-Za-z0-9+/_-]*[A-Z])(?=[A-Za-z0-9+/_-]*[0-9])[A-Za-z0-9+/_-]{80,}={0,2}", MASK),
    )
)
_HINT = re.compile(
    r"token|authoriz|pass|pwd|secret|access|credential|signature|canonical|hmac|bearer|basic|eyj|mii|://[^/]*@"
    r"|\b[as]k\b|[0-9a-z+/_-]{64}",
    re.IGNORECASE,
)


class Redactor:
    """Callable that takes secrets out of text; `literals` are the secret values held now."""

    def __init__(self, literals: Iterable[str] = ()) -> None:
        forms = {form for literal in literals if len(literal) >= _SHORTEST_LITERAL for form in _forms(literal)}
        self._forms: dict[str, list[str]] = {}
        for form in sorted(forms, key=len, reverse=True):
            self._forms.setdefault(form[:_SHORTEST_LITERAL], []).append(form)

    def __call__(self, text: str) -> str:
        """Return text without secrets."""
        if self._forms:
            text = self._without_literals(text)
        if _HINT.search(text):
            for pattern, replacement in _PATTERNS:
                text = pattern.sub(replacement, text)
        return text

    def _without_literals(self, text: str) -> str:
        """Mask the longest literal at each place; an index keeps the time from growing with their number."""
        parts: list[str] = []
        done = at = 0
        while at <= len(text) - _SHORTEST_LITERAL:
            candidates = self._forms.get(text[at : at + _SHORTEST_LITERAL], ())
            form = next((form for form in candidates if text.startswith(form, at)), None)
            if form is None:
                at += 1
                continue
            parts += [text[done:at], MASK]
            done = at = at + len(form)
        return "".join([*parts, text[done:]])


def _forms(literal: str) -> Iterable[str]:
    """Yield a value as it may come back: as it is, escaped in a URL or in JSON, and in base64 at any offset."""
    yield literal
    yield quote(literal, safe="")
    yield quote_plus(literal)
    yield literal.replace("/", "\\/")
    yield repr(literal)[1:-1]
    yield json.dumps(literal)[1:-1]
    yield from (line for line in literal.splitlines() if len(line) >= _SHORTEST_LITERAL)
    raw = literal.encode()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).decode()
        # the first and the last characters depend on the neighbours
        inner = encoded[(0, 2, 3)[offset] :].rstrip("=")
        inner = inner if (offset + len(raw)) % 3 == 0 else inner[:-1]
        if len(inner) >= _SHORTEST_LITERAL:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
