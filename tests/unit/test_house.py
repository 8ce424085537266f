"""The plan of the house: no folder of many rooms, no room that is a hall, no function longer than a page."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.deployed import ROOT

PACKAGE = ROOT / "operator" / "evs_operator"
MODULES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})


def _named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("folder", FOLDERS, ids=_named)
def test_a_folder_has_no_more_than_fifteen_modules(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if not path.stem.startswith("__")]) <= 15


@pytest.mark.parametrize("module", MODULES, ids=_named)
def test_a_module_has_no_more_than_300_lines_and_a_function_no_more_than_forty(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    assert [name for name, lines in _functions(text) if lines > 40] == []


def _functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1
