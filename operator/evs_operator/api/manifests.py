"""Builds manifests of the group: for programs that submit an operation to EVS and let the operator follow its job.

Each function returns a new dict for `kubectl apply`, a Kubernetes client or a YAML writer, checks what it is given as
the API server would, and raises SpecError with the field and what to write. Nothing is sent anywhere.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .connection import parse_connection
from .names import API_VERSION, CLUSTER_EVS_CONNECTION, EVS_CONNECTION, EVS_JOB, REQUESTED_AT
from .object_names import is_namespace_name, is_object_name
from .spec import ConnectionRef, SpecError, parse_spec

Manifest = dict[str, Any]

_NO_JOB: Final = "the answer has no job_id"
_MOST_QUOTED: Final = 100


def evs_job(
    name: str,
    job: str | Mapping[str, object],
    *,
    namespace: str | None = None,
    generate_name: bool = False,
    project_id: str | None = None,
    connection: str | ConnectionRef | None = None,
    min_interval_seconds: int | None = None,
    max_interval_seconds: int | None = None,
    deadline_seconds: int | None = None,
    suspend: bool = False,
    ttl_seconds_after_finished: int | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Return an EvsJob for a job id, or for the body of the answer of EVS that names one.

    `generate_name` makes `name` a prefix: the API server adds to it (`kubectl create`, not `apply`). `connection` is
    the name of an EvsConnection of the same namespace, or a ConnectionRef. Durations are whole seconds.
    """
    polling = _given(minIntervalSeconds=min_interval_seconds, maxIntervalSeconds=max_interval_seconds)
    if isinstance(connection, str):
        connection = ConnectionRef(EVS_CONNECTION, connection)
    spec = _given(
        jobId=job if isinstance(job, str) else job_id_of(job),
        projectId=project_id,
        connectionRef={"kind": connection.kind, "name": connection.name} if connection else None,
        polling=polling or None,
        deadlineSeconds=deadline_seconds,
        suspend=suspend or None,
        ttlSecondsAfterFinished=ttl_seconds_after_finished,
    )
    parse_spec(spec)
    return _manifest(EVS_JOB, name, spec, namespace, labels, annotations, generate_name=generate_name)


def job_id_of(answer: Mapping[str, object]) -> str:
    """Return the job id that an answer of EVS names; SpecError says why there is none."""
    job_id = answer.get("job_id")
    if isinstance(job_id, str) and job_id:
        return job_id
    if answer.get("order_id"):
        raise SpecError(f"{_NO_JOB}, but an order_id: a prepaid order has no job, look at the order")
    if refusal := _refusal(answer):
        raise SpecError(f"{_NO_JOB}: EVS refused the operation: {refusal}")
    raise SpecError(f"{_NO_JOB}: pass the JSON object that EVS answered to the disk operation")


def _refusal(answer: Mapping[str, object]) -> str:
    """Return code and message of an error; the gateway, EVS and OpenStack (`{"badRequest": {…}}`) each have a form."""
    inner = next((value for value in answer.values() if isinstance(value, Mapping)), {}) if len(answer) == 1 else {}
    for error in (answer, inner):
        code = error.get("error_code") or error.get("code")
        message = error.get("error_msg") or error.get("message")
        if code or (message and error is inner):
            return " ".join(str(part)[:_MOST_QUOTED] for part in (code, message) if part)
    return "look at the error in the answer" if answer.get("error") else ""


def access_key(secret: str) -> Manifest:
    """Return `spec.auth` for AK/SK: the Secret has `accessKey`, `secretKey` and, if temporary, `securityToken`."""
    return {"accessKey": {"secretRef": {"name": secret}}}


def password(secret: str, iam_endpoint: str) -> Manifest:
    """Return `spec.auth` for an IAM user: the Secret has `username`, `password` and `domainName`."""
    return {"password": {"secretRef": {"name": secret}, "iamEndpoint": iam_endpoint}}


def token(secret: str) -> Manifest:
    """Return `spec.auth` for a token that somebody else renews: the Secret has `token`."""
    return {"token": {"secretRef": {"name": secret}}}


def oidc(identity_provider: str, iam_endpoint: str) -> Manifest:
    """Return `spec.auth` of a ClusterEvsConnection that signs in as the operator's ServiceAccount; no Secret."""
    return {"oidc": {"identityProvider": identity_provider, "iamEndpoint": iam_endpoint}}


