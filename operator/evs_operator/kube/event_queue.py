"""What waits to be written as Events: a queue for each namespace, served in turns. Pure.

Whoever fills a queue loses what is their own: a namespace has room for so much, and where all of them together have no
room left, the longest queue gives way. One Event of a namespace is on the way at a time, so that a namespace in which
Events are refused slowly holds up no other.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_NAMESPACES: Final = 4
"""So many full queues there is room for."""


class EventQueue(Generic[T]):
    """Items by namespace; `room` is how many of one namespace may wait, half of it for Warnings alone."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._total = room * _NAMESPACES
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()
        self._serving: set[str] = set()
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def put(self, namespace: str, item: T, *, warning: bool) -> str | None:
        """Take an item; return the namespace that lost one for it, None where nothing was lost."""
        waiting = self._waiting.get(namespace, ())
        # ten thousand jobs that start must not hide one that fails
        if len(waiting) >= (self._room if warning else self._room // 2):
            return namespace
        loser = None
        if self._number >= self._total:
            loser = max(self._waiting, key=lambda other: len(self._waiting[other]))
            if len(waiting) >= len(self._waiting[loser]):
                return namespace
            self._lose(loser)
        self._waiting.setdefault(namespace, deque()).append(item)
        self._number += 1
        return loser

    def take(self) -> tuple[str, T] | None:
        """Return the next item and its namespace, whose turn is over until `done`; None where none may go."""
        for namespace in self._waiting:
            if namespace not in self._serving:
                break
        else:
            return None
        waiting = self._waiting[namespace]
        item = waiting.popleft()
        self._number -= 1
        if waiting:
            self._waiting.move_to_end(namespace)
        else:
            del self._waiting[namespace]
        self._serving.add(namespace)
        return namespace, item

    def done(self, namespace: str) -> None:
        """Say that an item of that namespace is no longer on the way."""
        self._serving.discard(namespace)

    @property
    def on_the_way(self) -> int:
        """Number of items that were taken and are not done."""
        return len(self._serving)

    def _lose(self, namespace: str) -> None:
        waiting = self._waiting[namespace]
        waiting.pop()
        self._number -= 1
        if not waiting:
            del self._waiting[namespace]
