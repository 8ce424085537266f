"""Output for programs: one document of JSON or YAML, or names. Safe in a terminal too: what is no letter is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Value = Any  # of JSON
_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_LONGEST_KEY: Final = 1000
"""A key of more than 1024 letters must say that it is one."""
_WORDS: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"))


def listed(objects: Sequence[Value], *, single: bool) -> Value:
    """Return what stands for these objects in a document: the one itself if one was asked for, else a List."""
    if single and len(objects) == 1:
        return objects[0]
    return {"apiVersion": "v1", "items": list(objects), "kind": "List"}


def document(value: Value, form: str) -> str:
    """Return a value as one document of `json` or `yaml`, without a line end after it."""
    if form == "json":
        return json.dumps(value, indent=4)
    return "\n".join(_yaml(value, 0))


def one_line(value: Value) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(value, separators=(",", ":"))


def resource_name(name: str) -> str:
    """Return how kubectl names an EvsJob in `-o name`."""
    return f"evsjob.evs-operator.dev/{name}"


def _yaml(value: Value, depth: int) -> Iterator[str]:
    """Yield the lines of a value; a scalar is one line without indentation."""
    indent = "  " * depth
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            name, is_list = _scalar(str(key)), isinstance(inner, list)
            if len(name) > _LONGEST_KEY:
                yield f"{indent}? {name}"
                name = ""
            yield from _entry(f"{indent}{name}:", inner, depth + (not is_list or not name))
    elif isinstance(value, list) and value:
        for inner in value:
            lines = list(_yaml(inner, depth + 1))
            yield f"{indent}- {lines[0].lstrip(' ')}"
            yield from lines[1:]
    else:
        yield indent + _scalar(value)


def _entry(key: str, value: Value, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping | list) and value:
        yield key
        yield from _yaml(value, depth)
    else:
        yield f"{key} {_scalar(value)}"


def _scalar(value: Value) -> str:
    if not isinstance(value, str):
        text = json.dumps(value)  # also {} and []
        return re.sub(r"^(-?\d+)e", r"\1.0e", text)  # YAML 1.1 takes 1e-05 for a text
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    # YAML reads JSON's strings, but no pairs of surrogates.
    return re.sub(r"[^ -~]", lambda found: _escaped(found[0]), json.dumps(value, ensure_ascii=False))


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
