"""What makes an EvsJob due, and when: a change, a foreign write, a connection or API server that is well again.

Called by `reconciler` after each pass, by the intake for what the watch brings, and for connections that changed.
Deliberately not here: the times that follow from a poll (`due_times`), and the heap (`queue.scheduler`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from evs_operator.clock import Clock
from evs_operator.connections.registry import ConnectionRegistry
from evs_operator.jobs.queue.scheduler import Scheduler
from evs_operator.kube.foreign_writes import EVERY
from evs_operator.kube.objects import ObjectKey

from . import poll_history, unwritten
from .due_times import DueTimes
from .entry import Entry
from .in_flight import InFlightCalls
from .query import Asked
from .recovery import in_turns
from .store import Store, shrink

_WRITES_A_SECOND: Final = 100.0
"""Statuses that wait for an API server that is well again and are written in a second: a third of what it can take."""


class Rescheduling:
    """Puts EvsJobs into the scheduler; cancels calls whose answers are no longer needed."""

    def __init__(
        self,
        store: Store,
        scheduler: Scheduler,
        registry: ConnectionRegistry,
        calls: InFlightCalls,
        due: DueTimes,
        clock: Clock,
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._registry = registry
        self._calls = calls
        self._due = due
        self._clock = clock

    def changed(self, entry: Entry) -> None:
        """Look at an EvsJob whose spec or request changed; cancel its call if the answer is no longer needed."""
        spec = entry.seen.spec
        if not entry.place.busy:
            self.consider(entry)
        elif spec is None or spec.suspend:
            self._calls.give_up(entry.uid)
        else:
            self._calls.give_up(entry.uid, unless_about=spec.target())

    def consider(self, entry: Entry) -> None:
        """Schedule an EvsJob that is new or changed; one that has ended and is not asked for is not polled."""
        seen, now = entry.seen, self._clock()
        settled = seen.spec is not None and seen.observed_generation == seen.generation
        if seen.finished and not seen.request_open and settled:
            shrink(entry)
            self.rest(entry)
            return
        entry.polling.poll_at = now
        entry.polling.failures = 0
        self._scheduler.schedule(entry, now)

    def mend(self, entry: Entry) -> None:
        """Put a status right that somebody else wrote: at once, and after that every half minute at most."""
        now, polling = self._clock(), entry.polling
        if polling.mended <= now:
            polling.mended = max(now, polling.mended + EVERY)
        at = polling.mended
        if entry.seen.spoiled or entry.seen.ours is None:  # then the cloud says what is right
            polling.poll_at = at if entry.seen.spoiled else min(max(polling.poll_at, now), at)
        self._scheduler.schedule(entry, min(at, max(polling.poll_at, now)))

    def rest(self, entry: Entry) -> None:
        """Leave an EvsJob alone until its time to live is over, if it has one."""
        gone = poll_history.delete_at(entry, self._clock)
        if gone is None:
            self._scheduler.cancel(entry)
        else:
            self._scheduler.schedule(entry, max(gone, self._clock()))

    def jobs_of(self, key: ObjectKey) -> list[Entry]:
        """Return the unfinished EvsJobs that use this connection."""
        return list(self._store.meant.of(key, self._registry.key_of))

    def idle_jobs_of(self, key: ObjectKey, project_id: str | None) -> list[Entry]:
        """Return those of them that no worker has in hand, all (None) or those of one project."""
        connection = self._registry.get(key)
        own = connection.spec.project_id if connection is not None and connection.spec is not None else None
        waiting = [entry for entry in self.jobs_of(key) if not entry.place.busy]
        if project_id is None:
            return waiting
        return [e for e in waiting if e.seen.spec is not None and (e.seen.spec.project_id or own) == project_id]

    def wake(self, entries: Iterable[Entry]) -> None:
        """Poll EvsJobs now, within their budget; one that is being looked at is looked at once more."""
        now = self._clock()
        for entry in entries:
            entry.polling.poll_at = now
            entry.polling.failures = 0
            self._scheduler.schedule(entry, now)
            if entry.place.busy:
                entry.polling.woken = True
                self._calls.give_up(entry.uid)  # it goes another way than the next one

    def poll_again(self, entries: Iterable[Entry]) -> None:
        """Poll EvsJobs now whose cloud is well again; one that fails once more goes on waiting as long as before."""
        now = self._clock()
        for entry in entries:
            entry.polling.poll_at = now
            self._scheduler.schedule(entry, now)

    def write_again(self, entries: Iterable[Entry]) -> None:
        """Write statuses whose API server is well again, namespace by namespace and not all in one moment."""
        now = self._clock()
        for place, entry in enumerate(in_turns(entries)):
            entry.polling.write_at = now + place / _WRITES_A_SECOND
            self._scheduler.schedule(entry, unwritten.next_try(entry))

    def after_write(self, entry: Entry, asked: Asked | None) -> None:
        """Schedule an EvsJob whose status is up to date."""
        seen = entry.seen
        if seen.deleted or seen.spec is None:
            return
        if seen.finished and not seen.request_open:
            self.consider(entry)
            return
        if seen.spec.suspend:
            self.rest(entry)
            return
        self.note_next_poll(entry, asked)
        self._scheduler.schedule(entry, max(self._due.agenda(entry).next_look, self._clock()))

    def note_next_poll(self, entry: Entry, asked: Asked | None) -> None:
        """Note when to ask again, after a poll."""
        if asked is None:
            return
        now = self._clock()
        entry.polling.poll_at = now + self._due.wait(entry, asked.observation, asked.connection, now)
        if entry.polling.held_until is not None:
            entry.polling.poll_at = min(entry.polling.poll_at, entry.polling.held_until)
