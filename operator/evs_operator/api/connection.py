"""Reads the spec of EvsConnection and ClusterEvsConnection into one frozen value.

Secrets are named here, never read: a reference is a name and nothing else, in the connection's own namespace or, for
a ClusterEvsConnection, in the operator's namespace.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from .object_names import is_object_name
from .pem import MOST_BYTES, holds_certificate, instead
from .spec import SpecError, as_mapping

AuthKind = Literal["accessKey", "password", "token", "oidc", "instanceMetadata"]
_OF_A_SECRET: Final[tuple[AuthKind, ...]] = ("accessKey", "password", "token")
PLATFORM_AUTH: Final[tuple[AuthKind, ...]] = ("oidc", "instanceMetadata")
"""Ways to sign in as the operator itself: for a ClusterEvsConnection alone, and where the operator's flags allow it."""
DEFAULT_METADATA: Final = "http://169.254.169.254"
_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MOST_BUNDLE: Final = 96 * 1024
"""Characters of `caBundle`: base64 of the largest CA file, on lines of its own."""
_SECRET_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")


@dataclass(frozen=True, slots=True)
class ConnectionAuth:
    """`spec.auth`: how to sign in, and the Secret that holds what that needs, where it needs one."""

    kind: AuthKind
    secret_name: str | None = None
    iam_endpoint: str | None = None
    identity_provider: str | None = None
    metadata_endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """`metav1.LabelSelector`, as far as matching needs it."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels satisfy every requirement; an empty selector matches all."""
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
    """Spec of a connection with defaults filled in; `ca_bundle` is a file with certificates in PEM."""

    endpoint: str
    auth: ConnectionAuth
    project_id: str | None = None
    region: str | None = None
    ca_bundle: bytes | None = None
    ca_secret: tuple[str, str] | None = None
    requests_per_second: int | None = None
    burst: int | None = None
    allowed: AllowedNamespaces = AllowedNamespaces()


def parse_connection(raw: object, *, cluster: bool = False) -> ConnectionSpec:
    """Read a connection's spec, `cluster` that of a ClusterEvsConnection.

    Raises SpecError naming the first field that cannot be used.
    """
    spec = as_mapping(raw, "spec")
    tls = as_mapping(spec.get("tls") or {}, "spec.tls")
    limit = as_mapping(spec.get("rateLimit") or {}, "spec.rateLimit")
    return ConnectionSpec(
        endpoint=_text(spec, "endpoint", "spec."),
        auth=_auth(spec.get("auth"), _OF_A_SECRET + PLATFORM_AUTH if cluster else _OF_A_SECRET),
        project_id=_optional_text(spec, "projectId", "spec."),
        region=_optional_text(spec, "region", "spec."),
        ca_bundle=_ca_bundle(tls.get("caBundle")),
        ca_secret=_ca_secret(tls.get("caSecretRef")),
        requests_per_second=_count(limit, "requestsPerSecond"),
        burst=_count(limit, "burst"),
        allowed=_allowed(spec.get("allowedNamespaces")),
    )


def _auth(raw: object, kinds: tuple[AuthKind, ...]) -> ConnectionAuth:
    auth = as_mapping(raw, "spec.auth")
    chosen = [kind for kind in kinds if auth.get(kind) is not None]
    if len(chosen) != 1:
        raise SpecError(f"spec.auth: write exactly one of {', '.join(kinds)}")
    kind = chosen[0]
    where = f"spec.auth.{kind}"
    value = as_mapping(auth[kind], where)
    if kind == "instanceMetadata":
        return ConnectionAuth(
            kind, metadata_endpoint=_optional_text(value, "endpoint", f"{where}.") or DEFAULT_METADATA
        )
    iam = _text(value, "iamEndpoint", f"{where}.") if kind in ("password", "oidc") else None
    if kind == "oidc":
        return ConnectionAuth(kind, iam_endpoint=iam, identity_provider=_provider(value))
    return ConnectionAuth(kind, _secret_name(value.get("secretRef"), f"{where}.secretRef"), iam)


def _provider(raw: Mapping[str, object]) -> str:
    name = _text(raw, "identityProvider", "spec.auth.oidc.")
    if not _PROVIDER.fullmatch(name):
        raise SpecError("spec.auth.oidc.identityProvider: write the name of the identity provider in IAM")
    return name


def _secret_name(raw: object, where: str) -> str:
    """Read the name of a Secret; it becomes a part of a path, so nothing but a name will do."""
    name = _text(as_mapping(raw, where), "name", f"{where}.")
    if not is_object_name(name):
        raise SpecError(f"{where}.name: write the name of a Secret: lower-case letters, digits, dashes and dots")
    return name


def _ca_bundle(raw: object) -> bytes | None:
    if raw is None:
        return None
    if not isinstance(raw, str) or len(raw) > _MOST_BUNDLE:
        raise SpecError(f"spec.tls.caBundle: write base64 of PEM certificates, at most {MOST_BYTES:,} bytes of them")
    if "-----BEGIN " in raw:
        raise SpecError("spec.tls.caBundle: is PEM itself: write the base64 form of it (`base64 < ca.crt`)")
    try:
        file = base64.b64decode("".join(raw.split()), validate=True)
    except ValueError:
        raise SpecError("spec.tls.caBundle: write the base64 form of PEM certificates (`base64 < ca.crt`)") from None
    if len(file) > MOST_BYTES or not holds_certificate(file):
        raise SpecError(f"spec.tls.caBundle: {instead(file)}: write PEM certificates of a CA, and base64 of that")
    return file


def _ca_secret(raw: object) -> tuple[str, str] | None:
    if raw is None:
        return None
    name = _secret_name(raw, "spec.tls.caSecretRef")
    key = str(as_mapping(raw, "spec.tls.caSecretRef").get("key") or "ca.crt")
    if not _SECRET_KEY.fullmatch(key):
        raise SpecError("spec.tls.caSecretRef.key: write a key of the Secret, for example ca.crt")
    return name, key


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
