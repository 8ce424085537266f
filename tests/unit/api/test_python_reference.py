"""docs/reference/python.md: its examples run and print what it shows, and it names what is public."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from evs_operator import api

_ROOT = Path(__file__).resolve().parents[3]
_PAGE = _ROOT / "docs" / "reference" / "python.md"


def test_every_example_of_the_page_prints_what_the_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_ROOT)
    failed, tried = doctest.testfile(str(_PAGE), module_relative=False)
    assert tried > 10
    assert not failed


def test_every_function_that_the_page_names_is_public() -> None:
    named = set(re.findall(r"`(\w+)\((?:obj|obj, kind)\)`", _PAGE.read_text(encoding="utf-8")))
    assert len(named) > 12
    assert named <= set(api.__all__)
