"""Which connection an EvsJob means, and why it cannot be used now, in the words of the EvsJob's status. Pure.

Called by `registry`, which knows which connections there are (`present`). Which namespace may use a connection is
`tenancy`'s, what the cloud said of its credential is `credential.identity`'s.
"""

from __future__ import annotations

from collections.abc import Container

from evs_operator.api.names import CLUSTER_EVS_CONNECTION, DEFAULT_CONNECTION, EVS_CONNECTION
from evs_operator.api.reasons import Reason
from evs_operator.api.spec import EvsJobSpec
from evs_operator.core.observation import Trouble
from evs_operator.kube.objects import ObjectKey

from .connection import Connection, title


class ConnectionTroubleError(Exception):
    """An EvsJob's connection cannot be used; `trouble` says why in the words of a condition.

    `again_at` is when the next call may go, None if the connection has to change first.
    """

    def __init__(self, trouble: Trouble, again_at: float | None = None) -> None:
        super().__init__(trouble.head)
        self.trouble = trouble
        self.again_at = again_at


def meant(namespace: str, spec: EvsJobSpec, present: Container[ObjectKey]) -> ObjectKey:
    """Return the connection that an EvsJob of that namespace means, whether it is there or not."""
    ref = spec.connection_ref
    if ref is not None and ref.kind == CLUSTER_EVS_CONNECTION:
        return _of_cluster(ref.name)
    own = ObjectKey(EVS_CONNECTION, namespace, ref.name if ref else DEFAULT_CONNECTION)
    shared = _of_cluster(DEFAULT_CONNECTION)
    return shared if ref is None and own not in present and shared in present else own


def possible(namespace: str, spec: EvsJobSpec, present: Container[ObjectKey]) -> list[ObjectKey]:
    """Return what an EvsJob may mean, in order, if the API server is asked because none of it is known yet."""
    first = meant(namespace, spec, present)
    return [first] if spec.connection_ref is not None else [first, _of_cluster(DEFAULT_CONNECTION)]


def not_found(key: ObjectKey, spec: EvsJobSpec, present: Container[ObjectKey]) -> ConnectionTroubleError:
    """Say what to do about a connection that is not there."""
    if spec.connection_ref is None:
        own = f"EvsConnection {key.namespace}/{DEFAULT_CONNECTION}"
        what = f"no connection: create {own}, or name one in spec.connectionRef"
    else:
        what = f"{title(key)} does not exist: create it, or correct spec.connectionRef"
        if key.kind == EVS_CONNECTION and _of_cluster(key.name) in present:
            what += f"; there is a {CLUSTER_EVS_CONNECTION} of that name: if it is meant, write connectionRef.kind"
    return ConnectionTroubleError(Trouble(Reason.CONNECTION_NOT_FOUND, what))


def not_allowed(key: ObjectKey, why: str) -> ConnectionTroubleError:
    """Say that a connection does not let the namespace of an EvsJob use it."""
    return ConnectionTroubleError(Trouble(Reason.CONNECTION_NOT_ALLOWED, f"{title(key)} {why}"))


def not_read_yet(key: ObjectKey) -> ConnectionTroubleError:
    """Say that nothing is known of the credential of a connection."""
    what = f"{title(key)}: the credential is not read yet"
    return ConnectionTroubleError(Trouble(Reason.CREDENTIALS_INVALID, what))


def project_to_ask(connection: Connection, namespace: str, spec: EvsJobSpec, now: float, *, urgent: bool) -> str:
    """Return the project that an EvsJob asks about; `urgent` if a person asks for the poll.

    Raises ConnectionTroubleError if the connection is blocked, if its credential is refused for that namespace and
    project now, or if no project is named.
    """
    refusal = connection.refusal_for(namespace, spec.project_id)
    if refusal is not None and refusal.lasts(now, urgent=urgent):
        again_at = None if connection.own_refusal else refusal.ends_at(urgent=urgent)
        raise ConnectionTroubleError(connection.named(refusal.trouble), again_at)
    project_id = spec.project_id or (connection.spec.project_id if connection.spec else None)
    if not project_id:
        what = f"no project: write spec.projectId here or in {title(connection.key)}"
        raise ConnectionTroubleError(Trouble(Reason.INVALID_SPEC, what))
    return project_id


def _of_cluster(name: str) -> ObjectKey:
    return ObjectKey(CLUSTER_EVS_CONNECTION, "", name)
