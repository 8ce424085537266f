"""Reads the spec of EvsConnection and ClusterEvsConnection into one frozen value.

Secrets are named here, never read: `secret_ref` is a name, in the connection's own namespace or, for a
ClusterEvsConnection, in the operator's namespace.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .spec import SpecError, as_mapping

AuthKind = Literal["accessKey", "password", "token"]
_AUTH_KINDS: tuple[AuthKind, ...] = ("accessKey", "password", "token")


@dataclass(frozen=True, slots=True)
class ConnectionAuth:
    """`spec.auth`: how to sign in, and the Secret that holds what that needs."""

    kind: AuthKind
    secret_name: str
    iam_endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """`metav1.LabelSelector`, as far as matching needs it."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels satisfy every requirement; an empty selector matches all."""
        if any(labels.get(key) != value for key, value in self.match_labels):
            return False
        return all(_expression(labels, *expression) for expression in self.match_expressions)


@dataclass(frozen=True, slots=True)
class AllowedNamespaces:
    """`spec.allowedNamespaces` of a ClusterEvsConnection: nothing named means no namespace."""

    names: tuple[str, ...] = ()
    selector: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """Spec of a connection with defaults filled in; `ca_bundle` is PEM."""

    endpoint: str
    auth: ConnectionAuth
    project_id: str | None = None
    region: str | None = None
    ca_bundle: str | None = None
    ca_secret: tuple[str, str] | None = None
    requests_per_second: int | None = None
    burst: int | None = None
    allowed: AllowedNamespaces = AllowedNamespaces()


def parse_connection(raw: object) -> ConnectionSpec:
    """Read a connection's spec; raise SpecError naming the first field that cannot be used."""
    spec = as_mapping(raw, "spec")
    tls = as_mapping(spec.get("tls") or {}, "spec.tls")
    limit = as_mapping(spec.get("rateLimit") or {}, "spec.rateLimit")
    return ConnectionSpec(
        endpoint=_text(spec, "endpoint", "spec."),
        auth=_auth(spec.get("auth")),
        project_id=_optional_text(spec, "projectId", "spec."),
        region=_optional_text(spec, "region", "spec."),
        ca_bundle=_ca_bundle(tls.get("caBundle")),
        ca_secret=_ca_secret(tls.get("caSecretRef")),
        requests_per_second=_count(limit, "requestsPerSecond"),
        burst=_count(limit, "burst"),
        allowed=_allowed(spec.get("allowedNamespaces")),
    )


def _auth(raw: object) -> ConnectionAuth:
    auth = as_mapping(raw, "spec.auth")
    chosen = [kind for kind in _AUTH_KINDS if auth.get(kind) is not None]
    if len(chosen) != 1:
        raise SpecError("spec.auth: write exactly one of accessKey, password, token")
    kind = chosen[0]
    value = as_mapping(auth[kind], f"spec.auth.{kind}")
    secret = as_mapping(value.get("secretRef"), f"spec.auth.{kind}.secretRef")
    iam = _text(value, "iamEndpoint", "spec.auth.password.") if kind == "password" else None
    return ConnectionAuth(kind, _text(secret, "name", f"spec.auth.{kind}.secretRef."), iam)


def _ca_bundle(raw: object) -> str | None:
    if raw is None:
        return None
    try:
        pem = base64.b64decode("".join(str(raw).split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        pem = ""
    if "-----BEGIN CERTIFICATE-----" not in pem:
        raise SpecError("spec.tls.caBundle: write the base64 form of PEM certificates")
    return pem


def _ca_secret(raw: object) -> tuple[str, str] | None:
    if raw is None:
        return None
    ref = as_mapping(raw, "spec.tls.caSecretRef")
    return (_text(ref, "name", "spec.tls.caSecretRef."), str(ref.get("key") or "ca.crt"))


def _allowed(raw: object) -> AllowedNamespaces:
    if raw is None:
        return AllowedNamespaces()
    allowed = as_mapping(raw, "spec.allowedNamespaces")
    names = allowed.get("names")
    selector = allowed.get("selector")
    return AllowedNamespaces(
        names=tuple(str(name) for name in names) if isinstance(names, list) else (),
        selector=None if selector is None else _selector(selector),
    )


def _selector(raw: object) -> LabelSelector:
    selector = as_mapping(raw, "spec.allowedNamespaces.selector")
    labels = as_mapping(selector.get("matchLabels") or {}, "spec.allowedNamespaces.selector.matchLabels")
    expressions = selector.get("matchExpressions") or []
    if not isinstance(expressions, list):
        raise SpecError("spec.allowedNamespaces.selector.matchExpressions: write a list")
    read = [as_mapping(e, "spec.allowedNamespaces.selector.matchExpressions") for e in expressions]
    return LabelSelector(
        match_labels=tuple((str(k), str(v)) for k, v in labels.items()),
        match_expressions=tuple((str(e.get("key")), str(e.get("operator")), _values(e)) for e in read),
    )


def _values(expression: Mapping[str, object]) -> tuple[str, ...]:
    values = expression.get("values")
    return tuple(str(value) for value in values) if isinstance(values, list) else ()


def _expression(labels: Mapping[str, str], key: str, operator: str, values: tuple[str, ...]) -> bool:
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False  # an operator that Kubernetes adds later grants nothing


def _text(raw: Mapping[str, object], field: str, prefix: str) -> str:
    value = _optional_text(raw, field, prefix)
    if value is None:
        raise SpecError(f"{prefix}{field}: a value is required")
    return value


def _optional_text(raw: Mapping[str, object], field: str, prefix: str) -> str | None:
    value = raw.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise SpecError(f"{prefix}{field}: write text")
    return value


def _count(raw: Mapping[str, object], field: str) -> int | None:
    value = raw.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise SpecError(f"spec.rateLimit.{field}: write a whole number from 1 to 1000")
    return value
