"""What one process may do about the Lease it sees: rules alone, for `lease`.

Times in a Lease come from the clocks of other machines and are for people. Here a Lease ends when this process has
watched one version of it for the whole duration, by its own clock.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from evs_operator.api.stored import mapping

LEASE_SECONDS: Final = 15


class Step(enum.Enum):
    """What one process may do about the Lease now."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Seen:
    """A Lease as this process saw it.

    `version` is its resourceVersion, "" where there is no Lease; `holder` is "" where nobody holds it; `duration` is
    in seconds; `since` is when this version was first seen, by the clock of this process.
    """

    version: str
    holder: str
    duration: float
    since: float

    @property
    def end(self) -> float:
        """When its holder, had it died, would have stopped working long enough ago."""
        return self.since + self.duration


def next_step(seen: Seen, identity: str, now: float) -> Step:
    """Return what the process `identity` may do at `now`, by the clock that `seen.since` was read from."""
    if seen.holder not in ("", identity) and now < seen.end:
        return Step.WAIT
    if not seen.version:
        return Step.CREATE
    return Step.RENEW if seen.holder == identity else Step.TAKE


def look(previous: Seen | None, lease: Mapping[str, object] | None, now: float) -> Seen:
    """Return what is seen now; a Lease that is gone is held by whom we saw last, for as long as it would have been."""
    if lease is None:
        return replace(previous, version="") if previous else Seen("", "", LEASE_SECONDS, now)
    version = str(mapping(lease.get("metadata")).get("resourceVersion", ""))
    if previous and previous.version == version:
        return previous
    spec = mapping(lease.get("spec"))
    duration = spec.get("leaseDurationSeconds")
    seconds = max(duration if isinstance(duration, int) else 0, LEASE_SECONDS)
    return Seen(version, str(spec.get("holderIdentity") or ""), seconds, now)
