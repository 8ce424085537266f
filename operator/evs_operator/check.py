"""`evs-operator check`: is everything in place? One line for each thing, exit 1 where one is not."""

from __future__ import annotations

from collections.abc import Iterable

from evs_operator.api.conditions import Condition, condition_of
from evs_operator.api.names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION, GROUP, PLURALS, VERSION
from evs_operator.kube import objects
from evs_operator.kube.access import CLUSTER_RIGHTS, KINDS, RIGHTS, Right
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.cluster import ClusterError, load_cluster
from evs_operator.settings import Settings


async def check(settings: Settings) -> int:
    """Print one line for each thing that `run` needs; return 0 where all is well, 1 elsewhere."""
    report = _Report()
    try:
        cluster = await load_cluster(settings.kubeconfig)
    except ClusterError as error:
        report.line(False, "configuration", str(error))
        return report.exit_code
    api = KubeApi(cluster)
    try:
        await _check(api, settings, report)
    except KubeError as error:
        report.line(False, "API server", error.message)
    finally:
        await api.aclose()
    return report.exit_code


class _Report:
    """Prints lines and remembers whether all was well."""

    def __init__(self) -> None:
        self.exit_code = 0

    def line(self, good: bool, what: str, detail: str = "") -> None:
        if not good:
            self.exit_code = 1
        print(f"{'ok  ' if good else 'FAIL'}  {what}{': ' + detail if detail else ''}", flush=True)  # noqa: T201  # the command's output

    def note(self, what: str, detail: str) -> None:
        print(f"note  {what}: {detail}", flush=True)  # noqa: T201  # the command's output


async def _check(api: KubeApi, settings: Settings, report: _Report) -> None:
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
    for kind in (EVS_CONNECTION, CLUSTER_EVS_CONNECTION):
        if kind in served:
            await _check_connections(api, kind, namespaces, report)


async def _check_rights(api: KubeApi, rights: Iterable[Right], namespace: str, report: _Report) -> None:
    where = f" in namespace {namespace}" if namespace else ""
    for right in rights:
        may = await objects.allowed(api, right.verb, right.group, right.resource, namespace, right.subresource)
        if may or not right.optional:
            report.line(
                may,
                f"permission to {right}{where}",
                "" if may else "not held: grant it to the ServiceAccount",
            )
        else:
            report.note(f"permission to {right}", f"not held: {right.without}")


async def _check_connections(api: KubeApi, kind: str, namespaces: list[str], report: _Report) -> None:
    for namespace in namespaces if kind == EVS_CONNECTION else [""]:
        try:
            bodies = await objects.list_connections(api, kind, namespace or None)
        except KubeError as error:
            if error.status != 403:
                raise
            continue  # the missing permission has its own line
        for body in bodies:
            _report_connection(kind, body, report)


def _report_connection(kind: str, body: object, report: _Report) -> None:
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
