"""Names that manifests, RBAC and other programs spell: group, kinds, plurals, annotation, field manager."""

from __future__ import annotations

from typing import Final

GROUP: Final = "evs-operator.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

EVS_JOB: Final = "EvsJob"
EVS_CONNECTION: Final = "EvsConnection"
CLUSTER_EVS_CONNECTION: Final = "ClusterEvsConnection"

PLURALS: Final = {
    EVS_JOB: "evsjobs",
    EVS_CONNECTION: "evsconnections",
    CLUSTER_EVS_CONNECTION: "clusterevsconnections",
}

REQUESTED_AT: Final = f"{GROUP}/requestedAt"
"""Annotation: any new text asks for a poll now, also of a finished job."""

FIELD_MANAGER: Final = "evs-operator"
DEFAULT_CONNECTION: Final = "default"
"""Name of the connection that an EvsJob without `connectionRef` uses."""
