"""Reads the keys of one Secret that somebody needs, and lets nothing else of it in.

Called by `secret_reader` and by `check --connection`. A tenant may write a Secret of a megabyte into each
of a thousand names: the value of a key that is too large is refused here, before it is decoded, and a key that nobody
asked for is not looked at. What a value means is not known here (`secret_contents`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from . import objects
from .api import KubeApi

MOST_BYTES: Final = 64 * 1024
"""Bytes of one value; the longest that is of use is a CA file, and a token of IAM has up to 20 kB."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Stands for a value that cannot be taken; `why` goes on after the name of its key."""

    why: str


Secret = Mapping[str, bytes | Refused]
"""Values by key; a key that is not there is not in it."""


async def read_secret(api: KubeApi, namespace: str, name: str, keys: Iterable[str]) -> Secret:
    """Return these keys of a Secret, as far as they are there. Raises KubeError."""
    answer = await objects.read_secret_object(api, namespace, name)
    data = answer.get("data")
    if not isinstance(data, Mapping):
        return {}
    return {key: _value(data[key]) for key in keys if data.get(key) is not None}


def _value(encoded: object) -> bytes | Refused:
    if not isinstance(encoded, str):
        return Refused("is no base64")
    size = len(encoded) // 4 * 3 - encoded[-2:].count("=")
    if size > MOST_BYTES:
        return Refused(f"holds {size:,} bytes, and at most {MOST_BYTES:,} are taken: write the value alone")
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        return Refused("is no base64")
