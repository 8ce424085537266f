"""Looks up host names: in threads of its own, each name once for all who wait, and in turns by whom it is for.

One `Names` serves the whole process (`network`); each connection resolves through it with the key of its turn, which
`connections` makes of the namespace. A DNS that does not answer holds threads, and nothing ends a thread that waits for
it: so each turn may hold a few, and somebody whose turn holds none always gets one. Failures are remembered for a
while, or each poll of a name that hangs would hold a thread again. Deliberately not here: which addresses may be
connected to (`addresses`).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from aiohttp.abc import AbstractResolver, ResolveResult

V = TypeVar("V")

_LONGEST: Final = 5.0
"""Seconds that a look-up may take, and as many that one may wait for its turn."""
_KEPT: Final = 10.0
"""Seconds for which addresses are used again."""
_FAILED_FOR: Final = 30.0
"""Seconds for which a name that is not known, or was not answered, is not looked up again."""
_STUMBLED_FOR: Final = 5.0
"""The same for a name that has had addresses: DNS is in trouble, and will know it again."""
_OF_TURN: Final = 4
_IN_ALL: Final = 64
_IN_ALL_WITH_FIRST: Final = 256
"""Look-ups under way for one turn, for all, and for all where it is the only one of its turn."""
_REMEMBERED: Final = 4096

_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_NOT_KNOWN: Final = frozenset(getattr(socket, name, 0) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY"))

_Key = tuple[str, int]
_Addresses = tuple[tuple[int, str, int], ...]
"""Family, address and protocol, of each."""


def is_unknown(error: OSError) -> bool:
    """Return whether a failed look-up says that there is no such name, and not that DNS is in trouble."""
    return isinstance(error, socket.gaierror) and error.errno in _NOT_KNOWN


class _LookUp:
    """One name that is looked up, for all who wait for it."""

    def __init__(self, key: _Key, port: int) -> None:
        self.key = key
        self.port = port
        self.started = False
        self.waiting = 0
        self.done: asyncio.Future[_Addresses] = asyncio.get_running_loop().create_future()


class Names:
    """What all connections of a process share of the look-up of names; times are in seconds."""

    def __init__(
        self,
        *,
        longest: float = _LONGEST,
        kept: float = _KEPT,
        failed_for: float = _FAILED_FOR,
        remembered: int = _REMEMBERED,
    ) -> None:
        self._longest = longest
        self._kept = kept
        self._failed_for = failed_for
        self._most = remembered
        self._under_way: dict[_Key, _LookUp] = {}
        self._turns: OrderedDict[str, deque[_LookUp]] = OrderedDict()
        self._threads: Counter[str] = Counter()
        self._found: OrderedDict[_Key, tuple[float, _Addresses]] = OrderedDict()
        self._failed: OrderedDict[_Key, tuple[float, OSError]] = OrderedDict()

    def of_turn(self, turn: str) -> AbstractResolver:
        """Return a resolver for connections of one turn."""
        return _ResolverOfTurn(self, turn)

    async def look_up(self, host: str, port: int, family: int, turn: str) -> list[ResolveResult]:
        """Return the addresses of a host, in numbers; raises OSError where it has none or is not answered in time."""
        key = (host.lower(), family)
        addresses = self._remembered(key)
        if addresses is None:
            addresses = await self._asked(key, port, turn)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=proto, flags=_NUMERIC)
            for kind, address, proto in addresses
        ]

    def _remembered(self, key: _Key) -> _Addresses | None:
        now = asyncio.get_running_loop().time()
        until, addresses = self._found.get(key, (0.0, ()))
        if now < until:
            return addresses
        until, error = self._failed.get(key, (0.0, OSError()))
        if now < until:
            raise type(error)(*error.args)  # each caller adds its own traceback
        return None

    async def _asked(self, key: _Key, port: int, turn: str) -> _Addresses:
        look_up = self._under_way.get(key)
        if look_up is None:
            look_up = self._under_way[key] = _LookUp(key, port)
        if not look_up.started:
            self._turns.setdefault(turn, deque()).append(look_up)  # in the turn of each who waits
        look_up.waiting += 1
        self._start()
        try:
            if not look_up.started:
                await self._wait_for_turn(look_up)
            return await asyncio.shield(look_up.done)
        finally:
            look_up.waiting -= 1
            if not look_up.waiting and not look_up.started:
                self._under_way.pop(key, None)

    async def _wait_for_turn(self, look_up: _LookUp) -> None:
        """Return when a name has been looked up; raises where its turn has not come in time."""
        await asyncio.wait([look_up.done], timeout=self._longest)
        if not look_up.started:
            raise socket.gaierror(socket.EAI_AGAIN, "too many names of this namespace are being looked up")

    def _start(self) -> None:
        """Start what may be started now, turn by turn."""
        for turn in list(self._turns):
            waiting = self._turns[turn]
            while waiting and (waiting[0].started or not waiting[0].waiting):
                waiting.popleft()
            if waiting and self._threads[turn] < _OF_TURN:
                running = self._threads.total()
                if running < (_IN_ALL if self._threads[turn] else _IN_ALL_WITH_FIRST):
                    self._begin(waiting.popleft(), turn)
            if waiting:
                self._turns.move_to_end(turn)
            else:
                del self._turns[turn]

    def _begin(self, look_up: _LookUp, turn: str) -> None:
        look_up.started = True
        self._threads[turn] += 1
        loop = asyncio.get_running_loop()
        loop.call_later(self._longest, self._give_up, look_up)

        def ended(found: _Addresses | OSError) -> None:
            self._threads[turn] -= 1
            if not self._threads[turn]:
                del self._threads[turn]
            self._settle(look_up, found)
            self._start()

        # A daemon: the end of the process waits for none of them.
        threading.Thread(target=_resolve, args=(look_up, loop, ended), name="look-up", daemon=True).start()

    def _give_up(self, look_up: _LookUp) -> None:
        if not look_up.done.done():
            self._settle(look_up, socket.gaierror(socket.EAI_AGAIN, f"no answer within {self._longest:.0f} s"))

    def _settle(self, look_up: _LookUp, found: _Addresses | OSError) -> None:
        """Remember what came of a look-up, also where it came too late, and tell those who wait."""
        now, key, done = asyncio.get_running_loop().time(), look_up.key, look_up.done
        if self._under_way.get(key) is look_up:
            del self._under_way[key]
        if isinstance(found, OSError):
            stumbled = key in self._found and not is_unknown(found)
            self._remember(self._failed, key, (now + (_STUMBLED_FOR if stumbled else self._failed_for), found))
            if not done.done():
                done.set_exception(found)
                done.exception()  # it is told to whoever waits, and perhaps nobody does any more
            return
        self._failed.pop(key, None)
        self._remember(self._found, key, (now + self._kept, found))
        if not done.done():
            done.set_result(found)

    def _remember(self, among: OrderedDict[_Key, V], key: _Key, value: V) -> None:
        among[key] = value
        among.move_to_end(key)
        if len(among) > self._most:
            among.popitem(last=False)


class _ResolverOfTurn(AbstractResolver):
    """Looks names up in one turn."""

    def __init__(self, names: Names, turn: str) -> None:
        self._names = names
        self._turn = turn

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host; raises OSError."""
        return await self._names.look_up(host, port, family, self._turn)

    async def close(self) -> None:
        """Hold nothing."""


def _resolve(look_up: _LookUp, loop: asyncio.AbstractEventLoop, ended: Callable[[_Addresses | OSError], None]) -> None:
    """Ask the system, in a thread."""
    host, family = look_up.key
    found: _Addresses | OSError
    try:
        answers = socket.getaddrinfo(host, look_up.port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        found = tuple(dict.fromkeys((int(kind), str(to[0]), proto) for kind, _, proto, _, to in answers))
    except OSError as error:
        found = error
    except UnicodeError:  # a label that is empty or too long
        found = socket.gaierror(socket.EAI_NONAME, "not a host name")
    with suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(ended, found)
