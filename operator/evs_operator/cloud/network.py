"""What connections to the outside share in one process: the look-up of names, bounds on sockets and large answers.

The supervisor makes one `Network` and hands it down to every client; `turn` is whose connections they are, which the
connections make of the namespace. Who opens more sockets than a turn may, or all together, has connections closed that
nobody uses, of the turn that holds most and those first that were used longest ago. A call that is under way is never
cut off: how many there are the dispatcher's workers bound.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol

import httpx

from .names import Names

OF_TURN: Final = 128
IN_ALL: Final = 1024
"""Sockets of one turn and of all; one with TLS takes about 60 KB."""
_URLS: Final = 8192
"""URLs that are kept parsed, 1 KB each: a job is asked for several times, and parsing is a tenth of a poll."""


class Pool(Protocol):
    """Connections of one client. Its calls under way together may have opened `opened` sockets since it was empty."""

    turn: str
    opened: int
    busy: int

    def close_idle(self) -> None:
        """Close the connections; a pool that is not busy is told to."""


class Sockets:
    """Knows the pools that may hold sockets, those used last at the end."""

    def __init__(self, of_turn: int = OF_TURN, in_all: int = IN_ALL) -> None:
        self._of_turn = of_turn
        self._in_all = in_all
        self._pools: OrderedDict[Pool, None] = OrderedDict()
        self._held: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._held.total()

    def used(self, pool: Pool) -> None:
        """Count a call of a pool that is about to go, and the socket that it may open."""
        self._pools[pool] = None
        self._pools.move_to_end(pool)
        pool.busy += 1
        if pool.busy <= pool.opened:
            return
        pool.opened = pool.busy
        self._held[pool.turn] += 1
        if self._held[pool.turn] > self._of_turn:
            self._close_one(lambda turn: turn == pool.turn)
        elif len(self) > self._in_all:
            most = self._held.most_common(1)[0][0]
            self._close_one(lambda turn: turn == most)

    def left(self, pool: Pool) -> None:
        """Forget a pool that has no connection any more."""
        if pool in self._pools:
            del self._pools[pool]
            self._held[pool.turn] -= pool.opened
            if not self._held[pool.turn]:
                del self._held[pool.turn]
        pool.opened = 0

    def _close_one(self, of: Callable[[str], bool]) -> None:
        for pool in self._pools:
            if not pool.busy and of(pool.turn):
                self.left(pool)
                pool.close_idle()
                return


class LargeAnswers:
    """Lets few large answers be read at a time, each of which holds its bytes until it is whole, or for half a minute.

    A turn has a few of them; who has none is let in even where there is no room in all.
    """

    def __init__(self, of_turn: int = 2, in_all: int = 8, with_first: int = 24) -> None:
        self._of_turn = of_turn
        self._in_all = in_all
        self._with_first = with_first
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[asyncio.Future[None], str] = OrderedDict()

    @asynccontextmanager
    async def room(self, turn: str) -> AsyncIterator[None]:
        """Wait until one more may be read."""
        if not self._has_room(turn):
            turns_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[turns_up] = turn
            try:
                await turns_up
            except asyncio.CancelledError:
                if turns_up not in self._waiting and not turns_up.cancelled():
                    self._leave(turn)
                self._waiting.pop(turns_up, None)
                raise
        else:
            self._held[turn] += 1
        try:
            yield
        finally:
            self._leave(turn)

    def _has_room(self, turn: str) -> bool:
        mine, all_held = self._held[turn], self._held.total()
        return mine < self._of_turn and all_held < (self._in_all if mine else self._with_first)

    def _leave(self, turn: str) -> None:
        self._held[turn] -= 1
        if not self._held[turn]:
            del self._held[turn]
        for waiting, whose in list(self._waiting.items()):
            if waiting.cancelled():
                del self._waiting[waiting]
            elif self._has_room(whose):
                del self._waiting[waiting]
                self._held[whose] += 1
                waiting.set_result(None)


class Network:
    """One for each process, or for each client that stands alone."""

    def __init__(self) -> None:
        self.names = Names()
        self.sockets = Sockets()
        self.large = LargeAnswers()
        self.url = functools.lru_cache(_URLS)(httpx.URL)
