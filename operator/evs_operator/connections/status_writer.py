"""Writes the status of connections: what is known of the credential, where that changed.

Called after each round of `connections`. A write that was refused because the object changed is made again with the
newer object. After a restart nothing is known yet; what the status says then stays until something is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, cast

from evs_operator.api.conditions import Condition, condition_of
from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.api.stored import StoredConnectionStatus
from evs_operator.clock import Clock
from evs_operator.core.connection_status import ConnectionStatus, connection_status
from evs_operator.core.plain_status import plain_conditions
from evs_operator.core.transitions import out_of_reach, transition_of_connection
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.events import EventRecorder
from evs_operator.kube.foreign_writes import EVERY
from evs_operator.kube.objects import ObjectKey
from evs_operator.kube.refused_texts import REFUSED
from evs_operator.observe.faults import Faults
from evs_operator.observe.metrics import Metrics, write_result
from evs_operator.observe.seldom import Seldom
from evs_operator.observe.wording import Ours

from .connection import Connection, short_name
from .registry import ConnectionRegistry

_PATIENCE: Final = 30.0
"""Seconds that a connection whose credential was accepted may be out of reach before its status says so."""
_SETTLING: Final = 3.0
"""Seconds in which a Secret that is applied together with its connection may still arrive."""
_LONGEST_WAIT: Final = 60.0
_TRIED: Final = 3
"""Statuses remembered whose writes were not answered, so that their echo is not taken for somebody else's."""
_OWN: Final = ("Ready", "Reconciling", "Stalled")

_log = logging.getLogger(__name__)


class ConnectionStatusWriter:
    """Knows whose status may have to be written."""

    def __init__(
        self,
        api: KubeApi,
        registry: ConnectionRegistry,
        clock: Clock,
        events: EventRecorder,
        metrics: Metrics,
    ) -> None:
        self._api = api
        self._registry = registry
        self._clock = clock
        self._events = events
        self._metrics = metrics
        self._faults = Faults(clock, _log)
        self._dirty: dict[ObjectKey, None] = {}
        self._refused: dict[ObjectKey, tuple[str, int, float]] = {}
        """Of whom a write was refused, how often in a row, and when the next one may go."""
        self._texts_refused: dict[ObjectKey, tuple[str, ...]] = {}
        """The messages that the API server did not take."""
        self._seldom = Seldom(_log)

    def mark(self, connection: Connection) -> None:
        """Look at a connection in the next round."""
        self._dirty[connection.key] = None

    def mend(self, connection: Connection) -> None:
        """Put a status right that somebody else wrote: at once, and after that every half minute at the most."""
        now = self._clock()
        if connection.mended <= now:
            connection.mended = max(now, connection.mended + EVERY)
        if connection.mended > now:
            self._refused[connection.key] = connection.uid, 0, connection.mended
        self.mark(connection)

    async def write(self) -> None:
        """Write what changed; what goes wrong at the API server is tried again with growing waits."""
        for key in list(self._dirty):
            connection = self._registry.get(key)
            uid, tries, not_before = self._refused.get(key, ("", 0, 0.0))
            if connection is None or connection.uid != uid:
                tries = 0
            elif self._clock() < not_before:
                continue
            self._dirty.pop(key, None)  # what is learned while this is written marks it again
            self._refused.pop(key, None)
            if connection is None:
                self._texts_refused.pop(key, None)
                continue
            try:
                done = await self._write(connection)
            except KubeError as error:
                self._metrics.connection_status_writes.labels(result=write_result(error.status)).inc()
                done = False  # also after a 404: that a connection is gone the watch or a list says
                if error.status != 409:  # then the watch brings the newer object
                    not_before = self._clock() + min(2.0**tries, _LONGEST_WAIT)
                    self._refused[key] = connection.uid, tries + 1, not_before
                    name = short_name(key)
                    message = Ours(f"{key.kind} {name}:", error.message)
                    self._seldom.warning(f"write {error.status}", message, {"connection": name})
            except Exception as fault:  # noqa: BLE001  # of whatever kind: it concerns this connection alone
                done = False
                wait = self._faults.met(f"{key.kind} {short_name(key)}", "its status was not written", fault)
                self._refused[key] = connection.uid, tries, self._clock() + wait
            if not done:
                self.mark(connection)

    async def _write(self, connection: Connection) -> bool:
        """Write a status where its meaning changed; return False where it has to be looked at again."""
        now = self._clock()
        reason, message = verdict_of(connection, now)
        if reason is ConnectionReason.SECRET_NOT_FOUND and now - connection.born < _SETTLING:
            return False
        previous = connection.status.get("conditions", [])
        if (
            reason is ConnectionReason.NOT_YET_VERIFIED
            and not connection.mended
            and _still_says_valid(connection, previous)
        ):
            return True
        status = connection_status(
            reason,
            message,
            generation=connection.generation,
            previous=previous,
            now=self._clock.wall(),
            lasting=reason is ConnectionReason.UNREACHABLE and connection.reach.is_mistaken(now),
        )
        if self._texts_refused.get(connection.key) == _words(status):
            status["conditions"] = plain_conditions(status["conditions"])
        if not _same(status, connection.status):
            version = await self._apply(connection, status)
            self._metrics.connection_status_writes.labels(result="written").inc()
            connection.status, connection.resource_version = StoredConnectionStatus(**status), version
            connection.tried = ()
            _tell(connection, previous, status)
            transition = transition_of_connection(previous, status["conditions"])
            self._events.tell(connection.key, connection.uid, transition)
        if reason is ConnectionReason.UNREACHABLE:
            self._tell_reach(connection, message, now)
        return connection.trouble is None or not (
            reason is ConnectionReason.CREDENTIALS_VALID or connection.reach.is_undecided
        )

    def _tell_reach(self, connection: Connection, message: str, now: float) -> None:
        """Tell of an endpoint that is away for minutes; where a person must act the status has said so by now."""
        if connection.reach.is_outage_to_tell(now):
            self._events.tell(connection.key, connection.uid, out_of_reach(ConnectionReason.UNREACHABLE, message))
            connection.reach.told = True
        elif connection.reach.is_mistaken(now):
            connection.reach.told = True

    async def _apply(self, connection: Connection, status: ConnectionStatus) -> str:
        """Write a status, without the cloud's words where the API server refuses them; return the new version."""
        connection.tried = (*connection.tried, StoredConnectionStatus(**status))[-_TRIED:]
        try:
            return await objects.apply_status(self._api, connection.key, status, connection.resource_version)
        except KubeError as error:
            if error.status not in REFUSED:
                raise
            name = short_name(connection.key)
            message = Ours(f"{connection.key.kind} {name}: status written without the cloud's texts:", error.message)
            self._seldom.warning(f"refused text in {connection.key.namespace}", message, {"connection": name})
        self._texts_refused[connection.key] = _words(status)
        status["conditions"] = plain_conditions(status["conditions"])
        connection.tried = (*connection.tried, StoredConnectionStatus(**status))
        return await objects.apply_status(self._api, connection.key, status, connection.resource_version)


