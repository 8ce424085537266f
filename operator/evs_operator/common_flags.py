"""Flags that several commands have, and what may be written for a flag: files, namespaces, addresses, numbers.

Called by the settings of every command. Each parser takes a text and returns what it means, or raises a SettingsError
that says what to write; which flag or variable it came from is `flags`' to add.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import click

from evs_operator.api.object_names import is_namespace_name

from .flags import SettingsError, Value, flag

LogFormat = Literal["json", "text"]

_LOG_FORMATS: Final = ("json", "text")
_LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")


def kubeconfig_flag() -> click.Option:
    """Return `--kubeconfig`."""
    where = "in-cluster configuration, then KUBECONFIG"
    return flag("--kubeconfig", "FILE", Value(parse_path, files=True), "kubeconfig", without=where)


def namespaces_flag(help: str) -> click.Option:
    """Return `--namespace`."""
    value = Value(parse_namespace)
    return flag("--namespace", "NS", value, help, field="namespaces", without="all", repeatable=True)


def http_address_flag() -> click.Option:
    """Return `--http-address`."""
    help = "address of /healthz, /readyz and /metrics"
    return flag("--http-address", "HOST:PORT", Value(parse_address), help, default=":8080")


def log_flags() -> list[click.Option]:
    """Return `--log-format` and `--log-level`."""
    formats, levels = Value(parse_log_format, words=_LOG_FORMATS), Value(parse_log_level, words=_LOG_LEVELS)
    return [
        flag("--log-format", "json|text", formats, "one object or one line for each record", default="json"),
        flag("--log-level", "LEVEL", levels, "debug, info, warning or error", default="info"),
    ]


def parse_path(value: str) -> Path:
    """Return a file that can be read; raises SettingsError."""
    if not value.strip():
        raise SettingsError("write the path of a file")
    try:
        named = Path(value).expanduser()
        with named.open("rb"):
            return named
    except OSError as error:
        raise SettingsError(f"write the path of a file that can be read ({error.strerror})") from None
    except (RuntimeError, ValueError):  # the home of an unknown user; a NUL byte
        raise SettingsError("write the path of a file that can be read") from None


def parse_namespace(value: str) -> str:
    """Return the name of a namespace; raises SettingsError."""
    if not is_namespace_name(value):
        raise SettingsError("write a namespace: 1 to 63 lower-case letters, digits and dashes, no dash at either end")
    return value


def parse_address(value: str) -> tuple[str, int]:
    """Return host ("" for all addresses) and port; raises SettingsError."""
    match = _ADDRESS.fullmatch(value)
    host = (match["v6"] or match["host"] or "") if match else ""
    if not match or int(match["port"]) > 65535 or (host and not is_host(host)):
        raise SettingsError("write HOST:PORT, :PORT or [IPv6]:PORT, with a port from 0 to 65535")
    return host, int(match["port"])


def is_host(value: str) -> bool:
    """Return whether a text is an address or the name of a host."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return _HOST.fullmatch(value) is not None
    return True


def parse_log_format(value: str) -> LogFormat:
    """Return the format of the log; raises SettingsError."""
    if value == "json":
        return "json"
    if value == "text":
        return "text"
    raise SettingsError("write json or text")


def parse_log_level(value: str) -> str:
    """Return the level of the log in lower case; raises SettingsError."""
    if value.lower() not in _LOG_LEVELS:
        raise SettingsError(f"write {', '.join(_LOG_LEVELS[:-1])} or {_LOG_LEVELS[-1]}")
    return value.lower()


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers within these bounds; it raises SettingsError."""

    def parse(value: str) -> int:
        if not value.isascii() or not value.isdigit() or len(value) > 9 or not least <= int(value) <= most:
            raise SettingsError(f"write a whole number from {least} to {most}")
        return int(value)

    return parse
