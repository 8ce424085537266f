"""Fields of JSON that a person wrote: read with their type, or refused with one line about what is wrong."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

_NAME = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile("[^\x00-\x08\x0a-\x1f\x7f]*")
MOST = 1e9  # seconds, 30 years: further away no time can be written


class Options:
    """Fields of a JSON object, each read with the type that it must have."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given
        self._read: set[str] = set()

    def _get(self, name: str, default: object) -> object:
        self._read.add(name)
        return self._given.get(name, default)

    def text(self, name: str, default: str) -> str:
        """Return a text. Raises ValueError where it is something else."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise ValueError(f"{name} is {value!r}, not a text")
        return value

    def whole(self, name: str, default: int, least: int = 0, most: int = int(MOST)) -> int:
        """Return a whole number from `least` to `most`. Raises ValueError where it is something else."""
        value = self._get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{name} is {value!r}, not a whole number from {least} to {most}")
        return value

    def status(self, default: int) -> int:
        """Return `http_status`, one that ends an exchange. Raises ValueError where it is something else."""
        return self.whole("http_status", default, 200, 599)

    def number(self, name: str, default: float) -> float:
        """Return a number, such as of seconds. Raises ValueError where it is not one, or below 0."""
        value = self._get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= max(default, MOST):
            raise ValueError(f"{name} is {value!r}, not a number from 0 to {MOST:.0f}")
        return float(value)

    def change(self, name: str) -> float:
        """Return a number that may be negative, 0 where it is missing. Raises ValueError where it is not one."""
        value = self._get(name, 0)
        if not isinstance(value, int | float) or isinstance(value, bool) or not -MOST <= value <= MOST:
            raise ValueError(f"{name} is {value!r}, not a number from -{MOST:.0f} to {MOST:.0f}")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false. Raises ValueError where it is something else."""
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise ValueError(f"{name} is {value!r}, not true or false")
        return value

    def headers(self) -> dict[str, str]:
        """Return the option `headers`. Raises ValueError where it is not an object of texts."""
        given = self._get("headers", {})
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            raise ValueError("headers is not an object of texts")
        if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in given.items()):
            raise ValueError("headers has a name or a value that cannot be sent")
        return dict(given)

    def unread(self) -> set[str]:
        """Return the fields that nobody asked for: they mean nothing."""
        return self._given.keys() - self._read

    def body(self) -> bytes:
        """Return the bytes of `body` (text) or `body_base64`."""
        if "body_base64" in self._given:
            return base64.b64decode(self.text("body_base64", ""), validate=True)
        return self.text("body", "").encode("utf-8", "surrogatepass")