def instance_metadata(endpoint: str | None = None) -> Manifest:
    """Return `spec.auth` of a ClusterEvsConnection that signs in with the agency of the machine; no Secret."""
    return {"instanceMetadata": _given(endpoint=endpoint)}


def evs_connection(
    name: str,
    endpoint: str,
    auth: Mapping[str, object],
    *,
    namespace: str | None = None,
    project_id: str | None = None,
    region: str | None = None,
    ca_certificates: str | None = None,
    ca_secret: str | None = None,
    requests_per_second: int | None = None,
    burst: int | None = None,
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    """Return an EvsConnection; `auth` is made by `access_key()`, `password()` or `token()`.

    `ca_certificates` is PEM text, `ca_secret` the name of a Secret with the key `ca.crt`: at most one of them.
    """
    spec = _connection_spec(endpoint, auth, project_id, region, ca_certificates, ca_secret, requests_per_second, burst)
    parse_connection(spec)
    return _manifest(EVS_CONNECTION, name, spec, namespace, labels)


def cluster_evs_connection(
    name: str,
    endpoint: str,
    auth: Mapping[str, object],
    *,
    allowed_namespaces: Sequence[str] = (),
    allowed_labels: Mapping[str, str] | None = None,
    project_id: str | None = None,
    region: str | None = None,
    ca_certificates: str | None = None,
    ca_secret: str | None = None,
    requests_per_second: int | None = None,
    burst: int | None = None,
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    """Return a ClusterEvsConnection for namespaces named or labelled so; with neither, no namespace may use it.

    `auth` is made as for `evs_connection()`, or by `oidc()` or `instance_metadata()`.
    """
    spec = _connection_spec(endpoint, auth, project_id, region, ca_certificates, ca_secret, requests_per_second, burst)
    allowed = _given(
        names=list(allowed_namespaces) or None,
        selector={"matchLabels": dict(allowed_labels)} if allowed_labels else None,
    )
    if allowed:
        spec["allowedNamespaces"] = allowed
    parse_connection(spec, cluster=True)
    return _manifest(CLUSTER_EVS_CONNECTION, name, spec, None, labels)


def poll_request(text: str) -> Manifest:
    """Return a merge patch that asks for a poll now, also of a finished job; `text` is any new text, such as a time."""
    return {"metadata": {"annotations": {REQUESTED_AT: text}}}


def _connection_spec(
    endpoint: str,
    auth: Mapping[str, object],
    project_id: str | None,
    region: str | None,
    ca_certificates: str | None,
    ca_secret: str | None,
    requests_per_second: int | None,
    burst: int | None,
) -> Manifest:
    if ca_certificates is not None and ca_secret is not None:
        raise SpecError("spec.tls: write ca_certificates or ca_secret, not both")
    tls = _given(
        caBundle=base64.b64encode(ca_certificates.encode()).decode() if ca_certificates is not None else None,
        caSecretRef={"name": ca_secret} if ca_secret is not None else None,
    )
    return _given(
        endpoint=endpoint,
        projectId=project_id,
        region=region,
        auth=dict(auth),
        tls=tls or None,
        rateLimit=_given(requestsPerSecond=requests_per_second, burst=burst) or None,
    )


def _given(**fields: object) -> Manifest:
    return {name: value for name, value in fields.items() if value is not None}


def _manifest(
    kind: str,
    name: str,
    spec: Manifest,
    namespace: str | None,
    labels: Mapping[str, str] | None,
    annotations: Mapping[str, str] | None = None,
    *,
    generate_name: bool = False,
) -> Manifest:
    if not is_object_name(f"{name}x" if generate_name else name):
        field = "generateName" if generate_name else "name"
        raise SpecError(f"metadata.{field}: write lower-case letters, digits, dashes and dots, 253 at most")
    if namespace is not None and not is_namespace_name(namespace):
        raise SpecError(
            "metadata.namespace: write 1 to 63 lower-case letters, digits and dashes, no dash at either end"
        )
    metadata = _given(
        **{"generateName" if generate_name else "name": name},
        namespace=namespace,
        labels=dict(labels) if labels else None,
        annotations=dict(annotations) if annotations else None,
    )
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
