"""News of EvsJobs, for as long as somebody listens: a watch that is started again whenever it ends, and fresh reads.

`kubectl get --watch` lists and then follows, so a restarted stream shows what is there, but not what is gone. So the
whole is read afresh as soon as a stream has begun or ended, and twice a minute: whatever a stream has lost, a read
brings. Two threads put news into one queue; the loop that listens is the only one that decides.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Final, Self

from .errors import Cause, KubectlError
from .kubectl import Kubectl, Stream

Object = Mapping[str, Any]

_BACK_OFF_SECONDS: Final = (0.0, 0.5, 1.0, 2.0)
_READ_SECONDS: Final = 30.0
_OFTEN_SECONDS: Final = 3.0
_LASTED_SECONDS: Final = 10.0
"""How long a stream must live to count as one that worked, so that the next pause is the shortest again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An EvsJob as it is now; `at` is when that arrived, in monotonic seconds."""

    obj: Object
    at: float


@dataclass(frozen=True, slots=True)
class Deleted:
    """An EvsJob is gone, or is no longer selected; `obj` is what it was."""

    obj: Object
    at: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that are there: what is missing is gone. It was read from `since` on: what was seen later is newer."""

    objects: tuple[Object, ...]
    since: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """The API server did not answer as it should; it is asked again. `reading`: it was a read, not a stream."""

    error: KubectlError
    reading: bool = False


@dataclass(frozen=True, slots=True)
class Nudge:
    """Nothing happened but `Watch.nudge()`, for example because the terminal changed its size."""


News = Seen | Deleted | Snapshot | Trouble | Nudge


class Watch:
    """A context manager: `next` returns the news in order.

    `what` are the words after `kubectl get` that select what is watched, `read` returns the objects as they are now.
    """

    def __init__(self, kubectl: Kubectl, what: tuple[str, ...], read: Callable[[], list[dict[str, Any]]]) -> None:
        self._kubectl = kubectl
        self._what = what
        self._read = read
        self._news: SimpleQueue[News] = SimpleQueue()
        self._over = threading.Event()
        self._read_now = threading.Event()
        self._read_seconds = _READ_SECONDS
        self._lock = threading.Lock()
        self._stream: Stream | None = None

    def __enter__(self) -> Self:
        """Start."""
        for work in (self._follow, self._read_again):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and end kubectl."""
        self._over.set()
        self._read_now.set()
        with self._lock:
            if self._stream is not None:
                self._stream.stop()

    def next(self, seconds: float) -> News | None:
        """Return the next news, None if there is none within that time."""
        try:
            return self._news.get(timeout=max(seconds, 0.0))
        except Empty:
            return None

    def nudge(self) -> None:
        """Wake `next`; a signal handler may call this."""
        self._news.put(Nudge())

    def read_often(self) -> None:
        """Read afresh every few seconds from now on: not all that is meant is in the stream any more."""
        if self._read_seconds != _OFTEN_SECONDS:
            self._read_seconds = _OFTEN_SECONDS
            self._read_now.set()

    def _follow(self) -> None:
        failures = 0
        while not self._over.wait(_BACK_OFF_SECONDS[min(failures, len(_BACK_OFF_SECONDS) - 1)]):
            began = time.monotonic()
            try:
                self._follow_once()
            except KubectlError as error:
                self._news.put(Trouble(error))
            failures = 0 if time.monotonic() - began > _LASTED_SECONDS else failures + 1
            self._read_now.set()

    def _follow_once(self) -> None:
        """Follow one stream to its end; KubectlError says why it ended if kubectl complained."""
        with self._lock:
            if self._over.is_set():
                return
            stream = self._stream = self._kubectl.stream("get", *self._what)
        for number, event in enumerate(stream):
            news = _news_of(event)
            if news is not None:
                self._news.put(news)
            if number == 0:
                self._read_now.set()
        complaint = stream.complaint()
        if complaint is not None and not self._over.is_set() and complaint.cause is not Cause.NOT_FOUND:
            raise complaint

    def _read_again(self) -> None:
        while not self._over.is_set():
            self._read_now.wait(self._read_seconds)
            self._read_now.clear()
            if self._over.is_set():
                return
            try:
                since = time.monotonic()
                self._news.put(Snapshot(tuple(self._read()), since))
            except KubectlError as error:
                self._news.put(Trouble(error, reading=True))


def _news_of(event: Object) -> News | None:
    obj = event.get("object")
    if not isinstance(obj, Mapping) or obj.get("kind") != "EvsJob":
        return None
    now = time.monotonic()
    return Deleted(obj, now) if event.get("type") == "DELETED" else Seen(obj, now)


@contextmanager
def redrawn_when_resized(watch: Watch) -> Iterator[None]:
    """Draw anew when the terminal changes its size, and end in good order at SIGTERM."""

    def resized(number: int, frame: FrameType | None) -> None:
        watch.nudge()

    def ended(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handlers = {signal.SIGTERM: ended}
    if hasattr(signal, "SIGWINCH"):
        handlers[signal.SIGWINCH] = resized
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
