"""`check --connection`: tries one connection from where it runs, a line for each step, up to the first that fails.

The steps are those of the operator: object, spec, allow-list, Secret, the way to IAM and to EVS, and then one query for
a job that does not exist. That query is the only call with the credential, since wrong signatures lock an access key.
"""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from typing import Final

from evs_operator.api.connection import PLATFORM_AUTH, ConnectionSpec, parse_connection
from evs_operator.api.names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION
from evs_operator.api.object_names import shown
from evs_operator.api.spec import SpecError
from evs_operator.cloud.auth.credentials import Credentials, secrets_of
from evs_operator.cloud.auth.iam import iam_origin
from evs_operator.cloud.auth.sign_in import auth_for
from evs_operator.cloud.client import NO_ID, EvsClient
from evs_operator.cloud.endpoints import AllowList, EndpointNotAllowed, origin
from evs_operator.cloud.transport import public_trust
from evs_operator.connections.connection import title
from evs_operator.connections.credential.secret_contents import (
    SECRET_KEYS,
    CredentialsError,
    Secrets,
    authority_of,
    credentials_of,
    needed_keys,
    trust_in,
)
from evs_operator.evs import errors
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.objects import ObjectKey
from evs_operator.kube.secret import Secret, read_secret
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
    allow = AllowList(settings.allow_endpoints, defaults=settings.default_endpoints)
    if spec is None or not _may_be_called(spec, allow, report):
        return
    place = namespace or settings.operator_namespace
    secrets = await _read_secrets(api, place, spec, report)
    if secrets is None:
        return
    if spec.auth.kind in PLATFORM_AUTH:
        credentials = _own_identity(spec, settings, report)
    else:
        credentials = _credentials(spec, secrets, place, report)
    tls = _trust(spec, secrets, place, report)
    if credentials is None or tls is None:
        return
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


def _may_be_called(spec: ConnectionSpec, allow: AllowList, report: Report) -> bool:
    named = (
        ("endpoint", spec.endpoint),
        ("IAM endpoint", spec.auth.iam_endpoint),
        ("metadata service", spec.auth.metadata_endpoint),
    )
    for what, endpoint in named:
        if endpoint is None:
            continue
        try:
            allow.check(endpoint)
        except EndpointNotAllowed as error:
            return report.line(False, what, f"{error} (give `check` the flags of `run`)")
        report.line(True, what, f"{endpoint} is allowed")
    return True


async def _read_secrets(api: KubeApi, namespace: str, spec: ConnectionSpec, report: Report) -> Secrets | None:
    found: dict[str, Secret] = {}
    for name, keys in needed_keys(spec).items():
        try:
            found[name] = await read_secret(api, namespace, name, keys)
        except KubeError as error:
            if error.status not in (403, 404):
                raise
            told = {403: "may not be read: grant `get` on Secrets there", 404: "does not exist: create it"}
            report.line(False, f"Secret {namespace}/{shown(name)}", told[error.status])
            return None
    return found


def _own_identity(spec: ConnectionSpec, settings: Settings, report: Report) -> Credentials | None:
    """Return the credential of a connection that signs in as the operator, which here is whoever runs this."""
    auth = spec.auth
    if auth.kind not in settings.allow_auth:
        what = "signs in as the operator itself, which is not allowed: give `run` and `check` --allow-auth"
        report.line(False, f"auth.{auth.kind}", f"{what} {auth.kind}")
        return None
    report.line(True, f"auth.{auth.kind}", "is allowed")
    return credentials_of(spec, {}, "", settings.oidc_token_file)


def _credentials(spec: ConnectionSpec, secrets: Secrets, namespace: str, report: Report) -> Credentials | None:
    auth = spec.auth
    what = f"Secret {namespace}/{shown(auth.secret_name or '')}"
    try:
        made = credentials_of(spec, secrets, namespace, "")
    except CredentialsError as error:
        detail = error.detail.removeprefix(f"{what} ")
        report.line(False, what, detail if detail == error.detail else f"{detail}: add it")
        return None
    for secret in secrets_of(made):
        report.hold(secret)
    report.line(True, what, f"has {', '.join(SECRET_KEYS[auth.kind])}")
    return made


def _trust(spec: ConnectionSpec, secrets: Secrets, namespace: str, report: Report) -> ssl.SSLContext | None:
    try:
        private = trust_in(authority_of(spec, secrets, namespace), spec, namespace)
    except CredentialsError as error:
        report.line(False, "spec.tls", error.detail)
        return None
    if private is None:
        return public_trust()
    report.line(
        True,
        "spec.tls",
        f"{len(private.get_ca_certs(binary_form=True))} CA certificates, the only ones that are trusted",
    )
    return private
