"""Calls in flight, at most one per EvsJob, so that one can be cancelled.

Called by `reconciler` around each call, and when an EvsJob or its connection changes: suspending a job, correcting its
id or pointing its connection at another endpoint does not wait for an endpoint that hangs. Every call gets one second,
so that an endpoint that answers loses no call.
"""

from __future__ import annotations

import asyncio
from typing import Final

_AT_LEAST: Final = 1.0
"""Seconds that a call has before it is cancelled."""


class InFlightCalls:
    """Calls by the uid of their EvsJob."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[asyncio.Timeout, float, object]] = {}

    def begin(self, uid: str, target: object) -> asyncio.Timeout:
        """Return the context to make a call in, about `target`; it raises TimeoutError if the call is cancelled."""
        timeout = asyncio.timeout(None)
        self._calls[uid] = timeout, asyncio.get_running_loop().time(), target
        return timeout

    def end(self, uid: str) -> None:
        """Forget a call that is over."""
        del self._calls[uid]

    def give_up(self, uid: str, *, unless_about: object = None) -> None:
        """Cancel the in-flight call of an EvsJob once it has had its second, unless it is about that target."""
        call = self._calls.get(uid)
        if call is not None and (unless_about is None or call[2] != unless_about):
            timeout, began, _ = call
            timeout.reschedule(max(began + _AT_LEAST, asyncio.get_running_loop().time()))
