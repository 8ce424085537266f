"""The certificate of the webhook, read again when its files change.

Kubernetes replaces the files of a mounted Secret while the process runs (cert-manager renews them). Their contents
are compared every two seconds; a pair that fits is used for the next handshake, one that does not leaves the last one
in use. Connections that are open stay as they are.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

LOOK_EVERY: Final = 2.0

_log = logging.getLogger("evs_operator.webhook")


class CertificateError(Exception):
    """The certificate cannot be used; one line says which file and why."""


class Certificate:
    """A certificate with its key, in two files of PEM. Raises CertificateError if the first ones cannot be used."""

    def __init__(self, files: tuple[Path, Path]) -> None:
        self._files = files
        self._digest = self._contents()
        self._current = _context_of(files)
        self._outer = _context_of(files)
        self._outer.sni_callback = self._choose

    @property
    def context(self) -> ssl.SSLContext:
        """The context to listen with, for as long as the process runs."""
        return self._outer

    def look(self, on_result: Callable[[str], None]) -> None:
        """Take over what changed; `on_result` is called with `loaded` or `failed` if something did."""
        digest = self._contents()
        if digest == self._digest:
            return
        self._digest = digest
        try:
            self._current = _context_of(self._files)
        except CertificateError as error:
            _log.warning("the certificate changed and cannot be used, the last one stays: %s", error)
            on_result("failed")
            return
        _log.info("the certificate was read again")
        on_result("loaded")

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _contents(self) -> bytes:
        found = hashlib.sha256()
        for path in self._files:
            try:
                found.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError:  # it is being replaced
                found.update(b"-")
        return found.digest()


def _context_of(files: tuple[Path, Path]) -> ssl.SSLContext:
    certificate, key = files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # never asks a terminal
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        why = error.strerror or type(error).__name__ if isinstance(error, OSError) else type(error).__name__
        raise CertificateError(
            f"{certificate} and {key}: {why} (PEM, not encrypted, and made for each other?)"
        ) from None
    return context
