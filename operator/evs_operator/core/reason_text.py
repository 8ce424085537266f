"""Takes the readable part out of `fail_reason`: task prefixes off, the message out of JSON in a string.

docs/reference/jobs-api.md#reasons-of-a-failure says what is in it. Called by `core.failure`. The verbatim text stays in
`status.failReason`; this is what a person reads.
"""

from __future__ import annotations

import json
import re
from typing import Final

_TASK_PREFIX = re.compile(r"^(?:\w+-fail:\s*)+")
_MESSAGE_KEYS: Final = ("message", "error_msg", "errorMsg", "msg")
_IN_CUT_JSON = re.compile(r'"(?:message|error_msg|errorMsg|msg)"\s*:\s*"((?:[^"\\]|\\.){1,4096})')
_ESCAPED_QUOTE = re.compile(r'(?<!\\)\\+"')  # from the first of its backslashes: from each it would take the square
_LONGEST: Final = 64 * 1024
_MAX_DEPTH: Final = 6


def readable(reason: str) -> str:
    """Return the text that a person should read; what cannot be taken apart comes back as it is."""
    text = _TASK_PREFIX.sub("", reason[:_LONGEST].strip())
    begin = min((at for at in (text.find("{"), text.find('"{')) if at >= 0), default=-1)
    if begin < 0:
        return text
    message = _message_of(text[begin:])
    if message is None:
        return text
    return f"{text[:begin].rstrip()} {message}".strip()


def _message_of(text: str) -> str | None:
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        # JSON that was cut off, or whose quotes are escaped once more
        found = _IN_CUT_JSON.search(_ESCAPED_QUOTE.sub('"', text))
        return found[1] if found else None
    return _text_inside(value, _MAX_DEPTH)


def _text_inside(value: object, depth: int) -> str | None:
    """Return the first message, preferring one at the outer level; a string that is JSON itself is opened."""
    if depth == 0:
        return None
    if isinstance(value, str):
        inner = value.strip()
        return _message_of(inner) or inner if inner.startswith("{") else None
    if isinstance(value, list):
        return next((text for item in value if (text := _text_inside(item, depth - 1))), None)
    if not isinstance(value, dict):
        return None
    for key in _MESSAGE_KEYS:
        text = value.get(key)
        if isinstance(text, str) and text:
            return _text_inside(text, depth - 1) or text
    return next((text for inner in value.values() if (text := _text_inside(inner, depth - 1))), None)
