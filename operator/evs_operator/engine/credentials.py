"""What the Secrets of a connection turn into: a credential and whom to trust, or the trouble that keeps them away.

Called by `opener` and by `evs-operator check` with what was read. Which keys a Secret has for which way to sign in is
said here and in the CRDs.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

from evs_operator.api.connection import AuthKind, ConnectionSpec
from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.cloud.credentials import AccessKey, Credentials, InstanceMetadata, Oidc, Password, Token
from evs_operator.core.observation import Trouble

Secret = Mapping[str, str]

SECRET_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "accessKey": ("accessKey", "secretKey"),
    "password": ("username", "password", "domainName"),
    "token": ("token",),
}
"""Keys that a Secret must have, by way to sign in."""


class CredentialsError(Exception):
    """The Secrets of a connection cannot be used; `detail` says why and what to do, without any value."""

    def __init__(self, detail: str, reason: ConnectionReason) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason

    def trouble(self, title: str) -> Trouble:
        """Return it in the words of a condition; `title` names the connection."""
        return Trouble(Reason.CREDENTIALS_INVALID, f"{title}: {self.detail}")


def secret_names(spec: ConnectionSpec) -> list[str]:
    """Return the names of the Secrets that a connection needs, that of the credential first."""
    names = [spec.auth.secret_name] if spec.auth.secret_name else []
    return names + ([spec.ca_secret[0]] if spec.ca_secret else [])


def unreadable(namespace: str, name: str, status: int) -> CredentialsError:
    """Say what to do about a Secret that the API server did not give (403, 404)."""
    if status == 403:
        what = f"the operator may not read Secret {namespace}/{name}: grant it `get` on Secrets there"
    else:
        what = f"Secret {namespace}/{name} does not exist: create it"
    return CredentialsError(what, ConnectionReason.SECRET_NOT_FOUND)


def missing_keys(kind: AuthKind, data: Secret) -> list[str]:
    """Return what a Secret lacks for a way to sign in."""
    return [key for key in SECRET_KEYS[kind] if not data.get(key, "").strip()]


def credentials_of(spec: ConnectionSpec, secrets: tuple[Secret, ...], namespace: str, token_file: str) -> Credentials:
    """Return the credential; raises CredentialsError where the Secret lacks something."""
    auth = spec.auth
    if auth.kind == "oidc":
        return Oidc(auth.iam_endpoint or "", auth.identity_provider or "", token_file)
    if auth.kind == "instanceMetadata":
        return InstanceMetadata(auth.metadata_endpoint or "")
    data = secrets[0]
    if missing := missing_keys(auth.kind, data):
        what = f"Secret {namespace}/{auth.secret_name} lacks {', '.join(missing)} for auth.{auth.kind}"
        raise CredentialsError(what, ConnectionReason.SECRET_KEY_MISSING)
    value = {key: text.strip() for key, text in data.items()}
    if auth.kind == "accessKey":
        return AccessKey(value["accessKey"], value["secretKey"], value.get("securityToken") or None)
    if auth.kind == "token":
        return Token(value["token"])
    return Password(value["username"], data["password"], value["domainName"], auth.iam_endpoint or "")


def trust_of(spec: ConnectionSpec, secrets: tuple[Secret, ...], namespace: str) -> ssl.SSLContext | None:
    """Return the trust in the CA that the connection names and in no other; None for the public ones."""
    pem, where = spec.ca_bundle, "spec.tls.caBundle"
    if spec.ca_secret:
        name, key = spec.ca_secret
        where = f"key {key} of Secret {namespace}/{name}"
        pem = secrets[-1].get(key, "")
        if not pem.strip():
            raise CredentialsError(
                f"Secret {namespace}/{name} lacks {key} for tls.caSecretRef", ConnectionReason.SECRET_KEY_MISSING
            )
    if pem is None:
        return None
    try:
        context = ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        context = None
    if context is None or not context.get_ca_certs():
        what = f"{where} holds no CA certificate that can be read: write PEM certificates of a CA"
        raise CredentialsError(what, ConnectionReason.SECRET_KEY_MISSING)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # private authorities leave out what Python 3.13 began to ask for
    return context
