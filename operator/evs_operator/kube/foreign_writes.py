"""Says who writes to statuses that are ours: a person, a tool, or a second operator.

Called by the intake and by the rounds over the connections for a status that neither this process wrote nor an earlier
one had left. Putting it right is the writers' business; here is the warning, once a minute at the most, however many
objects somebody overwrites.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Final

from evs_operator.api.names import FIELD_MANAGER
from evs_operator.api.object_names import shown
from evs_operator.api.stored import mapping
from evs_operator.observe.wording import Ours

EVERY: Final = 30.0
"""Seconds between two times that one status is put right: two that overwrite each other must not do so for all they
can."""
NOBODY: Final = "somebody"
"""Stands for a field manager that is not told."""
_WARN_EVERY: Final = 60.0


class ForeignWrites:
    """Warns; `now` is in seconds."""

    def __init__(self, now: Callable[[], float], log: logging.Logger) -> None:
        self._now = now
        self._log = log
        self._warned = -math.inf
        self._unsaid = 0

    def met(self, name: str, metadata: Mapping[str, object]) -> None:
        """Warn about an object, named as in the log, whose status somebody else wrote."""
        if self._now() - self._warned < _WARN_EVERY:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more before)" if self._unsaid else ""
        self._warned, self._unsaid = self._now(), 0
        who = last_writer(metadata)
        if who == FIELD_MANAGER:
            what = "its status was written by another evs-operator: let only one work on a namespace, or on all"
        else:
            what = f"its status was overwritten by {who!r}: it is put right, let nothing else write to it"
        self._log.warning("%s: %s%s", Ours(name), Ours(what), more)


def last_writer(metadata: Mapping[str, object]) -> str:
    """Return the field manager that wrote the status last; of two within one second it is the foreign one."""
    fields = metadata.get("managedFields")
    writers = [
        (str(found.get("time", "")), found.get("manager") != FIELD_MANAGER, shown(str(found.get("manager", ""))))
        for found in map(mapping, fields if isinstance(fields, list) else ())
        if found.get("subresource") == "status"
    ]
    return max(writers)[2] if writers else NOBODY
