"""Lease holders in virtual time: an event loop without waiting, and an API server for one Lease with a bad network."""

from __future__ import annotations

import asyncio
import copy
import selectors
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from evs_operator.kube.api import KubeError

_TICK = 1e-6
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes at once; `watcher` is called whenever all that could run has run."""

    def __init__(self) -> None:
        self.now = 0.0
        self.watcher: Callable[[], None] = lambda: None
        loop = self

        class Selector(selectors.SelectSelector):
            def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
                loop.watcher()
                if timeout is None:
                    raise AssertionError("nothing will ever happen again")
                loop.now += max(timeout, _TICK)  # as in life, no turn of the loop takes no time
                return super().select(0)

        super().__init__(Selector())

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.now


def in_virtual_time(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end, without waiting for anything; what takes an hour of virtual time has failed."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(asyncio.wait_for(main, 3600))


def virtual_loop() -> VirtualLoop:
    """Return the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


@dataclass(frozen=True)
class MachineClock:
    """The clock of one machine: started at another moment, and of another rate, than any other."""

    offset: float = 0.0
    rate: float = 1.0
    wall_offset: float = 0.0

    def __call__(self) -> float:
        """Return the monotonic time of the machine."""
        return self.offset + self.rate * virtual_loop().now

    def wall(self) -> datetime:
        """Return what the machine takes for the time of day."""
        return EPOCH + timedelta(seconds=self.wall_offset + virtual_loop().now)


@dataclass(frozen=True)
class Trip:
    """What the network does with one request: seconds there and back, and whether either way loses it."""

    there: float = 0.0
    back: float = 0.0
    lost: str = ""
    """ "there", "back", or "" where it arrives."""


class LeaseServer:
    """The API server for one Lease: optimistic concurrency, and a new resourceVersion for each change.

    A request that was sent arrives, even when its sender stopped waiting for the answer.
    """

    def __init__(self, trips: Iterator[Trip] | None = None) -> None:
        self.lease: dict[str, Any] | None = None
        self.refusal: KubeError | None = None
        self.requests: list[tuple[str, Any]] = []
        self.writes: list[dict[str, Any]] = []
        self._trips = trips
        self._version = 0

    def heal(self) -> None:
        """Lose and delay nothing from now on."""
        self._trips = None

    async def request(self, method: str, path: str, *, body: object = None) -> dict[str, object]:
        """Send a request over the network; its body is what it is now."""
        loop = virtual_loop()
        trip = next(self._trips) if self._trips else Trip()
        self.requests.append((method, copy.deepcopy(body)))
        sent = copy.deepcopy(body)
        answer: asyncio.Future[dict[str, object]] = loop.create_future()

        def back(found: dict[str, object] | KubeError) -> None:
            if answer.done():
                return
            if isinstance(found, KubeError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def arrive() -> None:
            found: dict[str, object] | KubeError = self._serve(method, sent)
            if trip.lost == "back":
                found = KubeError(0, "connection reset")
            loop.call_later(trip.back, back, found)

        if trip.lost == "there":
            loop.call_later(trip.there, back, KubeError(0, "connection refused"))
        else:
            loop.call_later(trip.there, arrive)
        return await answer

    def _serve(self, method: str, body: Any) -> dict[str, object] | KubeError:
        if self.refusal:
            return self.refusal
        if method == "GET":
            return copy.deepcopy(self.lease) if self.lease else KubeError(404, "not found")
        if method == "POST":
            if self.lease:
                return KubeError(409, "already exists")
            body["metadata"]["uid"] = "1"
        elif not self.lease:
            return KubeError(404, "not found")
        elif body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            return KubeError(409, "the object has been modified")
        elif body == self.lease:
            return copy.deepcopy(body)  # the API server stores nothing, and the version stays
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self.lease = body
        self.writes.append(copy.deepcopy(body["spec"]))
        return copy.deepcopy(body)
