"""Settings of `evs-operator webhook`, and the flags that they are read from.

Called by the command line of the operator, which imports nothing else of this package before the settings are right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from evs_operator.common_flags import (
    LogFormat,
    http_address_flag,
    kubeconfig_flag,
    log_flags,
    namespaces_flag,
    parse_address,
    parse_path,
    whole_number,
)
from evs_operator.flags import SettingsError, Value, flag, switch

_LONGEST_WAIT = 3600
_MOST_WAITERS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """How to serve. Addresses are (host, port), host "" for all; without `certificate` it is plain HTTP.

    `certificate` is the file of the certificate and that of its key. `namespaces` empty means all.
    """

    listen: tuple[str, int] = ("", 8443)
    certificate: tuple[Path, Path] | None = None
    http_address: tuple[str, int] = ("", 8080)
    kubeconfig: Path | None = None
    namespaces: tuple[str, ...] = ()
    max_wait_seconds: int = 300
    max_waiters: int = 1000
    log_format: LogFormat = "json"
    log_level: str = "info"


def webhook_flags() -> list[click.Option]:
    """Return the flags of `webhook`."""
    number = "requests that wait at a time"
    return [
        flag("--listen", "HOST:PORT", Value(parse_address), "where callers reach the webhook", default=":8443"),
        *_certificate_flags(),
        http_address_flag(),
        kubeconfig_flag(),
        namespaces_flag("namespace to serve (repeatable)"),
        flag("--max-wait-seconds", "SECONDS", _whole(_LONGEST_WAIT), "longest wait of one request", default="300"),
        flag("--max-waiters", "NUMBER", _whole(_MOST_WAITERS), number, default="1000"),
        *log_flags(),
    ]


def _certificate_flags() -> list[click.Option]:
    file = Value(parse_path, files=True)
    plain = "serve without TLS, if something in front of the webhook ends it: tokens are then in clear behind that"
    certificate = "certificate (PEM, with its chain); read again when it changes"
    return [
        flag("--tls-cert-file", "FILE", file, certificate),
        flag("--tls-key-file", "FILE", file, "key of the certificate (PEM); read again when it changes"),
        switch("--plain-http", plain),
    ]


def _whole(most: int) -> Value[int]:
    return Value(whole_number(1, most))


def settings_of(given: Mapping[str, Any]) -> WebhookSettings:
    """Return the settings by what click read for these flags; raise SettingsError if they contradict each other."""
    values = dict(given)
    files = values.pop("tls_cert_file"), values.pop("tls_key_file")
    return WebhookSettings(certificate=_certificate(*files, plain=values.pop("plain_http")), **values)


def _certificate(certificate: Path | None, key: Path | None, *, plain: bool) -> tuple[Path, Path] | None:
    if plain and (certificate or key):
        raise SettingsError("--plain-http: leave out --tls-cert-file and --tls-key-file, or leave out this")
    if plain:
        return None
    if certificate is None or key is None:
        raise SettingsError("write --tls-cert-file and --tls-key-file, or --plain-http behind something that ends TLS")
    return certificate, key
