"""`check --connection`: tries one connection from where it runs, a line for each step, up to the first that fails.

It prints the operator's own steps (`connections.opening`), then the way to IAM and to EVS, and then one query for a job
that does not exist. That query is the only call with the credential, since wrong signatures lock an access key.
"""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from typing import Final

from evs_operator.api.connection import ConnectionSpec, parse_connection
from evs_operator.api.names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION
from evs_operator.api.spec import SpecError
from evs_operator.cloud.auth.credentials import Credentials, secrets_of
from evs_operator.cloud.auth.iam import iam_origin
from evs_operator.cloud.auth.sign_in import auth_for
from evs_operator.cloud.client import NO_ID, EvsClient
from evs_operator.cloud.endpoints import AllowList, origin
from evs_operator.cloud.transport import public_trust
from evs_operator.connections.connection import title
from evs_operator.connections.credential.secret_contents import CredentialsError
from evs_operator.connections.opening import OpeningSteps, PlatformAuth
from evs_operator.evs import errors
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.objects import ObjectKey
from evs_operator.kube.secret import read_secret
from evs_operator.settings import Settings

from .answers import findings
from .network import check_way
from .report import Report

_PROJECT: Final = re.compile(r"[0-9a-f]{32}")


async def check_connection(api: KubeApi, settings: Settings, named: tuple[str, str], report: Report) -> None:
    """Report on one connection, `named` by namespace ("" for a ClusterEvsConnection) and name. Raises KubeError."""
    namespace, name = named
    key = ObjectKey(EVS_CONNECTION if namespace else CLUSTER_EVS_CONNECTION, namespace, name)
    spec = await _read_spec(api, key, report)
    if spec is None:
        return
    allow = AllowList(settings.allow_endpoints, defaults=settings.default_endpoints)
    opened = await _opened(api, spec, namespace or settings.operator_namespace, settings, allow, report)
    if opened is None:
        return
    credentials, tls = opened
    ways = dict.fromkeys(origin(iam_origin(way)) for way in (spec.auth.iam_endpoint, spec.endpoint) if way)
    for way in ways:
        if not await check_way(way, tls, allow, report):
            return
    project_id = settings.project or spec.project_id or ""
    if not _PROJECT.fullmatch(project_id):
        report.line(False, "project", "none: set spec.projectId, or name one with --project")
        return
    auth = auth_for(credentials, project_id, clock=lambda: datetime.now(UTC), hold=report.hold)
    error: errors.CloudError | None = None
    async with EvsClient(spec.endpoint, auth, tls=tls, allow=allow) as client:
        try:
            await client.get_job(project_id, NO_ID)
        except errors.CloudError as found:
            error = found
    for finding in findings(error, spec.auth.kind, project_id, report.quoted):
        report.line(finding.good, finding.what, finding.detail)


async def _read_spec(api: KubeApi, key: ObjectKey, report: Report) -> ConnectionSpec | None:
    what = title(key)
    try:
        body = await objects.read(api, key)
    except KubeError as error:
        if error.status not in (403, 404):
            raise
        told = {403: "may not be read: grant `get` on it", 404: "does not exist: create it, or correct the name"}
        report.line(False, what, told[error.status])
        return None
    report.line(True, what, "is there")
    try:
        spec = parse_connection(body.get("spec"), cluster=key.kind == CLUSTER_EVS_CONNECTION)
    except SpecError as error:
        report.line(False, "spec", str(error))
        return None
    report.line(True, "spec", f"valid, signs in with auth.{spec.auth.kind}")
    return spec


async def _opened(
    api: KubeApi, spec: ConnectionSpec, namespace: str, settings: Settings, allow: AllowList, report: Report
) -> tuple[Credentials, ssl.SSLContext] | None:
    """Walk the steps of the operator; return the credential and whom to trust, None if a step failed."""
    steps = OpeningSteps(
        allow,
        PlatformAuth(frozenset(settings.allow_auth), settings.oidc_token_file),
        lambda place, name, keys: read_secret(api, place, name, keys),
        lambda step, found: report.line(True, step, found),
    )
    try:
        opened = await steps.open(spec, namespace)
        for secret in secrets_of(opened.credentials):
            report.hold(secret)
        return opened.credentials, steps.trust(opened, spec, namespace) or public_trust()
    except CredentialsError as error:
        report.line(False, error.step, error.brief)
        return None
