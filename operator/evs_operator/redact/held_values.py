"""The secret values that log lines are redacted with, by whose they are, within bounds of bytes.

Called by `redaction`. What one namespace holds never pushes out what another holds: each has a bound of its own, and
where all of them together are too many, the one that holds most loses its oldest. A value that several namespaces
hold is looked for until the last of them has let it go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from .secret_index import SecretIndex

_MOST_OF_ONE: Final = 4 << 20
_MOST: Final = 32 << 20
"""Bytes of memory for the values of one owner, and of all: about 1,700 values of 40 characters to the owner."""


class HeldValues:
    """Values by owner, each with the time (seconds) at which it was last in use; `literals` finds them in a text."""

    def __init__(self, most_of_one: int = _MOST_OF_ONE, most: int = _MOST) -> None:
        self.literals = SecretIndex()
        self._most_of_one = most_of_one
        self._most = most
        self._owned: dict[str, dict[str, float]] = {}
        self._size: Counter[str] = Counter()
        self._sizes: dict[str, int] = {}
        self._owners: Counter[str] = Counter()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((owner, value) for owner, values in self._owned.items() for value in values)

    def hold(self, used: Mapping[str, float], owner: str) -> bool:
        """Take values of an owner with when they were last used; return whether one is looked for that was not."""
        before = len(self.literals)
        owned = self._owned.setdefault(owner, {})
        for value, last in used.items():
            if value in owned:
                owned[value] = max(last, owned.pop(value))
                continue
            owned[value] = last
            self._owners[value] += 1
            if value not in self._sizes:
                size = self.literals.size
                self.literals.add((value,))
                self._sizes[value] = self.literals.size - size
            self._size[owner] += self._sizes[value]
            self._make_room(owner)
        return len(self.literals) != before

    def use(self, used: Mapping[str, float], owner: str) -> bool:
        """Take note that an owner's values are in use; one that had to go comes back only where there is room."""
        owned, room = self._owned.get(owner, {}), self._has_room(owner)
        return self.hold({value: last for value, last in used.items() if room or value in owned}, owner)

    def newest(self, owner: str) -> str | None:
        """Return the value of an owner that was held last."""
        return next(reversed(self._owned.get(owner, {})), None)

    def keep(self, owners: Iterable[str], since: float) -> bool:
        """Forget what is no owner's of these, or was last used before `since`; return whether anything was."""
        before, kept = len(self.literals), frozenset(owners)
        for owner, values in list(self._owned.items()):
            for value, last in list(values.items()):
                if owner not in kept or last <= since:
                    self._let_go(owner, value)
        return len(self.literals) != before

    def _has_room(self, owner: str) -> bool:
        return self._size[owner] < self._most_of_one * 3 // 4 and self.literals.size < self._most * 3 // 4

    def _make_room(self, owner: str) -> None:
        while self._size[owner] > self._most_of_one:
            self._let_go(owner, next(iter(self._owned[owner])))
        while self.literals.size > self._most:
            largest = max(self._size, key=self._size.__getitem__)
            self._let_go(largest, next(iter(self._owned[largest])))

    def _let_go(self, owner: str, value: str) -> None:
        owned = self._owned[owner]
        del owned[value]
        self._size[owner] -= self._sizes[value]
        if not owned:
            del self._owned[owner], self._size[owner]
        self._owners[value] -= 1
        if not self._owners[value]:
            del self._owners[value], self._sizes[value]
            self.literals.discard((value,))
