"""`evs-operator check`: is everything in place, or does one connection work? One line for each thing, exit 1 if not.

Called by `cli`. `installation` looks at what `run` needs of the cluster, `connection` tries one connection from here,
with `network` and `answers` for its steps. Nothing is written, and no secret is ever printed.
"""

from __future__ import annotations

from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.config.cluster import ClusterError, load_cluster
from evs_operator.settings import Settings

from .connection import check_connection
from .installation import check_installation
from .report import Report

__all__ = ["check"]


async def check(settings: Settings) -> int:
    """Print one line for each thing that was looked at; return 0 where all is well, 1 elsewhere."""
    report = Report()
    try:
        cluster = await load_cluster(settings.kubeconfig, report.hold)
    except ClusterError as error:
        report.line(False, "configuration", report.quoted(str(error)))
        return report.exit_code
    api = KubeApi(cluster)
    try:
        if settings.connection is not None:
            await check_connection(api, settings, settings.connection, report)
        else:
            await check_installation(api, settings, report)
    except KubeError as error:
        report.line(False, "API server", report.quoted(error.message))
    finally:
        await api.aclose()
    return report.exit_code
