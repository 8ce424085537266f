"""One EvsJob in three parts, each written by its owner alone.

`seen` is what the API server last showed: frozen, and replaced whole by the store. `place` is where the EvsJob waits:
the queue's. `polling` is what polls and writes left behind: the reconciler's and that of its helpers. Whether something
changed meanwhile is one comparison of an earlier `seen` with that of now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from evs_operator.api.spec import EvsJobSpec
from evs_operator.api.status import EvsJobStatus, UsedConnection
from evs_operator.core.observation import Observation
from evs_operator.core.packed_status import unpacked
from evs_operator.core.phase import PENDING, Phase
from evs_operator.core.schedule.next_poll import PollHistory


@dataclass(frozen=True, slots=True)
class Seen:
    """An EvsJob as the API server last showed it. Times are seconds of the epoch.

    `version` moves with every change of spec or request; `first_seen` is when the job that the spec names was first
    seen, `retargeted` says that the spec names another job than the status. `status` is what is stored, without a large
    bulk, which `bulk` has packed; of a finished EvsJob it is dropped.

    `ours` is the status that was there before somebody else wrote it, None if nobody did; `spoiled` says that this was
    done to a finished EvsJob, of which only `completion` is known by then. `tried` are statuses of ours that may have
    been stored or not.
    """

    resource_version: str = "0"
    generation: int = 0
    version: int = 0
    first_seen: float = 0.0
    spec: EvsJobSpec | None = None
    spec_error: str = ""
    requested_at: str | None = None
    retargeted: bool = False
    deleted: bool = False
    status: EvsJobStatus = field(default_factory=lambda: cast(EvsJobStatus, {}))
    bulk: bytes = b""
    finished: bool = False
    observed_generation: int | None = None
    completion: str | None = None
    handled: str | None = None
    phase: Phase = PENDING
    ours: EvsJobStatus | None = None
    spoiled: bool = False
    tried: tuple[EvsJobStatus, ...] = ()

    @property
    def whole_status(self) -> EvsJobStatus:
        """The status that is stored, its sub-jobs included."""
        return unpacked(self.status, self.bulk)

    @property
    def request_open(self) -> bool:
        """True while `requestedAt` names a request that no poll has answered yet."""
        return self.requested_at is not None and self.requested_at != self.handled

    def asks_for(self, other: Seen) -> bool:
        """Return whether an answer about the job that `other` named is still wanted."""
        if self.deleted or self.spec is None or other.spec is None:
            return False
        return self.spec.target() == other.spec.target()


@dataclass(slots=True)
class QueuePlace:
    """Where an EvsJob waits: `due_seq` in the scheduler's heap, `ticket` in a lane, 0 if it waits in neither.

    `due` is since when it waits, or until when, in seconds of the epoch; `busy` while a worker has it in hand.
    """

    due: float = 0.0
    due_seq: int = 0
    ticket: int = 0
    busy: bool = False


@dataclass(slots=True)
class Polling:
    """What polls and writes of an EvsJob left behind. Times are seconds of the epoch.

    `poll_at` is when it is polled next, `write_at` when a write that failed may go again, `held_until` when a request
    that no call could answer yet may have its call, `mended` when a status that somebody overwrote was last put right,
    `say_at` when its first status is considered again. `calls` counts those made for it, whatever they were about.
    `pending` is an observation that is not written yet. `fault` says what we stumbled over, until its status says so.

    `reported_version` is the version that the status reflects, `deadline_reported_version` the one whose expired
    deadline has been reported, `waiting_version` the one of which a status was to say that it waits for its first call.

    `connection` and `used` are the connection that was last used or looked for, for logs and for the status.
    `woken` asks for another look after the one that is going on. `probes` and `woken_at` are those of `recovery`.
    """

    poll_at: float = 0.0
    last_poll: float | None = None
    history: PollHistory | None = None
    calls: int = 0
    failures: int = 0
    pending: Observation | None = None
    write_failures: int = 0
    write_at: float = 0.0
    held_until: float | None = None
    mended: float = 0.0
    say_at: float = 0.0
    probes: bool = False
    woken_at: float = 0.0
    reported_version: int = 0
    deadline_reported_version: int = 0
    waiting_version: int = 0
    connection: str = ""
    used: UsedConnection | None = None
    fault: str = ""
    woken: bool = False

    def begin_anew(self) -> None:
        """Forget what was learned of a job that the spec does not name any more."""
        self.last_poll = self.history = self.pending = None
        self.failures = 0


@dataclass(slots=True, eq=False)
class Entry:
    """One EvsJob of the store; there is one entry for each uid."""

    uid: str
    namespace: str
    name: str
    seen: Seen = field(default_factory=Seen)
    place: QueuePlace = field(default_factory=QueuePlace)
    polling: Polling = field(default_factory=Polling)
