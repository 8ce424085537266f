"""Whether a connection has ever reached its endpoint, and since when it cannot for what looks like a mistake.

Asked by whoever tells of a trouble: a host name that DNS does not know, or a certificate that is not trusted, is most
likely written wrong where the endpoint was never reached since the spec was written. After three minutes a person must
act then. Where it was reached before, it is an outage: it passes, and an Event tells of it after the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from evs_operator.api.conditions import condition_of
from evs_operator.api.reasons import ConnectionReason
from evs_operator.api.stored import StoredConnectionStatus
from evs_operator.evs import errors

_PATIENCE: Final = 180.0
_ANSWERED: Final = (
    ConnectionReason.CREDENTIALS_VALID,
    ConnectionReason.UNAUTHORIZED,
    ConnectionReason.ENDPOINT_INVALID,
)
"""Reasons that no connection has whose endpoint never answered."""


@dataclass(slots=True)
class Reach:
    """Times in seconds; `since` is when the mistake was first met, None where the last call met none."""

    reached: bool = False
    since: float | None = None
    told: bool = False

    @classmethod
    def recalled(cls, status: StoredConnectionStatus, generation: int) -> Self:
        """Return what the status of an earlier process tells of this spec."""
        conditions = status.get("conditions", [])
        ready, stalled = condition_of(conditions, "Ready"), condition_of(conditions, "Stalled")
        if ready is None or status.get("observedGeneration") != generation:
            return cls()
        if ready["reason"] in _ANSWERED:
            return cls(reached=True)
        if ready["reason"] != ConnectionReason.UNREACHABLE:
            return cls()
        if stalled is not None and stalled["status"] == "True":
            return cls(since=float("-inf"))
        reconciling = condition_of(conditions, "Reconciling")
        both = reconciling is not None and reconciling["lastTransitionTime"] == ready["lastTransitionTime"]
        return cls(reached=both)  # Ready and Reconciling moved together: it was Ready before

    def got_through(self) -> None:
        """Note that the endpoint answered."""
        self.reached, self.since, self.told = True, None, False

    def failed(self, error: errors.CloudError, now: float) -> None:
        """Note what a call met."""
        if error.http_status is not None and not error.signing_in:
            self.got_through()
        elif not error.mistaken:
            self.since, self.told = None, False
        elif self.since is None:
            self.since = now

    def is_mistaken(self, now: float) -> bool:
        """Return whether a person must act."""
        return not self.reached and self._lasts(now)

    def is_outage_to_tell(self, now: float) -> bool:
        """Return whether an endpoint that was reached before is away for so long that an Event is due."""
        return self.reached and not self.told and self._lasts(now)

    @property
    def is_undecided(self) -> bool:
        """True while time alone may change what is told of a trouble."""
        return self.since is not None and not self.told

    def _lasts(self, now: float) -> bool:
        return self.since is not None and now - self.since >= _PATIENCE
