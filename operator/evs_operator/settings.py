"""Settings of `evs-operator run`, `check` and `endpoints`, and the flags that they are read from.

Called by `cli`. How a value is found, and what a wrong one says, is the business of `flags`. Which kubeconfig is used
if none is named is `kube.cluster`'s to find out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from evs_operator.api.object_names import is_namespace_name, is_object_name

from .common_flags import (
    LogFormat,
    http_address_flag,
    is_host,
    kubeconfig_flag,
    log_flags,
    namespaces_flag,
    parse_namespace,
)
from .flags import SettingsError, Value, flag, switch

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


def endpoint_flags() -> list[click.Option]:
    """Return the flags that say which endpoints may be called; `endpoints` takes these alone."""
    allowed = "origin, or https://*.example.com, that connections may name besides the public clouds (repeatable)"
    none = "allow no public cloud, only what --allow-endpoint names; `evs-operator endpoints` lists what is allowed"
    return [
        flag("--allow-endpoint", "URL", Value(_endpoint), allowed, field="allow_endpoints", repeatable=True),
        switch("--no-default-endpoints", none),
    ]


def run_flags() -> list[click.Option]:
    """Return the flags of `run`."""
    return [*_common_flags(), http_address_flag()]


def check_flags() -> list[click.Option]:
    """Return the flags of `check`: those of `run` that say where and as whom, and what to look at."""
    connection = "try this EvsConnection, or this ClusterEvsConnection, and say what is wrong with it"
    user = "look at the rights of this user, such as system:serviceaccount:NS:NAME"
    project = "project to ask --connection for"
    return [
        *_common_flags(),
        flag("--connection", "NS/NAME|NAME", Value(_connection), connection),
        flag("--as", "USER", Value(_user), user, field="as_user"),
        flag("--project", "ID", Value(_project), project, without="the connection's"),
    ]


def _common_flags() -> list[click.Option]:
    return [
        kubeconfig_flag(),
        namespaces_flag("namespace to work in (repeatable)"),
        _operator_namespace_flag(),
        *endpoint_flags(),
        *_auth_flags(),
        *log_flags(),
        switch("--leader-elect/--no-leader-elect", "work only while holding the Lease, for more than one replica"),
    ]


def _operator_namespace_flag() -> click.Option:
    what = "where Secrets of ClusterEvsConnections are"
    own = f"the pod's own, else {_DEFAULT_NAMESPACE}"
    return flag("--operator-namespace", "NS", Value(parse_namespace), what, default=_own_namespace, without=own)


def _auth_flags() -> list[click.Option]:
    kinds = Value(_auth_kind, words=_AUTH_KINDS)
    auth = "way to sign in as the operator itself that ClusterEvsConnections may use (repeatable)"
    file = Value(_token_file, files=True)
    token = "identity token of the operator's ServiceAccount for auth.oidc"  # noqa: S105  # a help text
    return [
        flag("--allow-auth", "|".join(_AUTH_KINDS), kinds, auth, without="none", repeatable=True),
        flag("--oidc-token-file", "FILE", file, token, default=_OIDC_TOKEN_FILE),
    ]


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Return the settings by what click read for these flags; what a command has no flag for is as by default."""
    values = {name: value for name, value in given.items() if value is not None}
    return Settings(default_endpoints=not values.pop("no_default_endpoints"), **values)


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
    from evs_operator.cloud.endpoints import origin  # with aiohttp, which --help can do without

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
