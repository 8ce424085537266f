"""The steps that open a connection, in order: from its spec to a credential, and to whom is trusted.

Walked by `credential_loader`, and by `evs-operator check --connection`, which prints them: whether the allow-list and
the flags let the credential go there, its Secrets, what they hold, and the CA. The first step that fails raises
CredentialsError, which names it. Nothing is kept here, and nobody but the API server is asked.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from evs_operator.api.connection import PLATFORM_AUTH, ConnectionSpec
from evs_operator.api.object_names import shown
from evs_operator.api.reasons import ConnectionReason
from evs_operator.cloud.auth.credentials import Credentials
from evs_operator.cloud.endpoints import AllowList, EndpointNotAllowed
from evs_operator.kube.api import KubeError
from evs_operator.kube.secret import Secret

from .credential import secret_contents
from .credential.secret_contents import CredentialsError

ReadSecret = Callable[[str, str, tuple[str, ...]], Awaitable[Secret]]
"""Reads these keys of a Secret by namespace and name; raises KubeError."""
Passed = Callable[[str, str], object]
"""Called with the name of each step that is in order, and with what was found."""

_UNREADABLE: Final = (400, 403, 404)
"""HTTP statuses that say that a Secret cannot be had; others are trouble of the API server."""


@dataclass(frozen=True, slots=True)
class PlatformAuth:
    """Which ways to sign in as the operator itself are allowed (`oidc`, `instanceMetadata`), and its token's file."""

    kinds: frozenset[str] = frozenset()
    token_file: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the Secrets of a connection hold: its credential, and the CA to trust as PEM (None: the public ones)."""

    credentials: Credentials
    authority: str | None


class OpeningSteps:
    """Walks the steps; `passed` is called for each that is in order."""

    def __init__(
        self,
        allow: AllowList,
        platform: PlatformAuth,
        read: ReadSecret,
        passed: Passed = lambda step, found: None,
    ) -> None:
        self._allow = allow
        self._platform = platform
        self._read = read
        self._passed = passed

    async def open(self, spec: ConnectionSpec, namespace: str) -> Opened:
        """Return what is in the Secrets, read in that namespace; raises CredentialsError and KubeError.

        No Secret is read for an endpoint or a way to sign in that the operator does not allow.
        """
        self._check_endpoints(spec)
        self._check_way_to_sign_in(spec)
        secrets = await self._secrets_of(spec, namespace)
        credentials = self._credentials_of(spec, secrets, namespace)
        with _at("spec.tls"):
            return Opened(credentials, secret_contents.authority_of(spec, secrets, namespace))

    def trust(self, opened: Opened, spec: ConnectionSpec, namespace: str) -> ssl.SSLContext | None:
        """Return the trust in the connection's CA and no other, None for the public ones; raises CredentialsError."""
        with _at("spec.tls"):
            private = secret_contents.trust_in(opened.authority, spec, namespace)
        if private is not None:
            number = len(private.get_ca_certs(binary_form=True))
            self._passed("spec.tls", f"{number} CA certificates, the only ones that are trusted")
        return private

    def _check_endpoints(self, spec: ConnectionSpec) -> None:
        for step, endpoint in (
            ("endpoint", spec.endpoint),
            ("IAM endpoint", spec.auth.iam_endpoint),
            ("metadata service", spec.auth.metadata_endpoint),
        ):
            if not endpoint:
                continue
            try:
                self._allow.check(endpoint)
            except EndpointNotAllowed as error:
                brief = f"{error} (give `check` the flags of `run`)"
                raise CredentialsError(
                    str(error), ConnectionReason.ENDPOINT_NOT_ALLOWED, step=step, brief=brief
                ) from None
            self._passed(step, f"{endpoint} is allowed")

    def _check_way_to_sign_in(self, spec: ConnectionSpec) -> None:
        kind = spec.auth.kind
        if kind not in PLATFORM_AUTH:
            return
        step, what = f"auth.{kind}", "signs in as the operator itself"
        if kind not in self._platform.kinds:
            raise CredentialsError(
                f"{step} {what}: allow it with --allow-auth {kind}",
                ConnectionReason.AUTH_NOT_ALLOWED,
                step=step,
                brief=f"{what}, which is not allowed: give `run` and `check` --allow-auth {kind}",
            )
        self._passed(step, "is allowed")

    async def _secrets_of(self, spec: ConnectionSpec, namespace: str) -> secret_contents.Secrets:
        found = {}
        for name, keys in secret_contents.needed_keys(spec).items():
            try:
                found[name] = await self._read(namespace, name, keys)
            except KubeError as error:
                if error.status not in _UNREADABLE:
                    raise
                raise secret_contents.unreadable(namespace, name, error.status) from None
        return found

    def _credentials_of(self, spec: ConnectionSpec, secrets: secret_contents.Secrets, namespace: str) -> Credentials:
        if spec.auth.secret_name is None:
            return secret_contents.credentials_of(spec, secrets, namespace, self._platform.token_file)
        step = f"Secret {namespace}/{shown(spec.auth.secret_name)}"
        with _at(step):
            credentials = secret_contents.credentials_of(spec, secrets, namespace, self._platform.token_file)
        self._passed(step, f"has {', '.join(secret_contents.SECRET_KEYS[spec.auth.kind])}")
        return credentials


@contextmanager
def _at(step: str) -> Iterator[None]:
    """Name the step in a CredentialsError that names none."""
    try:
        yield
    except CredentialsError as error:
        error.step = error.step or step
        raise
