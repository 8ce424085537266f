"""How often one endpoint is asked with one credential: a token bucket that learns from HTTP 429.

Pure: the clock is a parameter (seconds). A 429 pauses all calls. After the pause one call probes, alone until it is
answered; then calls go at half the rate, which grows back by a constant amount per second of success, up to the
ceiling that the connections name. The calls under way together begin with a few, grow by one with each answer and are
halved where none comes.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import inf
from typing import Final

from evs_operator.evs import errors

DEFAULT_PAUSE: Final = 60.0
MOST_IN_FLIGHT: Final = 32
FIRST_IN_FLIGHT: Final = 4
"""Calls under way together before an endpoint has answered: so few can meet a throttle, or hang, at a start."""
_FIRST_BURST: Final = 10.0
_BEGINNING: Final = 4.0
"""Calls that go at once when an endpoint is first asked, and seconds until they go at the full rate."""
_FEW: Final = 10.0
_LOWEST: Final = 0.1
_RECOVERY: Final = 120.0
"""Seconds of success in which the rate grows from nothing to its ceiling."""
_PROBE: Final = 45.0
"""Seconds after which a probe of which nothing was heard is taken for lost; longer than any call may last."""
_ROUNDING: Final = 1e-9


class Budget:
    """A token bucket. `rate` is in calls per second; until `paused_until` no call may go; `calls` counts those made.

    `waiting` is how many wait for a call, as the dispatcher last counted. `in_flight` is the number of calls that may
    wait for an answer together. Who takes a call tells what became of it: `answered`, `throttled`, `unanswered`, or
    `unused` where none was made.
    """

    def __init__(self, requests_per_second: float, burst: int) -> None:
        self.ceiling = float(requests_per_second)
        self.rate = self.ceiling
        self.paused_until = 0.0
        self.calls = 0
        self.waiting = 0
        self.in_flight = FIRST_IN_FLIGHT
        self._burst = float(max(burst, 1))
        self._tokens = self._burst
        self._filled: float | None = None
        self._raised: float | None = None
        self._throttled_at = -inf
        self._probing = False
        self._probe_ends = 0.0
        self._at_full_pace = -inf

    def begin(self, now: float) -> None:
        """Spread the first calls over some seconds: at a start all EvsJobs are due at once."""
        self._tokens = min(self._burst, _FIRST_BURST)
        self._at_full_pace = now + _BEGINNING

    def resize(self, requests_per_second: float, burst: int) -> None:
        """Take a new ceiling; what a 429 has taught stays."""
        ceiling = float(requests_per_second)
        self.rate = ceiling if self.rate >= self.ceiling else min(self.rate, ceiling)
        self.ceiling = ceiling
        self._burst = float(max(burst, 1))
        self._tokens = min(self._tokens, self._burst)

    def take(self, now: float) -> float:
        """Return 0.0 and count a call that may go now; else the seconds until one may."""
        if now < self.paused_until:
            return self.paused_until - now
        if self._probing and now < self._probe_ends:
            return self._probe_ends - now
        self._fill(now)
        if self._tokens < 1.0 - _ROUNDING:
            return (1.0 - self._tokens) / self._pace(now)
        self._tokens -= 1.0
        if self._probing:
            self._probe_ends = now + _PROBE
        return 0.0

    def is_short(self, now: float) -> bool:
        """Return whether a call would have to wait, for the end of a pause or for its turn."""
        if now < self.paused_until or (self._probing and now < self._probe_ends):
            return True
        self._fill(now)
        return self._tokens < 1.0 - _ROUNDING

    def spend(self, now: float) -> None:
        """Count a request that goes in any case, such as one for a token: the calls after it wait for it."""
        self._fill(now)
        self._tokens -= 1.0

    def unused(self) -> None:
        """Take back a call that was counted and not made."""
        self._tokens = min(self._tokens + 1.0, 1.0 if self._probing else self._burst)
        self._probe_ends = 0.0

    def throttled(self, now: float, pause: float | None, sent: float) -> None:
        """Take a 429: no call for `pause` seconds (60 if the answer names none), half the rate after that.

        `sent` is when the call went. Calls that were under way together and are all refused halve the rate once, and so
        do probes that are refused again and again: how long a throttle lasts says nothing about the rate.
        """
        self.calls += 1
        self._fill(now)
        if sent > self._throttled_at:
            if not self._probing:
                self.rate = max(self.rate / 2.0, _LOWEST)
            self._throttled_at = now
        wait = DEFAULT_PAUSE if pause is None else max(pause, 1.0)
        self.paused_until = max(self.paused_until, now + wait)
        self._tokens = 1.0  # the probe
        self._raised = None
        self.in_flight = FIRST_IN_FLIGHT
        self._probing, self._probe_ends = True, 0.0

    def failed(self, error: errors.CloudError, now: float, sent: float) -> None:
        """Take what a call that was taken here and went at `sent` met instead of its job."""
        if not error.by_evs:
            self.unused()
        elif error.throttles:
            self.throttled(now, error.retry_after, sent)
        elif error.unanswered:
            self.unanswered(sent)
        else:
            self.answered(now, sent)
            if error.retry_after and not error.locks:
                self.hold(now + error.retry_after)

    def hold(self, until: float) -> None:
        """Let no call go until then, as an answer asked; it was no throttle, so the rate stays."""
        self.paused_until = max(self.paused_until, until)
        self._tokens = min(self._tokens, 1.0)
        self.in_flight = min(self.in_flight, FIRST_IN_FLIGHT)

    def answered(self, now: float, sent: float) -> None:
        """Take any other answer: the rate grows with the time since the last one, at most a second's worth.

        The answer to a call that went before the throttle says nothing about the time after it.
        """
        self.calls += 1
        self.in_flight = min(self.in_flight + 1, MOST_IN_FLIGHT)
        if sent <= self._throttled_at:
            return
        self._probing = False
        if self.rate < self.ceiling:
            elapsed = 0.0 if self._raised is None else min(max(now - self._raised, 0.0), 1.0)
            self.rate = min(self.rate + self.ceiling * elapsed / _RECOVERY, self.ceiling)
            self._raised = now

    def unanswered(self, sent: float) -> None:
        """Take a call without an answer: half as many may wait together, so that a hung endpoint holds one."""
        self.calls += 1
        self.in_flight = max(self.in_flight // 2, 1)
        if sent > self._throttled_at:
            self._probe_ends = 0.0

    def _fill(self, now: float) -> None:
        start = max(self._filled if self._filled is not None else now, self.paused_until)
        if now > start:
            self._tokens = min(self._tokens + (now - start) * self._pace(now), self._burst)
        self._filled = now

    def _pace(self, now: float) -> float:
        """Return the calls per second that go now: half of the rate in the beginning, or a few, and then all of it."""
        left = self._at_full_pace - now
        return self.rate if left <= 0.0 else max(self.rate * (1.0 - left / _BEGINNING / 2.0), min(self.rate, _FEW))


class Budgets:
    """The buckets in use: one for all connections that ask the same endpoint with the same credential.

    Where they name different ceilings the lowest holds: each of them is a limit that somebody wants kept.
    """

    def __init__(self) -> None:
        self._budgets: dict[Hashable, Budget] = {}
        self._members: dict[Hashable, tuple[Hashable, float, int]] = {}

    def join(self, member: Hashable, shared: Hashable, limit: tuple[float, int], now: float) -> Budget:
        """Return the bucket of `shared` (endpoint and credential) for a connection that names that limit."""
        if member in self._members and self._members[member][0] != shared:
            self.leave(member, now)
        rate, burst = limit
        budget = self._budgets.get(shared)
        if budget is None:
            budget = self._budgets[shared] = Budget(rate, burst)
            budget.begin(now)
        self._members[member] = (shared, rate, burst)
        self._resize(shared)
        return budget

    def leave(self, member: Hashable, now: float) -> None:
        """Forget a connection; a bucket that nobody uses is kept while it is paused."""
        left = self._members.pop(member, None)
        if left is not None:
            self._resize(left[0])
        used = {shared for shared, _, _ in self._members.values()}
        for shared, budget in list(self._budgets.items()):
            if shared not in used and budget.paused_until <= now:
                del self._budgets[shared]

    def _resize(self, shared: Hashable) -> None:
        limits = [(rate, burst) for key, rate, burst in self._members.values() if key == shared]
        if limits:
            self._budgets[shared].resize(min(rate for rate, _ in limits), min(burst for _, burst in limits))
