"""What the API server serves and allows us: checked before watching starts, and by `evs-operator check`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from evs_operator.api.names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION, EVS_JOB, GROUP, PLURALS, VERSION

from . import objects, schema
from .api import KubeApi
from .lease import LEASE_NAME

KINDS: Final = (EVS_JOB, EVS_CONNECTION, CLUSTER_EVS_CONNECTION)
_WATCH = ("list", "watch")


@dataclass(frozen=True, slots=True)
class Access:
    """Kinds that can be watched; `problem` says on one line what keeps the operator from working, or ""."""

    kinds: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Right:
    """One permission the operator uses; without an optional one it works, and `without` says what it does not do."""

    verb: str
    resource: str
    group: str = GROUP
    subresource: str = ""
    name: str = ""
    optional: bool = False
    without: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{self.verb} {resource}{'.' + self.group if self.group else ''}"


RIGHTS: Final = (
    *(Right(verb, PLURALS[EVS_JOB]) for verb in ("get", "list", "watch", "delete")),
    Right("patch", PLURALS[EVS_JOB], subresource="status"),
    *(Right(verb, PLURALS[EVS_CONNECTION]) for verb in ("get", "list", "watch")),
    Right("patch", PLURALS[EVS_CONNECTION], subresource="status"),
    Right("get", "secrets", group=""),
    *(
        Right(verb, "events", group="events.k8s.io", optional=True, without="no Events are written")
        for verb in ("create", "patch")
    ),
)
_NO_SHARING: Final = "ClusterEvsConnections cannot be used"
CLUSTER_RIGHTS: Final = (
    *(
        Right(verb, PLURALS[CLUSTER_EVS_CONNECTION], optional=True, without=_NO_SHARING)
        for verb in ("get", "list", "watch")
    ),
    Right("patch", PLURALS[CLUSTER_EVS_CONNECTION], subresource="status", optional=True, without=_NO_SHARING),
    Right("get", "namespaces", group="", optional=True, without=_NO_SHARING),
)
LEASE_RIGHTS: Final = (
    Right("get", "leases", group="coordination.k8s.io", name=LEASE_NAME),
    Right("create", "leases", group="coordination.k8s.io"),
    Right("update", "leases", group="coordination.k8s.io", name=LEASE_NAME),
)
"""In the operator's namespace, for `--leader-elect`; "create" cannot be limited to a name."""


async def missing_access(api: KubeApi, namespaces: Collection[str]) -> Access:
    """Find out which kinds can be watched; raises KubeError if the API server does not answer.

    Without the right to watch ClusterEvsConnections the operator works with namespaced connections alone.
    """
    served = await objects.served_kinds(api)
    absent = [PLURALS[kind] for kind in KINDS if kind not in served]
    if absent:
        names = ", ".join(f"{plural}.{GROUP}" for plural in absent)
        return Access((), f"the CRDs of {GROUP}/{VERSION} are not installed: {names}; apply crds/")
    unwritable = {
        kind: fields
        for kind, fields in (await schema.missing_fields(api) or {}).items()
        if any(field.startswith("status") for field in fields)
    }
    if unwritable:  # no status could be written whole
        return Access((), schema.in_words(unwritable))
    kinds = []
    for kind in KINDS:
        places = [""] if kind == CLUSTER_EVS_CONNECTION else list(namespaces) or [""]
        refused = [
            f"{verb} {PLURALS[kind]}" + (f" in namespace {place}" if place else "")
            for place in places
            for verb in _WATCH
            if not await objects.allowed(api, verb, GROUP, PLURALS[kind], place)
        ]
        if not refused:
            kinds.append(kind)
        elif kind != CLUSTER_EVS_CONNECTION:
            return Access((), f"no permission to {', '.join(refused)}: grant it to the operator's ServiceAccount")
    return Access(tuple(kinds))
