"""A bounded map whose entries have owners: who puts in more than a share pushes out their own, and nobody else's.

For what is kept by project: tokens and clients. Deliberately not here: time, and what to do with what was pushed out.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Keeps `of_owner` values of each owner and `in_all`, those used last; what is `busy` stays a while longer."""

    def __init__(self, of_owner: int, in_all: int, busy: Callable[[V], bool] = lambda value: False) -> None:
        self._of_owner = of_owner
        self._in_all = in_all
        self._busy = busy
        self._entries: OrderedDict[K, tuple[str, V]] = OrderedDict()
        self._owned: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[V]:
        return (value for _, value in self._entries.values())

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield keys and values, what was used last comes last."""
        return ((key, value) for key, (_, value) in self._entries.items())

    def get(self, key: K) -> V | None:
        """Return a value and count that as a use, None where it is not kept."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: K, owner: str, value: V) -> list[V]:
        """Keep a value that was not kept; return those that had to leave for it."""
        left = []
        if self._owned[owner] >= self._of_owner:
            left += self._push_out(owner)
        elif len(self._entries) >= self._in_all:
            left += self._push_out(self._owned.most_common(1)[0][0])
        self._entries[key] = owner, value
        self._owned[owner] += 1
        return left

    def drop(self, key: K) -> None:
        """Forget a value."""
        owner, _ = self._entries.pop(key)
        self._owned[owner] -= 1
        if not self._owned[owner]:
            del self._owned[owner]

    def clear(self) -> None:
        """Forget all values."""
        self._entries.clear()
        self._owned.clear()

    def _push_out(self, owner: str) -> list[V]:
        for key, (whose, value) in self._entries.items():
            if whose == owner and not self._busy(value):
                self.drop(key)
                return [value]
        return []
