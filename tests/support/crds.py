"""The CRDs as JSON schemas, for tests that check objects without an API server.

Tests call `check` with a whole object, or `problems` to see what is wrong. The schema of a CRD becomes a closed
one: the API server prunes a field that is not declared without a word, here it is a problem. Ids of
associative lists are checked for being unique, as the server does. Deliberately not done: CEL rules and
defaults, which need the real server (`tests/integration/test_crd_*.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = ROOT / "crds"
KINDS = ("EvsJob", "EvsConnection", "ClusterEvsConnection")

Schema = dict[str, Any]

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    """RFC 3339 with an offset, as the API server asks for."""
    return not isinstance(value, str) or ("T" in value and datetime.fromisoformat(value).tzinfo is not None)


@_FORMATS.checks("int32")
def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@_FORMATS.checks("int64")
def _is_int64(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@cache
def definition(kind: str) -> Mapping[str, Any]:
    """Return the CustomResourceDefinition of a kind as its file says."""
    for path in sorted(DIRECTORY.glob("*.yaml")):
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
        if manifest["spec"]["names"]["kind"] == kind:
            return dict(manifest)
    raise LookupError(f"no CRD of kind {kind} in {DIRECTORY}")


def default_status(kind: str) -> dict[str, Any]:
    """Return the status that the API server gives a new object of a kind."""
    properties = version(kind)["schema"]["openAPIV3Schema"]["properties"]
    return deepcopy(dict(properties["status"]["default"]))


def version(kind: str) -> Mapping[str, Any]:
    """Return the one version of a kind: schema, columns, subresources."""
    (only,) = definition(kind)["spec"]["versions"]
    return dict(only)


def schema(kind: str) -> Schema:
    """Return the schema of a kind as its file says."""
    return dict(version(kind)["schema"]["openAPIV3Schema"])


def fields(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every field below a schema with its path: properties, `[]` for items, `{}` for values of a map."""
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        child = node.get(key)
        if isinstance(child, dict):
            yield path + mark, child
            yield from fields(child, path + mark)


def problems(manifest: Mapping[str, Any]) -> list[str]:
    """Return what the API server would refuse or prune in an object, CEL rules aside; empty where all is well."""
    own = schema(manifest["kind"])
    found = [f"{error.json_path}: {error.message}" for error in _validator(manifest["kind"]).iter_errors(manifest)]
    return found + list(_duplicates(own, manifest, "$"))


def check(manifest: Mapping[str, Any]) -> None:
    """Fail with all problems of an object."""
    found = problems(manifest)
    assert not found, "\n".join(found)


@cache
def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(_closed(schema(kind)), format_checker=_FORMATS)


def _closed(node: Schema) -> Schema:
    """Forbid undeclared fields; `metadata` is the API server's own."""
    closed = dict(node)
    if "properties" in node:
        closed["properties"] = {name: _closed(child) for name, child in node["properties"].items()}
        closed["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            closed[key] = _closed(node[key])
    return closed


def _duplicates(node: Schema, value: object, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, child in node.get("properties", {}).items():
            if name in value:
                yield from _duplicates(child, value[name], f"{path}.{name}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        keys = node.get("x-kubernetes-list-map-keys")
        is_set = node.get("x-kubernetes-list-type") == "set"
        ids = [tuple(item.get(key) for key in keys) if keys else item for item in value] if keys or is_set else []
        yield from (f"{path}: {one!r} twice" for one in sorted({str(one) for one in ids if ids.count(one) > 1}))
        for index, item in enumerate(value):
            yield from _duplicates(node.get("items", {}), item, f"{path}[{index}]")
