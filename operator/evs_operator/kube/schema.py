"""Which of our fields the API server does not know: compares the OpenAPI that it serves with what this version uses.

Called by `access` before watching starts, now and then by the supervisor, and by `evs-operator check`. Everybody who is
signed in may read the OpenAPI, so no permission on CRDs is needed for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from evs_operator.api.names import GROUP, PLURALS, VERSION
from evs_operator.api.schema import FIELDS
from evs_operator.api.stored import mapping

from .api import KubeApi, KubeError

_PATH: Final = f"/openapi/v3/apis/{GROUP}/{VERSION}"
_DEEPEST: Final = 16
_NAMED: Final = 8
"""Missing fields that a sentence names; the others are counted."""


async def missing_fields(api: KubeApi) -> Mapping[str, tuple[str, ...]] | None:
    """Return the fields that the served schema of each kind lacks, sorted; None where none can be had.

    Raises KubeError where the API server does not answer.
    """
    try:
        answer = await api.request("GET", _PATH)
    except KubeError as error:
        if error.status in (403, 404, 406):
            return None
        raise
    served: dict[str, set[str]] = {}
    for schema in mapping(mapping(answer.get("components")).get("schemas")).values():
        kind = _kind(schema)
        if kind in FIELDS:
            served[kind] = set(_paths(schema, ""))
    return {kind: tuple(sorted(FIELDS[kind] - fields)) for kind, fields in served.items() if FIELDS[kind] - fields}


def in_words(missing: Mapping[str, tuple[str, ...]]) -> str:
    """Say on one line which CRDs are older than this operator, and what they lack; "" where none is."""
    return "; ".join(f"the CRD {PLURALS[kind]}.{GROUP} {lacks(fields)}" for kind, fields in missing.items())


def lacks(fields: tuple[str, ...]) -> str:
    """Say what a CRD lacks, after its name."""
    more = f" and {len(fields) - _NAMED} more" if len(fields) > _NAMED else ""
    return f"is older than this operator, it lacks {', '.join(fields[:_NAMED])}{more}: apply crds/ of this version"


def _kind(schema: object) -> str:
    """Return the kind that a schema describes, "" for one of parts or of another group."""
    named = mapping(schema).get("x-kubernetes-group-version-kind")
    for item in named if isinstance(named, list) else ():
        found = mapping(item)
        if (found.get("group"), found.get("version")) == (GROUP, VERSION):
            return str(found.get("kind"))
    return ""


def _paths(schema: object, prefix: str, depth: int = 0) -> Iterator[str]:
    """Yield the properties of a schema as dotted paths, those of the items of lists as if they were its own."""
    if depth > _DEEPEST:
        return
    found = mapping(schema)
    for name, inner in mapping(found.get("properties")).items():
        path = f"{prefix}.{name}" if prefix else name
        yield path
        yield from _paths(inner, path, depth + 1)
    if "items" in found:
        yield from _paths(found["items"], prefix, depth + 1)
