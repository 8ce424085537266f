"""When each watch last gave a sign of life. `stream` tells, `/readyz` asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SILENT: Final = 90.0
"""Seconds without a sign after which a watch counts as dead: three of its lives."""


class Pulse:
    """The signs of all watches of one process, by what they watch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last: dict[str, float] = {}
        self.last = now()
        """When any watch last gave one."""

    def begin(self, watches: list[str]) -> None:
        """Expect a sign of these watches and of no other."""
        now = self._now()
        self._last = {watch: self._last.get(watch, now) for watch in watches}

    def beat(self, watch: str) -> None:
        """Take a sign of life."""
        self._last[watch] = self.last = self._now()

    def problem(self) -> str:
        """Say on one line which watch is silent for how long, or ""."""
        if not self._last:
            return ""
        watch, last = min(self._last.items(), key=lambda item: item[1])
        silent = self._now() - last
        return f"the watch of {watch} has brought nothing for {silent:.0f} s" if silent > SILENT else ""
