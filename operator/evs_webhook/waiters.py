"""Who waits for which EvsJob, woken by one watch that all share.

The watch hands every EvsJob to `take`; one that nobody waits for costs a look into a dict. A waiter is registered
before it is shown the object by a GET with the caller's token, so that nothing between the two is missed, and it is
told nothing that its own GET has not shown to be the caller's to see. Whatever the watch cannot say for certain (a
namesake, a gap, a restored store) is Doubt: the waiter then reads the object again, as its caller.

Places are limited. If all are taken, a namespace that has fewer than the busiest one gets the place of the waiter
that has waited longest there, which is answered before its time; else the newcomer is refused. Deliberately not done:
keeping objects, or deciding who may see them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Final

from evs_operator.api.stored import mapping
from evs_operator.kube.watch.stream import RESTORED

from .problems import Problem, not_now
from .sightings import Sighting, sighting_of

_KEPT: Final = 16
"""Changes that are kept for a waiter that is slow to read them; the oldest go first."""
_RETRY: Final = 5.0


class Word(Enum):
    """What a waiter is told other than a version of its object."""

    DOUBT = "read it again"
    LEAVE = "answer now: this process ends, or another namespace needs the place"


class Gone:
    """An EvsJob of this uid was deleted."""

    __slots__ = ("uid",)

    def __init__(self, uid: str) -> None:
        self.uid = uid


News = Sighting | Gone | Word


class Waiter:
    """One request that waits for one EvsJob."""

    def __init__(self, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self.listed = False
        self._news: deque[News] = deque(maxlen=_KEPT)
        self._word: Word | None = None
        self._event = asyncio.Event()

    def tell(self, news: Sighting | Gone) -> None:
        """Pass on what the watch brought."""
        self._news.append(news)
        self._event.set()

    def say(self, word: Word) -> None:
        """Have it read again or leave; to leave outweighs all else."""
        if self._word is not Word.LEAVE:
            self._word = word
        self._event.set()

    async def next(self, seconds: float) -> News | None:
        """Return the next news, None if there is none within so many seconds."""
        if not self._event.is_set():
            try:
                async with asyncio.timeout(max(seconds, 0.0)):
                    await self._event.wait()
            except TimeoutError:
                return None
        if self._word is Word.LEAVE:
            return self._word
        if self._word is not None:
            word, self._word = self._word, None
            self._news.clear()  # what it reads now is newer
            self._event.clear()
            return word
        news = self._news.popleft()
        if not self._news:
            self._event.clear()
        return news


class Waiters:
    """All waiters of the process; `most` may wait at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_name: dict[tuple[str, str], dict[Waiter, None]] = {}
        self._admitted: dict[str, dict[Waiter, None]] = {}
        self._number = 0
        self._stopping = False

    @property
    def number(self) -> int:
        """How many wait."""
        return self._number

    @property
    def stopping(self) -> bool:
        """Whether the process ends: nobody waits any more."""
        return self._stopping

    def stop(self) -> None:
        """Have all of them answered now."""
        self._stopping = True
        for waiters in self._by_name.values():
            for waiter in waiters:
                waiter.say(Word.LEAVE)

    @contextmanager
    def registered(self, namespace: str, name: str) -> Iterator[Waiter]:
        """Give a waiter that sees what comes from now on; it takes no place before `admit`."""
        waiter, key = Waiter(namespace, name), (namespace, name)
        self._by_name.setdefault(key, {})[waiter] = None
        if self._stopping:
            waiter.say(Word.LEAVE)
        try:
            yield waiter
        finally:
            others = self._by_name[key]
            del others[waiter]
            if not others:
                del self._by_name[key]
            self._release(waiter)

    def admit(self, waiter: Waiter) -> None:
        """Give it a place once its caller was shown the object; a Problem if there is none."""
        if problem := self.refusal(waiter.namespace):
            raise problem
        if self._number >= self._most:
            longest = next(iter(self._admitted[self._busiest()]))
            self._release(longest)
            longest.say(Word.LEAVE)
        self._admitted.setdefault(waiter.namespace, {})[waiter] = None
        self._number += 1

    def refusal(self, namespace: str) -> Problem | None:
        """Return the problem of a newcomer of this namespace, None if there would be a place."""
        if self._number < self._most:
            return None
        own, largest = len(self._admitted.get(namespace, ())), len(self._admitted[self._busiest()])
        if own + 1 < largest:
            return None
        return not_now(429, f"{self._number} requests wait already: ask again, or without wait", _RETRY)

    def take(self, kind: str, event_type: str | None, body: Mapping[str, object]) -> None:
        """Take what the watch brought: the type of the event, None for what was listed, and the object."""
        metadata = mapping(body.get("metadata"))
        key = (str(metadata.get("namespace")), str(metadata.get("name")))
        waiters = self._by_name.get(key)
        if not waiters:
            return
        deleted = event_type == "DELETED"
        news = Gone(str(metadata.get("uid"))) if deleted else sighting_of(body)
        for waiter in waiters:
            waiter.listed = waiter.listed or event_type in (None, RESTORED)
            if event_type == RESTORED:
                waiter.say(Word.DOUBT)  # its version may be lower than what was seen, and it is the truth
            else:
                waiter.tell(news)

    def listed(self) -> None:
        """Take that all was listed anew: who waits for what the list did not show reads again."""
        for waiters in self._by_name.values():
            for waiter in waiters:
                if not waiter.listed:
                    waiter.say(Word.DOUBT)
                waiter.listed = False

    def _busiest(self) -> str:
        return max(self._admitted, key=lambda namespace: len(self._admitted[namespace]))

    def _release(self, waiter: Waiter) -> None:
        own = self._admitted.get(waiter.namespace, {})
        if waiter not in own:
            return
        del own[waiter]
        self._number -= 1
        if not own:
            del self._admitted[waiter.namespace]
