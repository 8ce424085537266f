"""What `/healthz` and `/readyz` answer: whether this process works, and whether it may be given work.

Called by the health server for each probe. Unhealthy is what only a new process can mend; everything else is unready.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final

from evs_operator.clock import Clock
from evs_operator.kube.lease import LeaseHolder

from .schema_watch import SchemaWatch
from .watching import Watcher
from .wiring import ApiServer, Parts

_LOOP_LATE: Final = 90.0
"""Seconds after which a dispatcher that takes no turn is taken for dead."""
_POLL_LATE: Final = 600.0
"""Seconds after which an EvsJob that is due must have had a worker."""
_UNANSWERED: Final = 240.0
"""Seconds without a good answer after which a new process is the last thing to try; an upgrade takes less."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Readiness:
    """Reads the parts; each method returns None if all is well, else what is not."""

    parts: Parts
    server: ApiServer
    watcher: Watcher
    schema: SchemaWatch
    lease: LeaseHolder | None
    clock: Clock

    def leads(self) -> bool:
        """Return whether this process is the one that works."""
        return self.lease is None or self.lease.leads

    def stands_by(self) -> bool:
        """Return whether another process works."""
        return not self.leads()

    def unhealthy(self) -> str | None:
        """Answer `/healthz`."""
        if not self.watcher.synced.is_set():
            return None
        if self.clock() - self.parts.dispatcher.last_turn > _LOOP_LATE:
            return "the scheduler does not advance"
        if self._unserved() > _POLL_LATE:
            return "EvsJobs are due and nobody polls them"
        unanswered = min(time.monotonic() - self.server.reads.answered_at, self.clock() - self.watcher.pulse.last)
        if unanswered > _UNANSWERED:
            return f"no request to the API server has succeeded for {unanswered:.0f} s"
        return None

    def unready(self) -> str | None:
        """Answer `/readyz`."""
        if self.lease is not None and not self.lease.leads:
            return f"waiting: {self.lease.problem}" if self.lease.problem else None
        if self.watcher.waiting_for:
            return f"waiting: {self.watcher.waiting_for}"
        if problem := self.watcher.pulse.problem() or self.schema.problem:
            return problem
        return None if self.watcher.synced.is_set() else "waiting: the first list of EvsJobs is not complete"

    def _unserved(self) -> float:
        """Return how long an EvsJob waits for a worker; a fault in counting is no reason to be ended by the kubelet."""
        try:
            return self.parts.dispatcher.unserved()
        except Exception:  # noqa: BLE001  # of whatever kind
            _log.exception("/healthz: could not count the waiting EvsJobs")
            return 0.0
