"""When each EvsJob is looked at again: one heap, no task and no timer per job.

Rescheduling pushes a new item and leaves the old one to be skipped when it surfaces (lazy invalidation); where most
items are such leftovers the heap is made anew without them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Iterator
from typing import Final

from evs_operator.jobs.entry import Entry

_FEW: Final = 1000


class Scheduler:
    """A heap of due times, in seconds of the epoch; `wake` is set if an entry becomes due before all others."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._sequence = itertools.count(1)
        self._left = 0
        self.wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._heap)

    def schedule(self, entry: Entry, due: float) -> None:
        """Make `due` the only time at which the entry surfaces."""
        entry.place.due = due
        self.remind(entry, due)

    def remind(self, entry: Entry, at: float) -> None:
        """Make `at` the only time at which an entry surfaces that waits for a call and stays due for it."""
        self.cancel(entry)
        if not self._heap or at < self._heap[0][0]:
            self.wake.set()
        entry.place.due_seq = next(self._sequence)
        heapq.heappush(self._heap, (at, entry.place.due_seq, entry))
        if self._left > max(len(self._heap) // 2, _FEW):
            self._heap = [item for item in self._heap if _is_valid(item)]
            heapq.heapify(self._heap)
            self._left = 0

    def cancel(self, entry: Entry) -> None:
        """Let the entry not surface again until it is scheduled."""
        if entry.place.due_seq:
            self._left += 1
        entry.place.due_seq = 0

    def pop_due(self, now: float) -> Iterator[Entry]:
        """Take out, oldest first, the entries that are due."""
        while self._heap and self._heap[0][0] <= now:
            entry = self._heap[0][2]
            if self._pop():
                entry.place.due_seq = 0
                yield entry

    def next_due(self) -> float | None:
        """Return the earliest due time, None where nothing is scheduled."""
        while self._heap:
            if _is_valid(self._heap[0]):
                return self._heap[0][0]
            self._pop()
        return None

    def _pop(self) -> bool:
        item = heapq.heappop(self._heap)
        valid = _is_valid(item)
        if item[1] != item[2].place.due_seq:
            self._left -= 1
        return valid


def _is_valid(item: tuple[float, int, Entry]) -> bool:
    _, sequence, entry = item
    return entry.place.due_seq == sequence and not entry.seen.deleted
