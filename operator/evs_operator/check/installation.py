"""What `run` needs: the API server, the CRDs, the permissions; is one at work; and how the connections stand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from evs_operator.api.conditions import condition_of
from evs_operator.api.names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION, GROUP, PLURALS, VERSION
from evs_operator.api.object_names import shown
from evs_operator.api.stored import connection_status, mapping
from evs_operator.kube import objects, schema
from evs_operator.kube.access import CLUSTER_RIGHTS, KINDS, LEASE_RIGHTS, RIGHTS, Right
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.settings import Settings

from .at_work import check_at_work
from .report import Report


async def check_installation(api: KubeApi, settings: Settings, report: Report) -> None:
    """Report on the API server, the CRDs, the permissions and what the operator said of the connections."""
    version = await api.request("GET", "/version")
    report.line(True, "API server", f"reachable, {version.get('gitVersion', 'version unknown')}")
    served = await objects.served_kinds(api)
    missing = await schema.missing_fields(api)
    for kind in KINDS:
        _report_crd(kind, served, missing, report)
    namespaces: list[str] = list(settings.namespaces) or [""]
    for namespace in namespaces:
        await _check_rights(api, RIGHTS, namespace, report, settings.as_user)
    await _check_rights(api, CLUSTER_RIGHTS, "", report, settings.as_user)
    if settings.leader_elect:
        await _check_rights(api, LEASE_RIGHTS, settings.operator_namespace, report, settings.as_user)
    if served:
        await check_at_work(api, settings, report)
    for kind in (EVS_CONNECTION, CLUSTER_EVS_CONNECTION):
        if kind in served:
            await _check_connections(api, kind, namespaces, report)


def _report_crd(
    kind: str, served: Collection[str], missing: Mapping[str, tuple[str, ...]] | None, report: Report
) -> None:
    """Report whether a CRD is there, and whether it has every field that this version knows."""
    what = f"CRD {PLURALS[kind]}.{GROUP}"
    if kind not in served:
        report.line(False, what, f"{VERSION} is not served: apply crds/")
    elif missing is None:
        report.line(True, what, f"{VERSION} served; its fields cannot be compared, there is no OpenAPI to be read")
    elif kind in missing:
        report.line(False, what, schema.lacks(missing[kind]))
    else:
        report.line(True, what, f"{VERSION} served, with every field of this version")


async def _check_rights(api: KubeApi, rights: Iterable[Right], namespace: str, report: Report, user: str = "") -> None:
    where = f" in namespace {namespace}" if namespace else ""
    whom = user or "the ServiceAccount"
    for right in rights:
        may = await objects.allowed(
            api, right.verb, right.group, right.resource, namespace, right.subresource, right.name, user
        )
        if may or not right.optional:
            report.line(
                may,
                f"permission to {right}{where}",
                "" if may else f"not held: grant it to {whom}",
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
    metadata, status = mapping(mapping(body).get("metadata")), connection_status(mapping(body).get("status"))
    name = "/".join(shown(str(part)) for part in (metadata.get("namespace"), metadata.get("name")) if part)
    ready = condition_of(status.get("conditions", []), "Ready")
    if ready is None or ready["status"] == "Unknown":
        detail = ready["message"] if ready else "the operator has not looked at it yet"
        report.note(f"{kind} {name}", detail)
        return
    report.line(ready["status"] == "True", f"{kind} {name}", f"{ready['reason']}: {ready['message']}")
