"""Which EvsJobs wait for a failing cloud or API server; the first success there wakes them.

Called where the trouble is met (`query`, `reconciler`). Each EvsJob backs off by itself for up to a minute; without
this the last of them would learn of a repair a minute late, and a new EvsJob before all others. Deliberately not here:
turns and budgets, which those that are woken pass through like any other.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from .entry import Entry

PROBE: Final = 10.0
"""Seconds within which somebody tries again while several EvsJobs meet trouble at one side."""
_PROBES_SLACK: Final = 0.8
"""A try comes up to a tenth early, and begins the next one all the same."""
_AGAIN: Final = 30.0
"""Seconds after which an EvsJob is woken once more: the trouble may be its own, and others' success no news to it."""
_FEW: Final = 256


@dataclass(slots=True)
class _Trouble:
    waiting: dict[str, Entry] = field(default_factory=dict)
    probe_at: float = 0.0
    looked_through_at: int = _FEW


def in_turns(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield EvsJobs namespace by namespace, one of each at a time."""
    waiting: OrderedDict[str, deque[Entry]] = OrderedDict()
    for entry in entries:
        waiting.setdefault(entry.namespace, deque()).append(entry)
    while waiting:
        namespace, queue = waiting.popitem(last=False)
        yield queue.popleft()
        if queue:
            waiting[namespace] = queue


class Recovery:
    """Knows who waits for which side, and wakes them; a side is any object that lives as long as it is one."""

    def __init__(self, now: Callable[[], float], wake: Callable[[Sequence[Entry]], None]) -> None:
        self._now = now
        self._wake = wake
        self._troubles: WeakKeyDictionary[object, _Trouble] = WeakKeyDictionary()

    def failed(self, side: object, entry: Entry) -> None:
        """Record that an EvsJob met trouble there; one of several is to try again within ten seconds."""
        trouble = self._troubles.setdefault(side, _Trouble())
        trouble.waiting[entry.uid] = entry
        if len(trouble.waiting) > trouble.looked_through_at:
            trouble.waiting = {uid: one for uid, one in trouble.waiting.items() if not one.seen.deleted}
            trouble.looked_through_at = 2 * max(len(trouble.waiting), _FEW)
        now = self._now()
        entry.polling.probes = len(trouble.waiting) > 1 and now >= trouble.probe_at
        if entry.polling.probes:
            trouble.probe_at = now + PROBE * _PROBES_SLACK

    def succeeded(self, side: object, entry: Entry) -> None:
        """Wake those that wait for a side, which has just answered to an EvsJob."""
        entry.polling.probes = False
        trouble = self._troubles.pop(side, None)
        if trouble is None:
            return
        now = self._now()
        woken = [
            one
            for one in trouble.waiting.values()
            if one is not entry and not one.seen.deleted and not one.place.busy and now >= one.polling.woken_at + _AGAIN
        ]
        for one in woken:
            one.polling.woken_at, one.polling.probes = now, False
        if woken:
            self._wake(woken)
