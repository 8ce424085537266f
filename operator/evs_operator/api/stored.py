"""Reads a status that the API server holds into the types that we decide with: what is of another type is absent.

Called for each version of an object that the watch, a LIST or a GET brings. Others may write to a status too, and an
older CRD may have let through what ours would not: nothing but our fields, in their types and within their sizes, comes
past here, so that no code behind it has to ask. The readers are made of the annotations of the status types, so a new
field needs nothing here. Deliberately not done: whether the values make sense together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, TypedDict, cast, get_args, get_origin, get_type_hints, is_typeddict

from .conditions import Condition
from .status import CONDITION_TYPES, EvsJobStatus

MOST_TEXT: Final = 4096
"""Characters of a text; the longest that we write has 1024."""
_MOST_ITEMS: Final = 500
"""Items of a list or a map; the longest that we write are the 500 volume ids."""
_CONNECTION_CONDITIONS: Final = ("Ready", "Reconciling", "Stalled")
_CONDITION_FIELDS: Final = len(Condition.__annotations__)
_VALUES: Final = ("True", "False", "Unknown")

_Reader = Callable[[object], object]
"""Returns the value, None for what is not of the type."""


class StoredConnectionStatus(TypedDict, total=False):
    """The part of a connection's status that is ours."""

    observedGeneration: int
    conditions: list[Condition]


def job_status(raw: object) -> EvsJobStatus:
    """Return our part of what is stored as the status of an EvsJob."""
    return cast(EvsJobStatus, _status(raw, _JOB, CONDITION_TYPES))


def connection_status(raw: object) -> StoredConnectionStatus:
    """Return our part of what is stored as the status of a connection."""
    return cast(StoredConnectionStatus, _status(raw, _CONNECTION, _CONNECTION_CONDITIONS))


def same_connection_status(one: StoredConnectionStatus, other: StoredConnectionStatus) -> bool:
    """Return whether two statuses of a connection say the same, whatever the order of their conditions."""
    if one.get("observedGeneration") != other.get("observedGeneration"):
        return False
    return {c["type"]: c for c in one.get("conditions", [])} == {c["type"]: c for c in other.get("conditions", [])}


def mapping(value: object) -> Mapping[str, object]:
    """Return an object as it is, and what is none as an empty one."""
    return value if isinstance(value, Mapping) else {}


def newer_version(one: str, other: str) -> bool:
    """Return whether a resourceVersion came after another; of versions that are no numbers each is news."""
    try:
        return int(one) > int(other)
    except ValueError:
        return one != other


def _status(raw: object, readers: Mapping[str, _Reader], own: tuple[str, ...]) -> dict[str, object]:
    if type(raw) is not dict and not isinstance(raw, Mapping):
        return {}
    status: dict[str, object] = {}
    for key, value in raw.items():
        reader = readers.get(key)
        if reader is _text:  # most are, and this runs for every version of every object
            if type(value) is str and len(value) <= MOST_TEXT:
                status[key] = value
        elif reader is not None and (found := reader(value)) is not None:
            status[key] = found
    if "conditions" in raw:
        found = _conditions(raw["conditions"], own)
        if found is not None:
            status["conditions"] = found
    return status


def _conditions(raw: object, own: tuple[str, ...]) -> list[object] | None:
    """Return our own conditions, each type once; those of others are none of our business, however many there are."""
    if not isinstance(raw, list):
        return None
    found: dict[str, object] = {}
    for item in raw:
        if type(item) is not dict:
            continue
        kind = item.get("type")
        if kind in own and kind not in found and _is_condition(item):
            found[kind] = item if len(item) == _CONDITION_FIELDS else _plain(item)
    return list(found.values())


def _is_condition(item: Mapping[str, object]) -> bool:
    reason, message, since = item.get("reason"), item.get("message"), item.get("lastTransitionTime")
    return (
        type(reason) is str
        and type(message) is str
        and type(since) is str
        and len(reason) + len(message) + len(since) <= MOST_TEXT
        and item.get("status") in _VALUES
        and type(item.get("observedGeneration", 0)) is int
    )


def _plain(item: Mapping[str, object]) -> dict[str, object]:
    return {key: item[key] for key in Condition.__annotations__ if key in item}


def _text(value: object) -> object:
    return value if type(value) is str and len(value) <= MOST_TEXT else None


def _number(value: object) -> object:
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def _reader_of(hint: Any) -> _Reader:
    """Make the reader of a type; raises TypeError for one that no status has."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is str:
        return _text
    if hint is int:
        return _number
    if origin is list:
        return _list_of(_reader_of(arguments[0]))
    if origin is dict:
        return _map_of(_reader_of(arguments[1]))
    if is_typeddict(hint):
        return _object_of({key: _reader_of(inner) for key, inner in get_type_hints(hint).items()}, whole=hint.__total__)
    raise TypeError(f"{hint}: no reader")


def _list_of(item: _Reader) -> _Reader:
    def read(value: object) -> object:
        if not isinstance(value, list):
            return None
        return [found for raw in value[:_MOST_ITEMS] if (found := item(raw)) is not None]

    return read


def _map_of(item: _Reader) -> _Reader:
    def read(value: object) -> object:
        if type(value) is not dict and not isinstance(value, Mapping):
            return None
        some = value.items() if len(value) <= _MOST_ITEMS else islice(value.items(), _MOST_ITEMS)
        return {key: found for key, raw in some if (found := item(raw)) is not None and _text(key) is not None}

    return read


def _object_of(readers: Mapping[str, _Reader], *, whole: bool) -> _Reader:
    """Read an object by its fields; `whole` means that it is none where one of them is missing."""

    def read(value: object) -> object:
        if type(value) is not dict and not isinstance(value, Mapping):
            return None
        found = {key: got for key, raw in value.items() if key in readers and (got := readers[key](raw)) is not None}
        return None if not found or (whole and len(found) < len(readers)) else found

    return read


_JOB: Final = {key: _reader_of(hint) for key, hint in get_type_hints(EvsJobStatus).items() if key != "conditions"}
_CONNECTION: Final = {"observedGeneration": _reader_of(int)}
