"""EvsJobs that wait for a call of one budget, and who of them is served next.

The dispatcher pushes what is due and pops where the budget gives a call away. Deliberately not here: the budget itself
(`cloud.budget`), and workers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from evs_operator.core.schedule.price import DueQueue, Price
from evs_operator.jobs.entry import Entry

Patience = Callable[[Entry, float], float]
"""Seconds that an EvsJob can wait while a call costs the price given (seconds of unnoticed end)."""


class CallBudget(Protocol):
    """Says when the next call to one endpoint with one credential may go (`cloud.budget`)."""

    paused_until: float
    in_flight: int
    waiting: int

    def take(self, now: float) -> float:
        """Return 0.0 and count the call, or the seconds until one may go."""

    def unused(self) -> None:
        """Take back a call that was counted and not made."""


class Lane:
    """EvsJobs that wait for a call of one budget.

    Namespaces take turns; within a namespace the call goes where it is worth most (`core.schedule_price`).
    An EvsJob that is pushed again, here or into another lane, has left its old place.
    """

    def __init__(self, budget: CallBudget | None, patience: Patience, now: float) -> None:
        self.budget = budget
        self.in_flight = 0
        self.served_at = now
        self._patience = patience
        self._price = Price()
        self._turns: OrderedDict[str, DueQueue[tuple[Entry, int]]] = OrderedDict()
        self._since: OrderedDict[int, tuple[Entry, float]] = OrderedDict()

    @property
    def waits(self) -> bool:
        """True while an EvsJob may wait here."""
        return bool(self._turns)

    @property
    def length(self) -> int:
        """How many EvsJobs wait here, some of which may have left."""
        return len(self._since)

    def push(self, entry: Entry, ticket: int) -> None:
        """Add an EvsJob that is due."""
        entry.place.ticket = ticket
        queue = self._turns.setdefault(entry.namespace, DueQueue())
        self._since[ticket] = (entry, entry.place.due)
        last = entry.polling.last_poll
        if last is None and entry.polling.history is not None:
            last = entry.polling.history.last_poll
        if last is None or entry.seen.request_open:
            queue.push_first((entry, ticket))
        else:
            queue.push((entry, ticket), last, self._patience(entry, self._price.value))

    def pop(self, now: float) -> Entry | None:
        """Take the next one; None where nobody waits."""
        while self._turns:
            namespace, queue = self._turns.popitem(last=False)
            served = queue.pop(now)
            if served is None:
                continue
            entry, ticket = served.item
            waits = entry.place.ticket == ticket and not entry.seen.deleted
            self._since.pop(ticket, None)
            if len(queue):
                self._turns[namespace] = queue
                if not waits:
                    self._turns.move_to_end(namespace, last=False)
            if not waits:
                continue
            entry.place.ticket = 0
            if served.urgency is not None:
                self._price.served(served.urgency)
            self.served_at = now
            return entry
        return None

    def oldest_due(self) -> float | None:
        """Return the due time of the EvsJob that came into the lane first, None where nobody waits."""
        while self._since:
            ticket, (entry, due) = next(iter(self._since.items()))
            if entry.place.ticket == ticket and not entry.seen.deleted:
                return due
            del self._since[ticket]
        return None

    def most_in_flight(self) -> int:
        """Return how many calls may be under way in this lane however many workers are free."""
        return 1 if self.budget is None else self.budget.in_flight

    def unserved(self, now: float) -> float:
        """Return for how many seconds an EvsJob has waited while a call could have gone."""
        if self.oldest_due() is None:
            return 0.0
        paused = self.budget.paused_until if self.budget else 0.0
        return max(now - max(self.served_at, paused), 0.0)
