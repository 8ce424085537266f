"""Flags over environment over defaults, checked one by one: what the settings of every command share.

Called by the settings of `run`, `check` and `webhook`. A wrong value is a SettingsError, one line that names the flag
or variable and says what is allowed. An empty variable counts as not set; an empty item in a list does not, or a stray
comma in EVS_OPERATOR_NAMESPACE would turn "these namespaces" into "all".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

from evs_operator.api.object_names import is_namespace_name
from evs_operator.redact.redactor import Redactor

LogFormat = Literal["json", "text"]

_T = TypeVar("_T")
_ENV_PREFIX: Final = "EVS_OPERATOR_"
_LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class SettingsError(ValueError):
    """A flag or variable has a value that is not allowed."""


class Reader:
    """Finds each value, flag first, and names its place in an error."""

    def __init__(self, flags: Mapping[str, object], environ: Mapping[str, str]) -> None:
        self._flags = flags
        self._environ = environ

    def one(self, name: str, parse: Callable[[str], _T], default: _T) -> _T:
        """Return the value of a flag or its variable, the default if neither is given; raises SettingsError."""
        flag = self._flags.get(name)
        if flag is not None:
            return self._parsed(parse, str(flag), _flag_name(name))
        value = self._environ.get(_variable(name), "")
        return self._parsed(parse, value, _variable(name)) if value else default

    def many(self, name: str, parse: Callable[[str], _T]) -> tuple[_T, ...]:
        """Return the values of a repeatable flag, or the items of its variable, each once; raises SettingsError."""
        given = self._flags.get(name)
        if isinstance(given, Sequence):
            place, values = _flag_name(name), [str(value) for value in given]
        else:
            place, listed = _variable(name), self._environ.get(_variable(name), "")
            values = [value.strip() for value in listed.split(",")] if listed else []
        return tuple(dict.fromkeys(self._parsed(parse, value, place) for value in values))

    def flag(self, name: str) -> bool:
        """Return whether a switch is on; raises SettingsError."""
        given = self._flags.get(name)
        if given is not None:
            return bool(given)
        value = self._environ.get(_variable(name), "")
        return self._parsed(parse_boolean, value, _variable(name)) if value else False

    @staticmethod
    def _parsed(parse: Callable[[str], _T], value: str, place: str) -> _T:
        try:
            return parse(value)
        except SettingsError as error:
            # A URL may hold a password, and this line ends up in somebody's log.
            raise SettingsError(f"{place}: {Redactor()(value)[:200]!r} is not allowed: {error}") from None


def _flag_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def _variable(name: str) -> str:
    return _ENV_PREFIX + name.upper()


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


def parse_boolean(value: str) -> bool:
    """Return what a variable says of a switch; raises SettingsError."""
    if value.lower() not in _BOOLEANS:
        raise SettingsError("write true or false")
    return _BOOLEANS[value.lower()]


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers within these bounds; it raises SettingsError."""

    def parse(value: str) -> int:
        if not value.isascii() or not value.isdigit() or len(value) > 9 or not least <= int(value) <= most:
            raise SettingsError(f"write a whole number from {least} to {most}")
        return int(value)

    return parse
