"""Settings of `evs-operator run` and `check`: flags over environment over defaults, checked one by one.

Called by `cli`. How a value is found, and what a wrong one says, is the business of `flags`. Which kubeconfig is used
if none is named is `kube.cluster`'s to find out.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from evs_operator.api.object_names import is_namespace_name, is_object_name
from evs_operator.cloud.endpoints import origin

from .flags import (
    LogFormat,
    Reader,
    is_host,
    parse_address,
    parse_log_format,
    parse_log_level,
    parse_namespace,
    parse_path,
)
from .flags import (
    SettingsError as SettingsError,
)

_DEFAULT_NAMESPACE: Final = "evs-operator"
_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# Two labels at least: https://*.com would trust everybody. No port: the allow-list looks at the host alone.
_WILDCARD = re.compile(r"https://\*(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?){2,}", re.IGNORECASE)
_PROJECT = re.compile(r"[0-9a-f]{32}")
_AUTH_KINDS: Final = ("oidc", "instanceMetadata")
_OIDC_TOKEN_FILE: Final = "/var/run/secrets/evs-operator.dev/oidc/token"  # noqa: S105  # a path


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run. `namespaces` empty means all; `http_address` is (host, port), host "" for all addresses.

    `kubeconfig` None leaves the choice to the in-cluster configuration and `KUBECONFIG`; `allow_endpoints` are
    origins or `https://*.domain`, in lower case, besides the public clouds where `default_endpoints`. `allow_auth` are
    the ways to sign in as the operator itself that ClusterEvsConnections may use: `oidc` with the token in
    `oidc_token_file`, `instanceMetadata`. `connection` (namespace or "", name), `project` and `as_user` are of `check`.
    """

    kubeconfig: Path | None = None
    namespaces: tuple[str, ...] = ()
    operator_namespace: str = _DEFAULT_NAMESPACE
    allow_endpoints: tuple[str, ...] = ()
    default_endpoints: bool = True
    allow_auth: tuple[str, ...] = ()
    oidc_token_file: str = _OIDC_TOKEN_FILE
    http_address: tuple[str, int] = field(default=("", 8080))
    leader_elect: bool = False
    log_format: LogFormat = "json"
    log_level: str = "info"
    connection: tuple[str, str] | None = None
    project: str | None = None
    as_user: str = ""


def add_endpoint_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which endpoints may be called; `endpoints` takes these alone."""
    parser.add_argument(
        "--allow-endpoint",
        action="append",
        metavar="URL",
        help="origin, or https://*.example.com, that connections may name besides the public clouds (repeatable)",
    )
    parser.add_argument(
        "--no-default-endpoints",
        action="store_true",
        default=None,
        help="allow no public cloud, only what --allow-endpoint names; `evs-operator endpoints` lists what is allowed",
    )


def add_flags(parser: argparse.ArgumentParser, *, run: bool) -> None:
    """Add the flags of `run`, or those of them that `check` takes."""
    add = parser.add_argument
    add("--kubeconfig", metavar="FILE", help="kubeconfig; default: in-cluster configuration, then KUBECONFIG")
    add("--namespace", action="append", metavar="NS", help="namespace to work in (repeatable); default: all")
    add("--operator-namespace", metavar="NS", help="where Secrets of ClusterEvsConnections are; default: the pod's own")
    add_endpoint_flags(parser)
    add(
        "--allow-auth",
        action="append",
        metavar="oidc|instanceMetadata",
        help="way to sign in as the operator itself that ClusterEvsConnections may use (repeatable); default: none",
    )
    add(
        "--oidc-token-file",
        metavar="FILE",
        help=f"identity token of the operator's ServiceAccount for auth.oidc; default: {_OIDC_TOKEN_FILE}",
    )
    add("--log-format", metavar="json|text", help="default: json")
    add("--log-level", metavar="LEVEL", help="debug, info, warning or error; default: info")
    add(
        "--leader-elect",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="work only while holding the Lease, for more than one replica; default: no",
    )
    if not run:
        add(
            "--connection",
            metavar="NS/NAME|NAME",
            help="try this EvsConnection, or this ClusterEvsConnection, and say what is wrong with it",
        )
        add("--as", metavar="USER", help="look at the rights of this user, such as system:serviceaccount:NS:NAME")
        add("--project", metavar="ID", help="project to ask --connection for; default: the connection's")
    if run:
        add("--http-address", metavar="HOST:PORT", help="/healthz, /readyz and /metrics; default: :8080")


def read_settings(flags: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; raise SettingsError for the first value that is not allowed."""
    read = Reader(vars(flags), environ)
    return Settings(
        kubeconfig=read.one("kubeconfig", parse_path, None),
        namespaces=read.many("namespace", parse_namespace),
        operator_namespace=read.one("operator_namespace", parse_namespace, _own_namespace()),
        allow_endpoints=read.many("allow_endpoint", _endpoint),
        default_endpoints=not read.flag("no_default_endpoints"),
        allow_auth=read.many("allow_auth", _auth_kind),
        oidc_token_file=read.one("oidc_token_file", _token_file, _OIDC_TOKEN_FILE),
        http_address=read.one("http_address", parse_address, ("", 8080)),
        leader_elect=read.flag("leader_elect"),
        log_format=read.one("log_format", parse_log_format, "json"),
        log_level=read.one("log_level", parse_log_level, "info"),
        connection=read.one("connection", _connection, None),
        project=read.one("project", _project, None),
        as_user=read.one("as", _user, ""),
    )


def _own_namespace() -> str:
    try:
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip() or _DEFAULT_NAMESPACE
    except OSError:  # not in a pod
        return _DEFAULT_NAMESPACE


def _connection(value: str) -> tuple[str, str]:
    namespace, slash, name = value.rpartition("/")
    if not is_object_name(name) or (slash and not is_namespace_name(namespace)):
        raise SettingsError("write NAMESPACE/NAME of an EvsConnection, or NAME of a ClusterEvsConnection")
    return namespace, name


def _project(value: str) -> str:
    if not _PROJECT.fullmatch(value):
        raise SettingsError("write the project's id, 32 lower-case hexadecimal digits")
    return value


def _user(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise SettingsError("write the name of a user, such as system:serviceaccount:NAMESPACE:NAME")
    return value


def _endpoint(value: str) -> str:
    if "*" in value:
        if not _WILDCARD.fullmatch(value):
            raise SettingsError("write https://*.example.com, or an origin such as https://evs.example.com")
        return value.lower()
    try:
        parts = urlsplit(value)
        named = origin(value)
    except ValueError:
        parts = None
    if parts is None or parts.path not in ("", "/") or not is_host(parts.hostname or ""):
        raise SettingsError("write an origin such as https://evs.example.com, or https://*.example.com")
    return named


def _auth_kind(value: str) -> str:
    if value not in _AUTH_KINDS:
        raise SettingsError(f"write {' or '.join(_AUTH_KINDS)}")
    return value


def _token_file(value: str) -> str:
    # Not opened here: Kubernetes may write it later, and a connection that needs it says so.
    if not value.startswith("/") or "\0" in value:
        raise SettingsError("write the absolute path of a file")
    return value
