"""Ids as the cloud makes them: recognisable, ascending, without meaning.

A job id is 32 lower-case hex characters. All of one process share a prefix of 16; the rest counts up with the
clock, so that a parent's id is smaller than those of its sub-jobs and ids sort by creation. Volume ids are UUIDs
derived from the id of the job that makes the volume: nothing needs to be remembered to give the same one again.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable

_FAMILY = "ff808082"  # the prefix seen most often on the real service


class Ids:
    """Makes the ids of one process. `now` gives the simulated time in seconds since 1970."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._prefix = _FAMILY + os.urandom(4).hex()
        self._last = 0
        self._requests = 0
        self._request_prefix = os.urandom(10).hex()

    def job(self) -> str:
        """Return a job id greater than every one before."""
        self._last = max(self._last + 1, int(self._now() * 1000) << 16)
        return f"{self._prefix}{self._last & (1 << 64) - 1:016x}"

    def request(self) -> str:
        """Return a request id: 32 hex characters."""
        self._requests += 1
        return f"{self._request_prefix}{self._requests:012x}"


def volume_id(job_id: str) -> str:
    """Return the id of the volume that this job makes."""
    return str(uuid.UUID(bytes=hashlib.sha256(job_id.encode()).digest()[:16], version=4))


def hex_id(text: str) -> str:
    """Return 32 hex characters that stand for this name: ids of users, domains and projects."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
