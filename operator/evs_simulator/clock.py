"""The simulated time, in seconds since 1970 (UTC).

Every part of the simulator asks this clock and nothing else, so that a test may move time instead of waiting. The
clock runs with the machine's by default; it can be put ahead or back (what a client sees is then a cloud whose
clock differs), pushed forward, and stopped. Jobs live on the same clock: pushing it forward ends them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate


class Clock:
    """A clock that can be moved and stopped. `source` gives the machine's time in seconds since 1970."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._offset = 0.0
        self._stopped_at: float | None = None

    def now(self) -> float:
        """Return the simulated time in seconds since 1970."""
        return self._source() + self._offset if self._stopped_at is None else self._stopped_at

    @property
    def offset(self) -> float:
        """Seconds that the simulated time is ahead of the machine's."""
        return self.now() - self._source()

    @property
    def stopped(self) -> bool:
        """Whether time stands still until it is advanced."""
        return self._stopped_at is not None

    def set_offset(self, seconds: float) -> None:
        """Be that many seconds ahead of the machine's clock; a stopped clock stays stopped, at the new time."""
        self._offset = seconds
        if self._stopped_at is not None:
            self._stopped_at = self._source() + seconds

    def advance(self, seconds: float) -> None:
        """Push the time forward (or back, where negative)."""
        self._offset += seconds
        if self._stopped_at is not None:
            self._stopped_at += seconds

    def stop(self) -> None:
        """Let time stand still at what it is now."""
        self._stopped_at = self.now()

    def start(self) -> None:
        """Let a stopped clock run on from where it stands."""
        if self._stopped_at is not None:
            self._offset = self._stopped_at - self._source()
            self._stopped_at = None


def millis(seconds: float) -> str:
    """Write a time as EVS does: `2026-02-03T09:15:00.118Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def micros(seconds: float) -> str:
    """Write a time as IAM does: `2026-02-03T09:14:58.512000Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stamp(seconds: float) -> str:
    """Write a time as signatures do: `20260203T091500Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def http_date(seconds: float) -> str:
    """Write a time as the `Date` header does."""
    return formatdate(seconds, usegmt=True)
