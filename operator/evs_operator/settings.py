"""Settings of `evs-operator run` and `check`: flags over environment over defaults, checked one by one.

Called by `cli`. A wrong value is a SettingsError that names the flag or variable and says what is allowed.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

from evs_operator.cloud.endpoints import EndpointNotAllowed, origin

ENV_PREFIX: Final = "EVS_OPERATOR_"
T = TypeVar("T")
LogFormat = Literal["json", "text"]
LOG_FORMATS: Final = ("json", "text")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_WILDCARD = re.compile(r"https://\*(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?){2,}(:[0-9]{1,5})?", re.IGNORECASE)
_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class SettingsError(ValueError):
    """A flag or variable has a value that is not allowed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run. `namespaces` empty means all; `http_address` is (host, port), host "" for all addresses."""

    kubeconfig: Path | None = None
    namespaces: tuple[str, ...] = ()
    operator_namespace: str = "evs-operator"
    allow_endpoints: tuple[str, ...] = ()
    http_address: tuple[str, int] = field(default=("", 8080))
    leader_elect: bool = False
    log_format: LogFormat = "json"
    log_level: str = "info"


def add_flags(parser: argparse.ArgumentParser, *, run: bool) -> None:
    """Add the flags of `run`, or those of them that `check` takes."""
    add = parser.add_argument
    add("--kubeconfig", metavar="FILE", help="kubeconfig; default: in-cluster configuration, then KUBECONFIG")
    add("--namespace", action="append", metavar="NS", help="namespace to work in (repeatable); default: all")
    add("--operator-namespace", metavar="NS", help="where Secrets of ClusterEvsConnections are; default: the pod's own")
    add(
        "--allow-endpoint",
        action="append",
        metavar="URL",
        help="origin, or https://*.example.com, that connections may name besides the public clouds (repeatable)",
    )
    add("--log-format", metavar="json|text", help="default: json")
    add("--log-level", metavar="LEVEL", help="debug, info, warning or error; default: info")
    if run:
        add("--http-address", metavar="HOST:PORT", help="/healthz, /readyz and /metrics; default: :8080")
        add(
            "--leader-elect",
            action=argparse.BooleanOptionalAction,
            default=None,
            help="work only while holding the Lease, for more than one replica; default: no",
        )


def read_settings(flags: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; raise SettingsError for the first value that is not allowed."""
    read = _Reader(vars(flags), environ)
    return Settings(
        kubeconfig=read.one("kubeconfig", _path, None),
        namespaces=read.many("namespace", _namespace),
        operator_namespace=read.one("operator_namespace", _namespace, _own_namespace()),
        allow_endpoints=read.many("allow_endpoint", _endpoint),
        http_address=read.one("http_address", _address, ("", 8080)),
        leader_elect=read.flag("leader_elect"),
        log_format=read.one("log_format", _log_format, "json"),
        log_level=read.one("log_level", _log_level, "info"),
    )


class _Reader:
    """Finds each value, flag first, and names its place in an error."""

    def __init__(self, flags: Mapping[str, object], environ: Mapping[str, str]) -> None:
        self._flags = flags
        self._environ = environ

    def one(self, name: str, parse: Callable[[str], T], default: T) -> T:
        flag = self._flags.get(name)
        if flag is not None:
            return self._parsed(parse, str(flag), _flag_name(name))
        value = self._environ.get(_variable(name), "")
        return self._parsed(parse, value, _variable(name)) if value else default

    def many(self, name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        given = self._flags.get(name)
        if isinstance(given, Sequence) and given:
            return tuple(self._parsed(parse, str(value), _flag_name(name)) for value in given)
        values = [value.strip() for value in self._environ.get(_variable(name), "").split(",")]
        return tuple(self._parsed(parse, value, _variable(name)) for value in values if value)

    def flag(self, name: str) -> bool:
        given = self._flags.get(name)
        if given is not None:
            return bool(given)
        value = self._environ.get(_variable(name), "")
        return self._parsed(_boolean, value, _variable(name)) if value else False

    @staticmethod
    def _parsed(parse: Callable[[str], T], value: str, place: str) -> T:
        try:
            return parse(value)
        except SettingsError as error:
            raise SettingsError(f"{place}: {value!r} is not allowed: {error}") from None


def _flag_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def _variable(name: str) -> str:
    return ENV_PREFIX + name.upper()


def _own_namespace() -> str:
    try:
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip() or "evs-operator"
    except OSError:
        return "evs-operator"


def _path(value: str) -> Path:
    if not value.strip():
        raise SettingsError("write the path of a file")
    path = Path(value).expanduser()
    if not path.is_file():
        raise SettingsError("no such file")
    return path


def _namespace(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise SettingsError("write the name of a namespace, lower-case letters, digits and dashes")
    return value


def _endpoint(value: str) -> str:
    if "*" in value:
        if not _WILDCARD.fullmatch(value):
            raise SettingsError("write https://*.example.com, or an origin such as https://evs.example.com")
        return value.lower()
    try:
        return origin(value)
    except EndpointNotAllowed:
        raise SettingsError("write an origin such as https://evs.example.com, or https://*.example.com") from None


def _address(value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise SettingsError("write HOST:PORT or :PORT, with a port from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host, int(port)


def _log_format(value: str) -> LogFormat:
    if value == "json":
        return "json"
    if value == "text":
        return "text"
    raise SettingsError("write json or text")


def _log_level(value: str) -> str:
    if value.lower() not in LOG_LEVELS:
        raise SettingsError(f"write {', '.join(LOG_LEVELS[:-1])} or {LOG_LEVELS[-1]}")
    return value.lower()


def _boolean(value: str) -> bool:
    if value.lower() not in _BOOLEANS:
        raise SettingsError("write true or false")
    return _BOOLEANS[value.lower()]
