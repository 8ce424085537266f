"""Waits between tries that did not last: one a second at first, then fewer; what lasted has waited enough. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

_SHORTEST: Final = 1.0
_GROWTH: Final = 1.5
_JITTER: Final = 0.2


class Pauses:
    """The waits of one endless loop, in seconds, each up to a fifth longer or shorter by chance."""

    def __init__(self, longest: float, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._longest = longest
        self._draw = draw
        self._next = _SHORTEST

    def after(self, lasted: float, at_least: float = 0.0) -> float:
        """Return how long to wait after a try that lasted so long; `at_least` is what the other side asks for."""
        if lasted >= self._longest:
            self._next = _SHORTEST
            return at_least
        wait = max(self._next * self._draw(1 - _JITTER, 1 + _JITTER) - lasted, at_least)
        self._next = min(self._next * _GROWTH, self._longest)
        return max(wait, 0.0)
