"""What was asked: the latest requests, without their secrets, and how many there were.

`server` notes every request except those of the admin API. Header values that could authenticate somebody are
replaced when they are noted, so that a journal can be shown and kept. The oldest entries go when it is full.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .clock import millis
from .wire import Request

_KEPT = 10_000
_SECRET = frozenset(
    {"authorization", "x-auth-token", "x-subject-token", "x-security-token", "x-metadata-token", "cookie"}
)
MASK = "***"


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and the status of its answer; `status` is 0 where the connection was reset without one."""

    time: float
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    status: int
    request_id: str
    fault: str | None

    def as_json(self) -> dict[str, object]:
        """Return the entry as the admin API shows it."""
        return {
            "time": millis(self.time),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": dict(self.headers),
            "status": self.status,
            "request_id": self.request_id,
            "fault": self.fault,
        }


class Journal:
    """The latest entries and counts over all of them since it was cleared."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._by_status: Counter[int] = Counter()

    def note(self, request: Request, status: int, now: float, fault: str | None) -> None:
        """Add a request that was answered with this status."""
        headers = tuple((name, MASK if name.lower() in _SECRET else value) for name, value in request.headers.items())
        self._by_status[status] += 1
        self._entries.append(
            Entry(now, request.method, request.path, request.query, headers, status, request.request_id, fault)
        )

    def entries(self, path: str = "", limit: int = _KEPT) -> Iterable[Entry]:
        """Return the latest entries whose path contains `path`, oldest first."""
        found = [entry for entry in self._entries if path in entry.path]
        return found[-limit:] if limit else []

    def counts(self) -> Mapping[str, int]:
        """Return how many requests there were by status of the answer, in the order of the status."""
        return {str(status): self._by_status[status] for status in sorted(self._by_status)}

    @property
    def total(self) -> int:
        """How many requests there were."""
        return self._by_status.total()

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._by_status.clear()
