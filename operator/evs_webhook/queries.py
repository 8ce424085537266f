"""What a caller writes into path and query, checked before anything is asked with the caller's token.

A name that is no name, a parameter that is not known or is given twice, and a wait that is no time are 400. A segment
of a path that passes here can lead nowhere else in the API server. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from evs_operator.api import CLUSTER_EVS_CONNECTION, EVS_CONNECTION, ConnectionRef, JobState
from evs_operator.api.object_names import is_namespace_name, is_object_name

from .problems import Problem, bad_request, quoted

_WAIT = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[sm]?)")
_NUMBER = re.compile(r"[0-9]{1,10}")
_LONGEST_VALUE: Final = 4096
_STATES: Final = {state.value.lower(): state for state in JobState}


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of one request, by name."""

    values: dict[str, str]

    def wait(self, most: int) -> float:
        """Return the seconds to wait, 0 if the caller does not want to; never more than `most`."""
        text = self.values.get("wait")
        if text is None:
            return 0.0
        match = _WAIT.fullmatch(text)
        if not match:
            raise bad_request(f"wait: write 30s, 5m or a number of seconds, not {quoted(text)}")
        return float(min(int(match["number"]) * (60 if match["unit"] == "m" else 1), most))

    def number(self, name: str) -> int | None:
        """Return a whole number, None if it is not given."""
        text = self.values.get(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text):
            raise bad_request(f"{name}: write a whole number of seconds, not {quoted(text)}")
        return int(text)

    def connection(self) -> ConnectionRef | None:
        """Return the connection that is named: NAME, or cluster/NAME of a ClusterEvsConnection."""
        text = self.values.get("connection")
        if text is None:
            return None
        cluster, slash, name = text.rpartition("/")
        if not is_object_name(name) or (slash and cluster != "cluster"):
            raise bad_request(
                f"connection: write the name of an EvsConnection, or cluster/NAME of a ClusterEvsConnection,"
                f" not {quoted(text)}"
            )
        return ConnectionRef(CLUSTER_EVS_CONNECTION if slash else EVS_CONNECTION, name)

    def states(self) -> frozenset[JobState]:
        """Return the states that a list is limited to, all of them without a limit."""
        text = self.values.get("state")
        if text is None:
            return frozenset(JobState)
        words = [word.strip().lower().replace("-", "") for word in text.split(",")]
        if unknown := [word for word in words if word not in _STATES]:
            raise bad_request(f"state: write {', '.join(JobState)}, separated by commas, not {quoted(unknown[0])}")
        return frozenset(_STATES[word] for word in words)


def read_query(query_string: bytes, known: Collection[str]) -> Query:
    """Return the parameters; a Problem for one that is not known, given twice, not UTF-8 or too long."""
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError:
        raise bad_request("the query must be percent-encoded UTF-8 with at most 32 parameters") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            allowed = f"this path takes {', '.join(sorted(known))}" if known else "this path takes none"
            raise bad_request(f"unknown parameter {quoted(name)}: {allowed}")
        if name in values:
            raise bad_request(f"{name} is given twice")
        if len(value) > _LONGEST_VALUE or not value.isprintable():
            raise bad_request(f"{name}: at most {_LONGEST_VALUE} printable characters")
        values[name] = value
    return Query(values)


def check_path(namespace: str, name: str | None, served: Collection[str]) -> None:
    """Raise a Problem unless both can be names and the namespace is served (`served` empty means all)."""
    if not is_namespace_name(namespace):
        raise bad_request(f"{quoted(namespace)} cannot be the name of a namespace")
    if name is not None and not is_object_name(name):
        raise bad_request(f"{quoted(name)} cannot be the name of an EvsJob")
    if served and namespace not in served:
        raise Problem(404, f"namespace {quoted(namespace)} is not served by this webhook")
