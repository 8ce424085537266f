"""What `run` needs: the API server, the CRDs, the permissions; and how the connections stand."""

from __future__ import annotations

from collections.abc import Iterable

from evs_operator.api.conditions import Condition, condition_of
from evs_operator.api.names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION, GROUP, PLURALS, VERSION
from evs_operator.kube import objects
from evs_operator.kube.access import CLUSTER_RIGHTS, KINDS, LEASE_RIGHTS, RIGHTS, Right
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.settings import Settings

from .report import Report


async def check_installation(api: KubeApi, settings: Settings, report: Report) -> None:
    """Report on the API server, the CRDs, the permissions and what the operator said of the connections."""
    version = await api.request("GET", "/version")
    report.line(True, "API server", f"reachable, {version.get('gitVersion', 'version unknown')}")
    served = await objects.served_kinds(api)
    for kind in KINDS:
        there = kind in served
        detail = f"{VERSION} served" if there else f"{VERSION} is not served: apply crds/"
        report.line(there, f"CRD {PLURALS[kind]}.{GROUP}", detail)
    namespaces: list[str] = list(settings.namespaces) or [""]
    for namespace in namespaces:
        await _check_rights(api, RIGHTS, namespace, report)
    await _check_rights(api, CLUSTER_RIGHTS, "", report)
    if settings.leader_elect:
        await _check_rights(api, LEASE_RIGHTS, settings.operator_namespace, report)
    for kind in (EVS_CONNECTION, CLUSTER_EVS_CONNECTION):
        if kind in served:
            await _check_connections(api, kind, namespaces, report)


async def _check_rights(api: KubeApi, rights: Iterable[Right], namespace: str, report: Report) -> None:
    where = f" in namespace {namespace}" if namespace else ""
    for right in rights:
        may = await objects.allowed(
            api, right.verb, right.group, right.resource, namespace, right.subresource, right.name
        )
        if may or not right.optional:
            report.line(
                may,
                f"permission to {right}{where}",
                "" if may else "not held: grant it to the ServiceAccount",
            )
        else:
            report.note(f"permission to {right}", f"not held: {right.without}")


async def _check_connections(api: KubeApi, kind: str, namespaces: list[str], report: Report) -> None:
    for namespace in namespaces if kind == EVS_CONNECTION else [""]:
        try:
            async for body in objects.list_connections(api, kind, namespace or None):
                _report_connection(kind, body, report)
        except KubeError as error:
            if error.status != 403:
                raise  # else the missing permission has its own line


def _report_connection(kind: str, body: object, report: Report) -> None:
    metadata = body.get("metadata", {}) if isinstance(body, dict) else {}
    status = body.get("status", {}) if isinstance(body, dict) else {}
    name = "/".join(part for part in (metadata.get("namespace"), metadata.get("name")) if part)
    conditions: list[Condition] = status.get("conditions") or []
    ready = condition_of(conditions, "Ready")
    if ready is None or ready["status"] == "Unknown":
        detail = ready["message"] if ready else "the operator has not looked at it yet"
        report.note(f"{kind} {name}", detail)
        return
    report.line(ready["status"] == "True", f"{kind} {name}", f"{ready['reason']}: {ready['message']}")
