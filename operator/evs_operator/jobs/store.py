"""What the operator knows of each EvsJob: by uid, the newest resourceVersion wins, deletes are final.

The source calls `apply()` for every event, the resync calls `retain()`. A finished EvsJob keeps only what a
later change needs: its status is dropped and comes again with the event that brings the change.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, cast

from evs_operator.api.names import FIELD_MANAGER, REQUESTED_AT
from evs_operator.api.spec import EvsJobSpec, SpecError, parse_spec
from evs_operator.api.status import EvsJobStatus, UsedConnection, same_status
from evs_operator.api.stored import job_status, mapping
from evs_operator.core.decide import is_finished, speaks_of
from evs_operator.core.observation import Observation
from evs_operator.core.packed_status import packed, unpacked
from evs_operator.core.phase import PENDING, Phase, phase_of
from evs_operator.core.schedule.next_poll import PollHistory
from evs_operator.kube.foreign_writes import NOBODY, last_writer

from .by_connection import Meant, Place

_MAX_DELETED = 10_000
_NOT_FOREIGN: Final = (FIELD_MANAGER, NOBODY)
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


@dataclass(slots=True, eq=False)
class Entry:
    """One EvsJob. Times are seconds of the epoch; `version` moves with every change of spec or request.

    `write_at` is when a write that failed may go again, `held_until` when a request that no call could answer yet may
    have its call. `reported_version` is the version that the status reflects, `deadline_reported_version` the one whose
    expired deadline has been reported.

    `used` is the connection that was last used or looked for; `waiting_version` the version of which a status was to
    say that it waits for its first call, `say_at` when that is looked at again.

    `meant` is where `meant` has it. `calls` counts those made for it, whatever they were about. `status` is what is
    stored, without a large bulk, which `bulk` has packed. `ours` is what was there before somebody else wrote it, None
    where nobody did; `spoiled` tells that this was done to a finished EvsJob, of which only `completion` is known by
    then. `tried` are statuses of ours that may have been stored or not, `mended` is when one was last put right.
    `fault` says what we stumbled over, until its status says so.

    `due_seq` is its place in the scheduler's heap, `ticket` its place in a lane of the dispatcher, 0 without one;
    `busy` while a worker has it in hand.
    """

    uid: str
    namespace: str
    name: str
    resource_version: str = "0"
    generation: int = 0
    spec: EvsJobSpec | None = None
    spec_error: str = ""
    requested_at: str | None = None
    status: EvsJobStatus = field(default_factory=lambda: cast(EvsJobStatus, {}))
    finished: bool = False
    observed_generation: int | None = None
    completion: str | None = None
    handled: str | None = None
    phase: Phase = PENDING
    connection: str = ""
    used: UsedConnection | None = None
    first_seen: float = 0.0
    anew: bool = False
    version: int = 0
    deleted: bool = False
    busy: bool = False
    due: float = 0.0
    due_seq: int = 0
    ticket: int = 0
    poll_at: float = 0.0
    last_poll: float | None = None
    history: PollHistory | None = None
    calls: int = 0
    failures: int = 0
    write_failures: int = 0
    write_at: float = 0.0
    pending: Observation | None = None
    held_until: float | None = None
    probes: bool = False
    woken_at: float = 0.0
    reported_version: int = 0
    deadline_reported_version: int = 0
    waiting_version: int = 0
    meant: Place | None = None
    fault: str = ""
    ours: EvsJobStatus | None = None
    spoiled: bool = False
    tried: tuple[EvsJobStatus, ...] = ()
    mended: float = 0.0
    say_at: float = 0.0
    bulk: bytes = b""

    @property
    def whole_status(self) -> EvsJobStatus:
        """The status that is stored, its sub-jobs included."""
        return unpacked(self.status, self.bulk)

    @property
    def request_open(self) -> bool:
        """True while `requestedAt` names a request that no poll has answered yet."""
        return self.requested_at is not None and self.requested_at != self.handled


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
            entry = Entry(uid, sys.intern(namespace), name, first_seen=self._now())
            self._entries[uid] = entry
        elif not fresh and not _newer(str(metadata.get("resourceVersion")), entry.resource_version):
            older = _newer(entry.resource_version, str(metadata.get("resourceVersion")))
            return entry, Change.DOUBT if older and event_type is None else Change.NONE
        return entry, self._update(entry, metadata, body)

    def remove(self, uid: str) -> Entry | None:
        """Forget an object for good; an event of it that comes later is ignored."""
        self._deleted[uid] = None
        if len(self._deleted) > _MAX_DELETED:
            del self._deleted[next(iter(self._deleted))]
        entry = self._entries.pop(uid, None)
        if entry is not None:
            entry.deleted = True
            self.meant.update(entry)
        return entry

    def retain(self, uids: Collection[str], before: float) -> list[Entry]:
        """Remove entries that a LIST begun at `before` did not show; return them."""
        gone = [entry for uid, entry in self._entries.items() if uid not in uids and entry.first_seen < before]
        for entry in gone:
            self.remove(entry.uid)
        return gone

    def is_older(self, uid: str, resource_version: str) -> bool:
        """Tell whether the store lacks an object, or holds an older one than that version."""
        entry = self._entries.get(uid)
        if entry is None:
            return uid not in self._deleted
        return _newer(resource_version, entry.resource_version)

    def wrote(self, entry: Entry, status: EvsJobStatus, resource_version: str) -> None:
        """Take over what was written, so that its echo is no news."""
        if _newer(resource_version, entry.resource_version):
            entry.resource_version = resource_version
        entry.spoiled, entry.ours, entry.tried = False, None, ()
        self._take_status(entry, status)
        entry.anew = False
        self.meant.update(entry)

    def confirmed(self, entry: Entry) -> None:
        """Take what is stored as right: a look has shown it, or cannot show anything else."""
        if entry.ours is not None or entry.spoiled:
            entry.spoiled, entry.ours, entry.tried = False, None, ()
            self._take_status(entry, entry.whole_status)
            self.meant.update(entry)

    def _update(self, entry: Entry, metadata: Mapping[str, object], body: Mapping[str, object]) -> Change:
        known = entry.version > 0
        before = (entry.generation, entry.requested_at)
        had_spec = entry.spec is not None
        version = str(metadata.get("resourceVersion"))
        went_back = known and _newer(entry.resource_version, version)
        entry.resource_version = version
        requested = mapping(metadata.get("annotations")).get(REQUESTED_AT)
        entry.requested_at = requested[:_REQUEST_MOST] if requested and isinstance(requested, str) else None
        generation = metadata.get("generation")
        generation = generation if isinstance(generation, int) else 0
        if not known or not had_spec or generation != entry.generation:
            self._take_spec(entry, body.get("spec"))
        entry.generation = generation  # not before: a spec that was not taken is taken with the next version
        status = job_status(body.get("status"))
        foreign = known and _is_foreign(entry, status, metadata)
        if foreign:
            self._set_ours_aside(entry, metadata)
            if not went_back:
                self._on_foreign(entry, metadata)
        self._take_status(entry, status)
        self.meant.update(entry)
        same_spec = entry.generation == before[0] and (entry.spec is not None) == had_spec
        if known and same_spec and entry.requested_at == before[1]:
            return Change.FOREIGN if foreign else Change.NONE
        entry.version = next(self._versions)
        return Change.SPEC

    def _set_ours_aside(self, entry: Entry, metadata: Mapping[str, object]) -> None:
        """Keep what we know better than what somebody else wrote; what another evs-operator wrote is as good."""
        if entry.finished:
            entry.spoiled = True
        elif last_writer(metadata) != FIELD_MANAGER and entry.ours is None:
            entry.ours = entry.whole_status

    def _take_spec(self, entry: Entry, raw: object) -> None:
        previous = entry.spec
        try:
            entry.spec, entry.spec_error = parse_spec(raw), ""
        except SpecError as error:
            entry.spec, entry.spec_error = None, str(error)
        if previous is not None and entry.spec is not None and previous.target() != entry.spec.target():
            entry.anew = True
            entry.first_seen = self._now()
            entry.last_poll = entry.history = entry.pending = None
            entry.failures = 0

    def _take_status(self, entry: Entry, status: EvsJobStatus) -> None:
        entry.finished = (
            is_finished(status)
            and not entry.anew
            and not entry.spoiled
            and (entry.spec is None or speaks_of(status, entry.spec))
        )
        entry.observed_generation = status.get("observedGeneration")
        if not entry.spoiled:
            entry.completion = status.get("completionTime")
        entry.handled = status.get("lastHandledReconcileAt")
        entry.phase = phase_of(status)
        # that of a finished EvsJob is dropped in a moment
        entry.status, entry.bulk = (status, b"") if entry.finished else packed(status)


def shrink(entry: Entry) -> None:
    """Drop what a finished EvsJob does not need until it changes again."""
    if entry.finished:
        entry.status, entry.bulk, entry.tried = {}, b"", ()
        entry.pending = entry.history = None


def _is_foreign(entry: Entry, status: EvsJobStatus, metadata: Mapping[str, object]) -> bool:
    """Tell whether a status is another than that which was there, and none of those that we tried to write.

    Of a finished EvsJob the status is not kept: its verdict tells, and the field managers.
    """
    if entry.spoiled or any(same_status(status, tried) for tried in entry.tried):
        return False
    if not entry.finished or entry.status:
        return not same_status(status, entry.whole_status)
    before = entry.completion, entry.handled, entry.observed_generation
    after = status.get("completionTime"), status.get("lastHandledReconcileAt"), status.get("observedGeneration")
    return before != after or entry.phase is not phase_of(status) or last_writer(metadata) not in _NOT_FOREIGN


def _newer(one: str, other: str) -> bool:
    try:
        return int(one) > int(other)
    except ValueError:
        return one != other
