"""Why the first call for an EvsJob waits, and until when, in the words of its first status. Pure.

Called by `reconciler` for an EvsJob of which nothing is known yet; `due_times` says after how long.
"""

from __future__ import annotations

from evs_operator.api.conditions import timestamp
from evs_operator.clock import Clock
from evs_operator.connections.connection import Connection, title


def what_it_waits_for(connection: Connection, clock: Clock) -> str:
    """Return what an EvsJob of that connection waits for, for its status."""
    budget, now = connection.budget, clock()
    if connection.credentials is None:
        return f"waiting for the first call: the Secrets of {title(connection.key)} are being read"
    if now < budget.paused_until:
        until = timestamp(clock.moment(budget.paused_until))
        return f"waiting for the first call: the cloud asked for a pause (HTTP 429) until {until}"
    if not budget.is_short(now):
        return f"waiting for the first call: earlier calls of {title(connection.key)} have not been answered yet"
    until = timestamp(clock.moment(now + budget.waiting / budget.rate + 1.0))
    return (
        f"waiting for the first call, expected by {until}: {budget.waiting} EvsJobs wait for the calls of "
        f"{title(connection.key)}, at most {budget.rate:.3g} a second"
    )
