"""One way to an API server: address, trust, proxy and identity, as a configuration says at one moment.

`cluster` holds the one that is in use and makes another where the files behind it changed. Nothing is read here but
files of certificates.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Authorize = Callable[[], Awaitable[tuple[str, str]]]
"""Returns the value of the Authorization header and the secret in it; both "" where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """`files` are those whose text became this value; `impersonate` are headers. `proxy` is an address by http."""

    server: str
    authorize: Authorize = field(repr=False)
    ca_file: str | None = None
    ca_data: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    impersonate: tuple[tuple[str, str], ...] = ()
    files: tuple[Path, ...] = ()

    def tls(self) -> ssl.SSLContext:
        """Return the trust and the client certificate that the configuration names; raises OSError, ValueError."""
        context = ssl.create_default_context(cafile=self.ca_file, cadata=self.ca_data)
        if self.server_name:
            context = _Named(self.server_name, context, self.ca_file, self.ca_data)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # clusters have certificates without all extensions
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file)
        if not self.verify:  # the user's kubeconfig says insecure-skip-tls-verify
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def for_others(self) -> Way:
        """Return the same way without anything that says who we are: a client certificate would be our signature."""
        return replace(self, authorize=_nobody, certificate_file=None, key_file=None, impersonate=())

    def digest(self) -> bytes:
        """Return what changes where a file behind this changes; one that cannot be read counts as empty."""
        certificates = (self.ca_file, self.certificate_file, self.key_file)
        found = hashlib.sha256()
        for path in (*self.files, *(Path(name) for name in certificates if name)):
            try:
                found.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError:
                found.update(b"-")
        return found.digest()


async def _nobody() -> tuple[str, str]:
    return "", ""


class _Named(ssl.SSLContext):
    """Trust for a server whose certificate is for another name than its address: `tls-server-name`.

    The name is set where both event loops make a connection of TLS; kopf's requests name none.
    """

    def __new__(cls, name: str, *arguments: object) -> _Named:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, name: str, default: ssl.SSLContext, ca_file: str | None, ca_data: str | None) -> None:
        self._name = name
        self.minimum_version = default.minimum_version
        self.verify_flags = default.verify_flags
        if ca_file or ca_data:
            self.load_verify_locations(cafile=ca_file, cadata=ca_data)
        else:
            self.load_default_certs()

    def wrap_bio(self, *arguments: Any, **more: Any) -> ssl.SSLObject:
        """Wrap a connection, to the name."""
        return super().wrap_bio(*arguments, **{**more, "server_hostname": self._name})
