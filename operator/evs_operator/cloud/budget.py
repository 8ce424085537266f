"""How often one endpoint is asked with one credential: a token bucket that learns from HTTP 429.

Pure: the clock is a parameter (seconds). A 429 pauses all calls, then the rate is halved and grows back by a
constant amount per second of success, up to the ceiling that the connection names.
"""

from __future__ import annotations

from typing import Final

DEFAULT_PAUSE: Final = 60.0
_LOWEST: Final = 0.1
_RECOVERY: Final = 120.0
"""Seconds of success in which the rate grows from nothing to its ceiling."""


class Budget:
    """A token bucket. `rate` is in calls per second; until `paused_until` no call may go; `calls` counts them."""

    def __init__(self, requests_per_second: float, burst: int) -> None:
        self.ceiling = float(requests_per_second)
        self.rate = self.ceiling
        self.paused_until = 0.0
        self.calls = 0
        self._burst = float(max(burst, 1))
        self._tokens = self._burst
        self._filled: float | None = None
        self._raised: float | None = None

    def take(self, now: float) -> float:
        """Return 0.0 and count a call that may go now; else the seconds until one may."""
        if now < self.paused_until:
            return self.paused_until - now
        self._fill(now)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            self.calls += 1
            return 0.0
        return (1.0 - self._tokens) / self.rate

    def throttled(self, now: float, pause: float | None) -> None:
        """Take a 429: no call for `pause` seconds (60 where the answer names none), half the rate after that."""
        self._fill(now)
        if now >= self.paused_until:  # answers to calls that were in flight together count once
            self.rate = max(self.rate / 2.0, _LOWEST)
        wait = DEFAULT_PAUSE if pause is None else max(pause, 1.0)
        self.paused_until = max(self.paused_until, now + wait)
        self._tokens = min(self._tokens, 1.0)
        self._raised = None

    def succeeded(self, now: float) -> None:
        """Take an answered call: the rate grows with the time since the last one, at most a second's worth."""
        if self.rate < self.ceiling:
            elapsed = 0.0 if self._raised is None else min(max(now - self._raised, 0.0), 1.0)
            self.rate = min(self.rate + self.ceiling * elapsed / _RECOVERY, self.ceiling)
            self._raised = now

    def _fill(self, now: float) -> None:
        start = max(self._filled if self._filled is not None else now, self.paused_until)
        if now > start:
            self._tokens = min(self._tokens + (now - start) * self.rate, self._burst)
        self._filled = now
