"""What the Secrets of a connection turn into: a credential and whom to trust, or the trouble that keeps them away.

Called by `opening` with what was read. Which keys a Secret has for which way to sign in is defined here and documented
in the CRDs.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

from evs_operator.api.connection import AuthKind, ConnectionSpec
from evs_operator.api.object_names import shown
from evs_operator.api.pem import PemError, certificates_in
from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.cloud.auth.credentials import AccessKey, Credentials, InstanceMetadata, Oidc, Password, Token
from evs_operator.core.observation import Trouble
from evs_operator.kube.secret import Refused, Secret

Secrets = Mapping[str, Secret]
"""Secrets by name, each with the keys that are needed of it."""

SECRET_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "accessKey": ("accessKey", "secretKey"),
    "password": ("username", "password", "domainName"),
    "token": ("token",),
}
"""Keys that a Secret must have, by way to sign in."""
OPTIONAL_KEYS: Final[Mapping[str, tuple[str, ...]]] = {"accessKey": ("securityToken",)}


_OF_JOBS: Final[Mapping[ConnectionReason, Reason]] = {
    ConnectionReason.ENDPOINT_NOT_ALLOWED: Reason.ENDPOINT_NOT_ALLOWED,
    ConnectionReason.AUTH_NOT_ALLOWED: Reason.CONNECTION_NOT_ALLOWED,
}
"""What an EvsJob says of a connection that is refused for such a reason; of all others the credential is invalid."""


class CredentialsError(Exception):
    """A connection cannot be opened; `detail` says why and what to do, without any value.

    `step` names the step that failed, and `brief` says the same after that name.
    """

    def __init__(self, detail: str, reason: ConnectionReason, *, step: str = "", brief: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.step = step
        self.brief = brief or detail

    def trouble(self, title: str) -> Trouble:
        """Return it in the words of a condition; `title` names the connection."""
        return Trouble(_OF_JOBS.get(self.reason, Reason.CREDENTIALS_INVALID), f"{title}: {self.detail}")


def needed_keys(spec: ConnectionSpec) -> dict[str, tuple[str, ...]]:
    """Return the Secrets that a connection needs by name, with the keys of each; that of the credential first."""
    needed: dict[str, tuple[str, ...]] = {}
    if spec.auth.secret_name:
        needed[spec.auth.secret_name] = _keys_of(spec.auth.kind)
    if spec.ca_secret:
        name, key = spec.ca_secret
        needed[name] = (*needed.get(name, ()), key)
    return needed


def _keys_of(kind: AuthKind) -> tuple[str, ...]:
    return SECRET_KEYS[kind] + OPTIONAL_KEYS.get(kind, ())


def unreadable(namespace: str, name: str, status: int) -> CredentialsError:
    """Say what to do about a Secret that the API server did not give (403, 404)."""
    where = f"Secret {namespace}/{shown(name)}"
    if status == 403:
        what = f"the operator may not read {where}: grant it `get` on Secrets there"
        brief = "may not be read: grant `get` on Secrets there"
    else:
        brief = "does not exist: create it"
        what = f"{where} {brief}"
    return CredentialsError(what, ConnectionReason.SECRET_NOT_FOUND, step=where, brief=brief)


def credentials_of(spec: ConnectionSpec, secrets: Secrets, namespace: str, token_file: str) -> Credentials:
    """Return the credential; raises CredentialsError where the Secret lacks something or holds what cannot be one."""
    auth = spec.auth
    if auth.kind == "oidc":
        return Oidc(auth.iam_endpoint or "", auth.identity_provider or "", token_file)
    if auth.kind == "instanceMetadata":
        return InstanceMetadata(auth.metadata_endpoint or "")
    name = auth.secret_name or ""
    held = secrets[name]
    value = {key: _text(held, key, namespace, name) for key in _keys_of(auth.kind) if key in held}
    if missing := [key for key in SECRET_KEYS[auth.kind] if not value.get(key, "").strip()]:
        where, what = f"Secret {namespace}/{shown(name)}", f"lacks {', '.join(missing)} for auth.{auth.kind}"
        reason = ConnectionReason.SECRET_KEY_MISSING
        raise CredentialsError(f"{where} {what}", reason, step=where, brief=f"{what}: add it")
    if auth.kind == "accessKey":
        return AccessKey(value["accessKey"], value["secretKey"], value.get("securityToken") or None)
    if auth.kind == "token":
        return Token(value["token"])
    return Password(value["username"], value["password"], value["domainName"], auth.iam_endpoint or "")


def _text(secret: Secret, key: str, namespace: str, name: str) -> str:
    """Return a value without the line ends at its end, which `echo` and editors leave there; nothing else is cut."""
    try:
        return _bytes(secret, key, namespace, name).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        what = f"key {shown(key)} of Secret {namespace}/{shown(name)} is no text: write the value itself, in UTF-8"
        raise CredentialsError(what, ConnectionReason.SECRET_KEY_MISSING) from None


def _bytes(secret: Secret, key: str, namespace: str, name: str) -> bytes:
    value = secret.get(key, b"")
    if isinstance(value, Refused):
        what = f"key {shown(key)} of Secret {namespace}/{shown(name)} {value.why}"
        raise CredentialsError(what, ConnectionReason.SECRET_KEY_MISSING)
    return value


def authority_of(spec: ConnectionSpec, secrets: Secrets, namespace: str) -> str | None:
    """Return the certificates of the CA that a connection names, as PEM; None where it names none.

    Raises CredentialsError where there are none to be read.
    """
    file, where = spec.ca_bundle, _place_of_authority(spec, namespace)
    if spec.ca_secret:
        name, key = spec.ca_secret
        file = _bytes(secrets[name], key, namespace, name)
        if not file.strip():
            what = f"Secret {namespace}/{shown(name)} lacks {shown(key)} for tls.caSecretRef"
            raise CredentialsError(what, ConnectionReason.SECRET_KEY_MISSING)
    if file is None:
        return None
    try:
        return "".join(certificates_in(file))
    except PemError as error:
        raise CredentialsError(f"{where} {error}", ConnectionReason.SECRET_KEY_MISSING) from None


def _place_of_authority(spec: ConnectionSpec, namespace: str) -> str:
    if not spec.ca_secret:
        return "spec.tls.caBundle"
    name, key = spec.ca_secret
    return f"key {shown(key)} of Secret {namespace}/{shown(name)}"


def trust_in(authority: str | None, spec: ConnectionSpec, namespace: str) -> ssl.SSLContext | None:
    """Return the trust in that CA and in no other; None for the public ones.

    Raises CredentialsError where OpenSSL cannot read a certificate, or none of them is that of a CA.
    """
    if authority is None:
        return None
    try:
        context = ssl.create_default_context(cadata=authority)
        number = len(context.get_ca_certs(binary_form=True))
    except (ssl.SSLError, ValueError):
        number = 0
    if not number:
        where = _place_of_authority(spec, namespace)
        what = f"{where} holds no CA certificate that can be read: write PEM certificates of a CA"
        raise CredentialsError(what, ConnectionReason.SECRET_KEY_MISSING)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # private authorities leave out what Python 3.13 began to ask for
    return context
