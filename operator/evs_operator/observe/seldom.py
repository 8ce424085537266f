"""Log lines that hundreds of objects would repeat: the first of a kind at once, then one a minute with a count.

Whoever warns about one object of many does it through this; `kind` says which lines are the same trouble. The filter of
`logs` holds back lines of the same words and cannot do this: these name an object each.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

_PERIOD: Final = 60.0


@dataclass(slots=True)
class _Held:
    """What was suppressed of one kind since its last line: how many, and the last of them."""

    since: float
    number: int = 0
    message: str = ""
    fields: Mapping[str, object] | None = None


class Seldom:
    """Warns once a minute for each kind; needs a running event loop to report what came after the first."""

    def __init__(self, log: logging.Logger, now: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now = now
        self._held: dict[str, _Held] = {}

    def warning(self, kind: str, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Log the message now if none of its kind was logged within a minute, else count it."""
        held = self._held.get(kind)
        if held is None:
            self._log.warning("%s", message, extra=fields)
            self._held[kind] = _Held(self._now())
            asyncio.get_running_loop().call_later(_PERIOD, self._minute_over, kind)
            return
        held.number, held.message, held.fields = held.number + 1, message, fields
        self._log.debug("%s", message, extra=fields)

    def _minute_over(self, kind: str) -> None:
        """Log what was suppressed; a minute without any ends the trouble."""
        held = self._held.pop(kind)
        if not held.number:
            return
        self._log.warning(
            "%s (%d similar lines in %.0f s, this is the last)",
            held.message,
            held.number,
            self._now() - held.since,
            extra=held.fields,
        )
        self._held[kind] = _Held(self._now())
        asyncio.get_running_loop().call_later(_PERIOD, self._minute_over, kind)