def _words(status: ConnectionStatus) -> tuple[str, ...]:
    return tuple(condition["message"] for condition in status["conditions"])


def _tell(connection: Connection, previous: list[Condition], status: ConnectionStatus) -> None:
    """Log a transition on one line."""
    before, ready = condition_of(previous, "Ready"), condition_of(status["conditions"], "Ready")
    if ready is None or (before and before["reason"] == ready["reason"]):
        return
    name = short_name(connection.key)
    fields = {"connection": name, "reason": ready["reason"]}
    said = Ours(f"{connection.key.kind} {name}: {ready['reason']}: {ready['message']}")
    _log.info("%s", said, extra=fields)


def verdict_of(connection: Connection, now: float) -> tuple[ConnectionReason, str]:
    """Return what is known of a connection, and in words what to do."""
    if connection.refusal is not None:
        return connection.refusal.reason, connection.named(connection.refusal.trouble).message()
    trouble = connection.trouble
    if trouble is not None and (not connection.verified or now - connection.trouble_since >= _PATIENCE):
        invalid = trouble.reason is Reason.ENDPOINT_INVALID
        return ConnectionReason.ENDPOINT_INVALID if invalid else ConnectionReason.UNREACHABLE, trouble.message()
    if connection.verified:
        return ConnectionReason.CREDENTIALS_VALID, "the cloud accepted the credential"
    return ConnectionReason.NOT_YET_VERIFIED, "no call was answered with this credential yet"


def _still_says_valid(connection: Connection, previous: list[Condition]) -> bool:
    """Return whether a status of an earlier process says of this spec that the credential is good."""
    ready = condition_of(previous, "Ready")
    same_spec = connection.status.get("observedGeneration") == connection.generation
    if connection.reach.is_mistaken(0.0) and connection.credentials_seen <= 1:
        return same_spec  # an earlier process has found that a person must act, and nothing was tried since
    return same_spec and connection.credentials_seen <= 1 and ready is not None and ready["status"] == "True"


def _same(one: ConnectionStatus, other: Mapping[str, object]) -> bool:
    own = {condition["type"]: condition for condition in one["conditions"]}
    conditions = cast(list[Condition], other.get("conditions") or [])
    theirs = {c["type"]: c for c in conditions if c["type"] in _OWN}
    return own == theirs and other.get("observedGeneration") == one["observedGeneration"]
