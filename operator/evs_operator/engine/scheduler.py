"""When each EvsJob is looked at again: one heap, no task and no timer per job.

Rescheduling pushes a new item and leaves the old one to be skipped when it surfaces (lazy invalidation).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator

from .store import Entry


class Scheduler:
    """A heap of due times, in seconds of the epoch."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._sequence = itertools.count(1)

    def schedule(self, entry: Entry, due: float) -> None:
        """Make `due` the only time at which the entry surfaces."""
        entry.due = due
        entry.due_seq = next(self._sequence)
        heapq.heappush(self._heap, (due, entry.due_seq, entry))

    def cancel(self, entry: Entry) -> None:
        """Let the entry not surface again until it is scheduled."""
        entry.due_seq = 0

    def pop_due(self, now: float) -> Iterator[Entry]:
        """Take out, oldest first, the entries that are due."""
        while self._heap and self._heap[0][0] <= now:
            _, sequence, entry = heapq.heappop(self._heap)
            if entry.due_seq == sequence and not entry.deleted:
                entry.due_seq = 0
                yield entry

    def next_due(self) -> float | None:
        """Return the earliest due time, None where nothing is scheduled."""
        while self._heap:
            due, sequence, entry = self._heap[0]
            if entry.due_seq == sequence and not entry.deleted:
                return due
            heapq.heappop(self._heap)
        return None
