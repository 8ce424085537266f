"""The fields that this version of the operator reads and writes, as dotted paths, for comparison with an installed CRD.

Called before watching starts and by `evs-operator check`: an older CRD drops the fields of a newer operator, or has the
API server refuse the status as a whole. The fields of a status are those of its types; a test holds all of them against
`crds/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from .conditions import Condition
from .names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION, EVS_JOB
from .status import EvsJobStatus

_JOB_SPEC: Final = """
    jobId projectId connectionRef connectionRef.kind connectionRef.name polling polling.minIntervalSeconds
    polling.maxIntervalSeconds deadlineSeconds suspend ttlSecondsAfterFinished
"""
_CONNECTION_SPEC: Final = """
    endpoint projectId region tls tls.caBundle tls.caSecretRef tls.caSecretRef.name tls.caSecretRef.key
    rateLimit rateLimit.requestsPerSecond rateLimit.burst auth
    auth.accessKey auth.accessKey.secretRef auth.accessKey.secretRef.name
    auth.password auth.password.secretRef auth.password.secretRef.name auth.password.iamEndpoint
    auth.token auth.token.secretRef auth.token.secretRef.name
"""
_CLUSTER_SPEC: Final = """
    auth.oidc auth.oidc.iamEndpoint auth.oidc.identityProvider auth.instanceMetadata auth.instanceMetadata.endpoint
    allowedNamespaces allowedNamespaces.names allowedNamespaces.selector allowedNamespaces.selector.matchLabels
    allowedNamespaces.selector.matchExpressions allowedNamespaces.selector.matchExpressions.key
    allowedNamespaces.selector.matchExpressions.operator allowedNamespaces.selector.matchExpressions.values
"""


class _ConnectionStatus(TypedDict):
    observedGeneration: int
    conditions: list[Condition]


def _paths(hint: Any, prefix: str) -> Iterator[str]:
    """Yield the fields of a type below a path, those of the items of lists as if they were its own."""
    if get_origin(hint) is list:
        hint = get_args(hint)[0]
    if is_typeddict(hint):
        for name, inner in get_type_hints(hint).items():
            yield f"{prefix}.{name}"
            yield from _paths(inner, f"{prefix}.{name}")


def _fields(spec: str, status: Any) -> frozenset[str]:
    return frozenset([f"spec.{path}" for path in spec.split()]) | frozenset(_paths(status, "status"))


FIELDS: Final = {
    EVS_JOB: _fields(_JOB_SPEC, EvsJobStatus),
    EVS_CONNECTION: _fields(_CONNECTION_SPEC, _ConnectionStatus),
    CLUSTER_EVS_CONNECTION: _fields(_CONNECTION_SPEC + _CLUSTER_SPEC, _ConnectionStatus),
}
"""Every field of each kind, below `spec` and `status`."""
