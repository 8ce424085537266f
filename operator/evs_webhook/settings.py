"""Settings of `evs-operator webhook`: flags over environment over defaults.

Called by the command line of the operator, which imports nothing else of this package before the settings are right.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evs_operator.flags import (
    LogFormat,
    Reader,
    SettingsError,
    parse_address,
    parse_log_format,
    parse_log_level,
    parse_namespace,
    parse_path,
    whole_number,
)

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


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `webhook`."""
    add = parser.add_argument
    add("--listen", metavar="HOST:PORT", help="where callers reach the webhook; default: :8443")
    add("--tls-cert-file", metavar="FILE", help="certificate (PEM, with its chain); read again when it changes")
    add("--tls-key-file", metavar="FILE", help="key of the certificate (PEM); read again when it changes")
    add(
        "--plain-http",
        action="store_true",
        default=None,
        help="serve without TLS, if something in front of the webhook ends it: tokens are then in clear behind that",
    )
    add("--http-address", metavar="HOST:PORT", help="/healthz, /readyz and /metrics; default: :8080")
    add("--kubeconfig", metavar="FILE", help="kubeconfig; default: in-cluster configuration, then KUBECONFIG")
    add("--namespace", action="append", metavar="NS", help="namespace to serve (repeatable); default: all")
    add("--max-wait-seconds", metavar="SECONDS", help="longest wait of one request; default: 300")
    add("--max-waiters", metavar="NUMBER", help="requests that wait at a time; default: 1000")
    add("--log-format", metavar="json|text", help="default: json")
    add("--log-level", metavar="LEVEL", help="debug, info, warning or error; default: info")


def read_settings(flags: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> WebhookSettings:
    """Return the settings; raise SettingsError for the first value that is not allowed."""
    read = Reader(vars(flags), environ)
    return WebhookSettings(
        listen=read.one("listen", parse_address, ("", 8443)),
        certificate=_certificate(read),
        http_address=read.one("http_address", parse_address, ("", 8080)),
        kubeconfig=read.one("kubeconfig", parse_path, None),
        namespaces=read.many("namespace", parse_namespace),
        max_wait_seconds=read.one("max_wait_seconds", whole_number(1, _LONGEST_WAIT), 300),
        max_waiters=read.one("max_waiters", whole_number(1, _MOST_WAITERS), 1000),
        log_format=read.one("log_format", parse_log_format, "json"),
        log_level=read.one("log_level", parse_log_level, "info"),
    )


def _certificate(read: Reader) -> tuple[Path, Path] | None:
    certificate = read.one("tls_cert_file", parse_path, None)
    key = read.one("tls_key_file", parse_path, None)
    plain = read.flag("plain_http")
    if plain and (certificate or key):
        raise SettingsError("--plain-http: leave out --tls-cert-file and --tls-key-file, or leave out this")
    if plain:
        return None
    if certificate is None or key is None:
        raise SettingsError("write --tls-cert-file and --tls-key-file, or --plain-http behind something that ends TLS")
    return certificate, key
