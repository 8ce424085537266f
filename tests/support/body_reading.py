"""Finds code that lets an answer choose how it is read: `make lint` runs it over what talks to the outside.

`httpx.Response.text`, `.json()` and `.encoding` decode with whichever codec the answer names. Bodies are read by
`evs_operator.cloud.body` and by nothing else: no other module parses JSON or decodes with a codec it was told.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

OPERATOR: Final = Path(__file__).parents[2] / "operator" / "evs_operator"
READER: Final = OPERATOR / "cloud" / "body.py"
_CHOSEN_BY_THE_ANSWER: Final = frozenset(
    {"text", "json", "encoding", "charset", "charset_encoding", "apparent_encoding", "get_encoding", "default_encoding"}
    | {"iter_text", "aiter_text", "iter_lines", "aiter_lines"}
)
_READS_JSON: Final = frozenset({"load", "loads", "JSONDecoder"})


def faults(source: str) -> Iterator[str]:
    """Yield `line: what` for each place in a module's source that reads a body in a way of its own."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in _CHOSEN_BY_THE_ANSWER:
            yield f"{node.lineno}: .{node.attr} decodes as the answer says: use cloud.body"
        if isinstance(node, ast.Attribute) and node.attr in _READS_JSON and _named(node.value) == "json":
            yield f"{node.lineno}: json.{node.attr} outside of cloud.body"
        if isinstance(node, ast.ImportFrom) and node.module == "json":
            yield f"{node.lineno}: imports from json, where cloud.body is to be used"
        if isinstance(node, ast.Call) and _decodes_by_name(node):
            yield f"{node.lineno}: decodes with a codec that is not written here"


def all_faults() -> list[str]:
    """Return `path:line: what` for each fault in the modules that read answers."""
    modules = sorted([*(OPERATOR / "cloud").glob("*.py"), *(OPERATOR / "check").glob("*.py")])
    return [
        f"{module.relative_to(OPERATOR.parents[1])}:{fault}"
        for module in modules
        if module != READER
        for fault in faults(module.read_text(encoding="utf-8"))
    ]


def _named(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _decodes_by_name(call: ast.Call) -> bool:
    """Tell whether a call is `decode(x)` or `codecs.lookup(x)` where x is no literal."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("decode", "lookup", "getdecoder"):
        return False
    if call.func.attr != "decode" and _named(call.func.value) != "codecs":
        return False
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "encoding")]
    return any(not isinstance(value, ast.Constant) for value in given)


if __name__ == "__main__":
    found = all_faults()
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))
