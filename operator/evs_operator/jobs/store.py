"""What the operator knows of each EvsJob: by uid, the newest resourceVersion wins, deletes are final.

The source calls `apply()` for every event, the resync calls `retain()`. A finished EvsJob keeps only what a
later change needs: its status is dropped and comes again with the event that brings the change.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from enum import Enum
from typing import Final

from evs_operator.api.names import FIELD_MANAGER, REQUESTED_AT
from evs_operator.api.spec import SpecError, parse_spec
from evs_operator.api.status import EvsJobStatus, same_status
from evs_operator.api.stored import job_status, mapping, newer_version
from evs_operator.core.decide import is_finished, speaks_of
from evs_operator.core.packed_status import packed
from evs_operator.core.phase import phase_of
from evs_operator.kube.foreign_writes import NOBODY, last_writer

from .by_connection import Meant
from .entry import Entry, Seen

_MAX_DELETED = 10_000
_NOT_FOREIGN: Final = (FIELD_MANAGER, NOBODY)
_TRIED: Final = 3
"""Statuses remembered whose writes were not answered, so that their echo is not taken for somebody else's."""
_REQUEST_MOST: Final = 1024
"""Characters of `requestedAt` that are read and echoed; an annotation may have 256 KiB."""


class Change(Enum):
    """What an event changed, as far as polling is concerned."""

    NONE = "none"
    SPEC = "spec"
    FOREIGN = "foreign"
    """Somebody else wrote the status."""
    DOUBT = "doubt"
    """A list shows what is older than what is known, or was deleted: perhaps the list is old, perhaps etcd is."""
    DELETED = "deleted"


class Store:
    """All EvsJobs by uid; `on_foreign` gets one whose status somebody else wrote, with the object's metadata."""

    def __init__(
        self,
        now: Callable[[], float],
        on_foreign: Callable[[Entry, Mapping[str, object]], None] = lambda entry, metadata: None,
    ) -> None:
        self._now = now
        self._entries: dict[str, Entry] = {}
        self._deleted: dict[str, None] = {}
        self._versions = itertools.count(1)
        self.received = 0
        self.meant = Meant()
        self._on_foreign = on_foreign

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def get(self, uid: str) -> Entry | None:
        """Return the entry of that uid, None where it is gone."""
        return self._entries.get(uid)

    def apply(
        self, event_type: str | None, body: Mapping[str, object], *, fresh: bool = False
    ) -> tuple[Entry | None, Change]:
        """Take one event; return the entry it is about and what it changed. Raises ValueError for what is no object.

        `fresh` means that the object was read a moment ago: it is the truth, whatever its version.

        Of the object only names, spec, `requestedAt` and our part of the status are kept, each within its bounds.
        """
        self.received += 1
        metadata = mapping(body.get("metadata"))
        uid, namespace, name = metadata.get("uid"), metadata.get("namespace"), metadata.get("name")
        if not (isinstance(uid, str) and isinstance(namespace, str) and isinstance(name, str)):
            raise ValueError("an object without uid, namespace and name")
        if event_type == "DELETED":
            return self.remove(uid), Change.DELETED
        if uid in self._deleted:
            if not fresh:
                return None, Change.DOUBT if event_type is None else Change.NONE
            del self._deleted[uid]  # it was brought back
        entry = self._entries.get(uid)
        if entry is None:
            entry = Entry(uid, sys.intern(namespace), name, Seen(first_seen=self._now()))
            self._entries[uid] = entry
        elif not fresh and not newer_version(str(metadata.get("resourceVersion")), entry.seen.resource_version):
            older = newer_version(entry.seen.resource_version, str(metadata.get("resourceVersion")))
            return entry, Change.DOUBT if older and event_type is None else Change.NONE
        return entry, self._update(entry, metadata, body)

    def remove(self, uid: str) -> Entry | None:
        """Forget an object for good; an event of it that comes later is ignored."""
        self._deleted[uid] = None
        if len(self._deleted) > _MAX_DELETED:
            del self._deleted[next(iter(self._deleted))]
        entry = self._entries.pop(uid, None)
        if entry is not None:
            entry.seen = replace(entry.seen, deleted=True)
            self.meant.update(entry)
        return entry

    def retain(self, uids: Collection[str], before: float) -> list[Entry]:
        """Remove entries that a LIST begun at `before` did not show; return them."""
        gone = [entry for uid, entry in self._entries.items() if uid not in uids and entry.seen.first_seen < before]
        for entry in gone:
            self.remove(entry.uid)
        return gone

    def is_older(self, uid: str, resource_version: str) -> bool:
        """Return whether the store lacks an object, or holds an older one than that version."""
        entry = self._entries.get(uid)
        if entry is None:
            return uid not in self._deleted
        return newer_version(resource_version, entry.seen.resource_version)

    def tries(self, entry: Entry, status: EvsJobStatus) -> None:
        """Remember a status that is being written: whether it was stored its answer may not tell."""
        entry.seen = replace(entry.seen, tried=(*entry.seen.tried, status)[-_TRIED:])

    def wrote(self, entry: Entry, status: EvsJobStatus, resource_version: str) -> None:
        """Record our own write, so that the watch event it causes changes nothing."""
        seen = entry.seen
        newest = resource_version if newer_version(resource_version, seen.resource_version) else seen.resource_version
        seen = replace(seen, resource_version=newest, spoiled=False, ours=None, tried=())
        entry.seen = replace(_with_status(seen, status), retargeted=False)
        self.meant.update(entry)

    def confirmed(self, entry: Entry) -> None:
        """Take what is stored as right: a look has shown it, or cannot show anything else."""
        seen = entry.seen
        if seen.ours is not None or seen.spoiled:
            entry.seen = _with_status(replace(seen, spoiled=False, ours=None, tried=()), seen.whole_status)
            self.meant.update(entry)

    def _update(self, entry: Entry, metadata: Mapping[str, object], body: Mapping[str, object]) -> Change:
        before, version = entry.seen, str(metadata.get("resourceVersion"))
        known = before.version > 0
        # The version first: if we stumble over the rest, the status that says so is written on this very object.
        entry.seen = replace(before, resource_version=version, requested_at=_requested_at(metadata))
        generation = metadata.get("generation")
        generation = generation if isinstance(generation, int) else 0
        if not known or before.spec is None or generation != before.generation:
            self._take_spec(entry, body.get("spec"))
        seen = replace(entry.seen, generation=generation)
        status = job_status(body.get("status"))
        foreign = known and _is_foreign(seen, status, metadata)
        if foreign:
            seen = _with_ours_aside(seen, metadata)
        entry.seen = seen = _with_status(seen, status)
        if foreign and not newer_version(before.resource_version, version):
            self._on_foreign(entry, metadata)
        self.meant.update(entry)
        same_spec = generation == before.generation and (seen.spec is None) == (before.spec is None)
        if known and same_spec and seen.requested_at == before.requested_at:
            return Change.FOREIGN if foreign else Change.NONE
        entry.seen = replace(seen, version=next(self._versions))
        return Change.SPEC

    def _take_spec(self, entry: Entry, raw: object) -> None:
        before = entry.seen.spec
        try:
            entry.seen = replace(entry.seen, spec=parse_spec(raw), spec_error="")
        except SpecError as error:
            entry.seen = replace(entry.seen, spec=None, spec_error=str(error))
        now = entry.seen.spec
        if before is not None and now is not None and before.target() != now.target():
            entry.seen = replace(entry.seen, retargeted=True, first_seen=self._now())
            entry.polling.begin_anew()


