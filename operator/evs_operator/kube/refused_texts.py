"""Which statuses the API server refused for their text, so that the rest of them is written and nothing is asked twice.

A refusal (400 or 422) is answered with the same status less the cloud's texts, and a second one with less still. The
same status of the same object is not tried whole again; another one is.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Final

from evs_operator.api.status import EvsJobStatus
from evs_operator.core.plain_status import plain_status
from evs_operator.observe.seldom import Seldom
from evs_operator.observe.wording import Ours

from .api import KubeError
from .encoding import encoded

_STEPS: Final = 2
_REMEMBERED: Final = 1000
_TIMES: Final = frozenset({"conditions", "observationStartTime", "completionTime", "estimatedCompletionTime"})
REFUSED: Final = (400, 422)
"""Answers of the API server to a status whose text it does not take."""

_log = logging.getLogger(__name__)


class RefusedTexts:
    """By uid: the hash of the status that was refused, and how much of it was left out in the end."""

    def __init__(self, seldom: Seldom | None = None) -> None:
        self._steps: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._seldom = seldom or Seldom(_log)

    def acceptable(self, uid: str, status: EvsJobStatus) -> EvsJobStatus:
        """Return what of a status may be written."""
        known = self._steps.get(uid)
        if known is None or known[0] != _mark(status):
            return status
        return plain_status(status, request=known[1] < _STEPS)

    def refuse(self, uid: str, name: str, status: EvsJobStatus, error: KubeError) -> bool:
        """Take the refusal of what `acceptable` gave for a status; return False where nothing more can be left out."""
        mark = _mark(status)
        known, step = self._steps.pop(uid, (mark, 0))
        step = step + 1 if known == mark else 1
        if step > _STEPS:
            return False
        self._steps[uid] = mark, step
        if len(self._steps) > _REMEMBERED:
            self._steps.popitem(last=False)
        if step == 1:
            message = Ours(f"EvsJob {name}: status written without the cloud's texts:", error.message)
            self._seldom.warning(f"refused text in {name.partition('/')[0]}", message, {"evsjob": name})
        return True


def _mark(status: EvsJobStatus) -> int:
    """Return what is the same for the same status decided once more, a second later."""
    said = {key: value for key, value in status.items() if key not in _TIMES}
    words = [(c["type"], c["status"], c["reason"], c["message"]) for c in status.get("conditions", [])]
    return hash(encoded([said, words]))
