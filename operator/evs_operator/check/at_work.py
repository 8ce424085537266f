"""Is an operator at work? Judged by what can be seen of it: its Lease, its Deployment, and what it has looked at.

Called by `installation`. An operator outside of the cluster and without a Lease leaves no other trace than the statuses
that it wrote; then objects that wait for one say that none is there, and without such it cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from evs_operator.api.conditions import parse_timestamp
from evs_operator.api.names import EVS_CONNECTION, EVS_JOB
from evs_operator.api.object_names import shown
from evs_operator.api.stored import mapping
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.lease import LEASE_NAME
from evs_operator.kube.lease_rules import LEASE_SECONDS
from evs_operator.settings import Settings

from .report import Report

_WHAT: Final = "operator at work"
_LABEL: Final = "app.kubernetes.io%2Fname%3Devs-operator"
_LOOKED_AT: Final = 100
_SOON: Final = timedelta(seconds=30)
"""By when an operator has looked at a new object; clocks may differ by a part of it."""


async def check_at_work(api: KubeApi, settings: Settings, report: Report) -> None:
    """Report whether an operator works for these namespaces. Raises KubeError where the API server does not answer."""
    place = settings.operator_namespace
    lease = await _seen(api, f"/apis/coordination.k8s.io/v1/namespaces/{place}/leases/{LEASE_NAME}")
    if lease and _report_lease(lease, report):
        return
    found = await _seen(api, f"/apis/apps/v1/namespaces/{place}/deployments?labelSelector={_LABEL}")
    if not lease and found and _report_deployments(found, place, report):
        return
    for namespace in settings.namespaces or ("",):
        for kind in (EVS_CONNECTION, EVS_JOB):
            if waiting := await _waiting(api, kind, namespace):
                report.line(False, _WHAT, f"no: {kind} {waiting} is waiting and no operator has looked at it")
                return
    if lease:
        report.line(False, _WHAT, f"no: nobody holds the Lease {place}/{LEASE_NAME}; look at the pods of the operator")
        return
    if lease is None or found is None:
        report.note(_WHAT, f"unknown: no permission to read the Lease and the Deployments in namespace {place}")
    else:
        nothing = f"there is neither a Lease nor a Deployment of evs-operator in namespace {place}"
        report.note(_WHAT, f"none is seen: {nothing}; nothing waits for one, so it may run elsewhere")


def _report_lease(lease: Mapping[str, object], report: Report) -> bool:
    spec = mapping(lease.get("spec"))
    holder, renewed = spec.get("holderIdentity"), _time(spec.get("renewTime"))
    if not holder or renewed is None or datetime.now(UTC) - renewed > timedelta(seconds=LEASE_SECONDS) + _SOON:
        return False
    return report.line(True, _WHAT, f"{shown(str(holder))} holds the Lease")


def _report_deployments(found: Mapping[str, object], place: str, report: Report) -> bool:
    items = found.get("items")
    deployments = [mapping(item) for item in items] if isinstance(items, list) else []
    for deployment in deployments:
        name = f"{place}/{shown(str(mapping(deployment.get('metadata')).get('name')))}"
        available = mapping(deployment.get("status")).get("availableReplicas")
        if isinstance(available, int) and available > 0:
            return report.line(True, _WHAT, f"Deployment {name} has {available} available")
        report.line(False, _WHAT, f"no: Deployment {name} has no pod that is available; look at its pods")
    return bool(deployments)


async def _waiting(api: KubeApi, kind: str, namespace: str) -> str:
    """Return the name of an object that waits for an operator longer than one needs; "" where there is none."""
    for item in await _some(api, kind, namespace):
        metadata = mapping(item.get("metadata"))
        created = _time(metadata.get("creationTimestamp"))
        generation = mapping(item.get("status")).get("observedGeneration", -1)
        if generation == -1 and created and datetime.now(UTC) - created > _SOON:
            return "/".join(shown(str(metadata.get(part))) for part in ("namespace", "name"))
    return ""


async def _some(api: KubeApi, kind: str, namespace: str) -> list[Mapping[str, object]]:
    """Return the first objects of a kind; none where they may not be listed."""
    listed = await _seen(api, f"{objects.collection_path(kind, namespace or None)}?limit={_LOOKED_AT}") or {}
    items = listed.get("items")
    return [mapping(item) for item in items] if isinstance(items, list) else []


def _time(value: object) -> datetime | None:
    return parse_timestamp(value) if isinstance(value, str) else None


async def _seen(api: KubeApi, path: str) -> dict[str, object] | None:
    """Return what is there, {} where nothing is; None without the right to look."""
    try:
        return await api.request("GET", path)
    except KubeError as error:
        if error.status == 404:
            return {}
        if error.status == 403:
            return None
        raise