def shrink(entry: Entry) -> None:
    """Drop what a finished EvsJob does not need until it changes again."""
    if entry.seen.finished:
        entry.seen = replace(entry.seen, status={}, bulk=b"", tried=())
        entry.polling.pending = entry.polling.history = None


def _requested_at(metadata: Mapping[str, object]) -> str | None:
    requested = mapping(metadata.get("annotations")).get(REQUESTED_AT)
    return requested[:_REQUEST_MOST] if requested and isinstance(requested, str) else None


def _with_status(seen: Seen, status: EvsJobStatus) -> Seen:
    ours = seen.spec is None or speaks_of(status, seen.spec)
    finished = is_finished(status) and not seen.retargeted and not seen.spoiled and ours
    # that of a finished EvsJob is dropped in a moment
    kept, bulk = (status, b"") if finished else packed(status)
    return replace(
        seen,
        finished=finished,
        observed_generation=status.get("observedGeneration"),
        completion=seen.completion if seen.spoiled else status.get("completionTime"),
        handled=status.get("lastHandledReconcileAt"),
        phase=phase_of(status),
        status=kept,
        bulk=bulk,
    )


def _with_ours_aside(seen: Seen, metadata: Mapping[str, object]) -> Seen:
    """Keep what we know better than what somebody else wrote; what another evs-operator wrote is as good."""
    if seen.finished:
        return replace(seen, spoiled=True)
    if last_writer(metadata) != FIELD_MANAGER and seen.ours is None:
        return replace(seen, ours=seen.whole_status)
    return seen


def _is_foreign(seen: Seen, status: EvsJobStatus, metadata: Mapping[str, object]) -> bool:
    """Return whether a status is another than that which was there, and none of those that we tried to write.

    Of a finished EvsJob the status is not kept: its verdict tells, and the field managers.
    """
    if seen.spoiled or any(same_status(status, tried) for tried in seen.tried):
        return False
    if not seen.finished or seen.status:
        return not same_status(status, seen.whole_status)
    before = seen.completion, seen.handled, seen.observed_generation
    after = status.get("completionTime"), status.get("lastHandledReconcileAt"), status.get("observedGeneration")
    return before != after or seen.phase is not phase_of(status) or last_writer(metadata) not in _NOT_FOREIGN
