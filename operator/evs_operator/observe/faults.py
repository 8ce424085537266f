"""Faults of ours with one object: how they are reported, and when that object is retried.

Called by every loop over the objects of tenants. What one object makes us stumble over must not end the loop, the
worker or the process of all: the fault is caught for that object, logged with its name, shown in its status, and the
object is left alone for a while that grows. Deliberately not here: errors that are declared (KubeError, CloudError,
SpecError), which their callers know the meaning of.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from .wording import Ours

_FIRST: Final = 2.0
_LONGEST: Final = 300.0
"""First and longest wait in seconds after a fault; each doubles the one before."""
_REMEMBERED: Final = 10_000
"""Objects; beyond, the one that was met longest ago is tried as if it were new."""


class Faults:
    """Remembers objects that a fault was met with; `now` is in seconds, and an object is named as in the log."""

    def __init__(self, now: Callable[[], float], log: logging.Logger) -> None:
        self._now = now
        self._log = log
        self._met: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def met(self, name: str, what: str, error: Exception) -> float:
        """Log a fault with an object on one line, `what` says what was not done; return the seconds to wait."""
        times = self._met.pop(name, (0, 0.0))[0] + 1
        wait = min(_FIRST * 2.0 ** (times - 1), _LONGEST)
        self._met[name] = times, self._now() + wait
        if len(self._met) > _REMEMBERED:
            self._met.popitem(last=False)
        self._log.error("%s: %s", Ours(name), what, exc_info=error)
        return wait

    @contextmanager
    def guard(self, name: str, what: str) -> Iterator[None]:
        """Catch and log whatever fault of ours comes out of the block."""
        try:
            yield
        except Exception as fault:  # noqa: BLE001  # what follows the block concerns others
            self.met(name, what, fault)

    def __bool__(self) -> bool:
        """Return whether there was any fault lately: names need not be made where there was none."""
        return bool(self._met)

    def waits(self, name: str) -> bool:
        """Return whether an object is left alone now."""
        return name in self._met and self._now() < self._met[name][1]

    def over(self, name: str) -> None:
        """Forget the faults of an object that went well."""
        if self._met:
            self._met.pop(name, None)


def in_words(error: BaseException) -> str:
    """Return a fault as a status reports it: its kind, never its text, which may quote what must not be shown."""
    return f"a fault of the operator ({type(error).__name__}, see its log); it is tried again"
