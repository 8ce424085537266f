"""The operator's clock: seconds of the epoch that never jump, beside the wall clock for time stamps.

A step of the wall clock must not make ten thousand jobs due at once, nor stop polling until it is caught up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Callable: seconds of the epoch at the start of the process plus the monotonic time since."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def __call__(self) -> float:
        """Return the time that schedules are made of."""
        return self._offset + self._monotonic()

    def wall(self) -> datetime:
        """Return the time that a status shows."""
        return datetime.fromtimestamp(self._wall(), UTC)

    def at(self, moment: datetime) -> float:
        """Return the time of schedules at a moment of the wall clock, such as one that the cloud tells."""
        return self() + moment.timestamp() - self._wall()

    def moment(self, seconds: float) -> datetime:
        """Return what the wall clock would have shown at a time of schedules, had it gone as it does now."""
        return datetime.fromtimestamp(self._wall() + seconds - self(), UTC)
