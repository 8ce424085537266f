"""What code, tests, docs, charts and examples cite is here to be read: a page of the project and a heading in it.

Links of the pages themselves are followed in `test_documentation.py`; here it is text that names a page, as docstrings,
comments and manifests do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.headings import anchors_of

_ROOT = Path(__file__).parents[2]
_TOPS = ("operator", "tests", "docs", "charts", "crds", "deploy", "argocd", "examples", "benchmarks")
_CITED = re.compile(r"(?<![\w/.-])(?<!> )(?P<page>(?:[\w.-]+/)*[\w.-]*\w\.md)\b(?:#(?P<heading>[\w-]+))?")
_BY_NUMBER = re.compile(r"\bsections? \d|\bAPI page \d|\bdesign(?:'s table|,? section| \d)", re.IGNORECASE)
_WRITTEN_BY_TESTS = {"tests/unit/test_citations.py", "tests/unit/test_documentation.py"}


def _texts() -> Iterator[tuple[str, str]]:
    """Yield path and text of every file that may cite a page."""
    for top in _TOPS:
        for path in sorted((_ROOT / top).rglob("*")):
            name = str(path.relative_to(_ROOT))
            if path.suffix in {".py", ".md", ".yaml", ".txt", ".sh", ".go", ".tpl", ".lua"} and path.is_file():
                yield name, path.read_text(encoding="utf-8")


def _broken(name: str, text: str) -> Iterator[str]:
    """Yield the citations of a text that lead nowhere, or to a document by the numbers of its sections."""
    in_code = re.sub(r"https?://\S+", "", text)
    for found in _CITED.finditer(in_code):
        page = _page(name, found["page"])
        if page is None or (found["heading"] and found["heading"] not in anchors_of(page)):
            yield f"{name}: {found[0]}"
    yield from (f"{name}: {found[0]}" for found in _BY_NUMBER.finditer(text))


def _page(name: str, cited: str) -> Path | None:
    """Return the page that a citation means: from the root of the project, from beside the file, or from docs/."""
    places = (_ROOT, (_ROOT / name).parent, _ROOT / "docs", _ROOT / "docs" / "reference")
    return next((place / cited for place in places if (place / cited).is_file()), None)


def test_every_page_that_is_cited_is_there_with_the_heading_that_is_cited() -> None:
    texts = [(name, text) for name, text in _texts() if name not in _WRITTEN_BY_TESTS]
    assert sum(text.count("docs/reference/jobs-api.md#") for _, text in texts) > 25
    assert [broken for name, text in texts for broken in _broken(name, text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "as evs-api.md has it",
        "docs/reference/jobs-api.md#no-such-heading",
        "see design section 4",
        "the order of section 14",
        "the row of the design's table",
    ],
)
def test_a_document_that_no_reader_has_is_found(text: str) -> None:
    assert list(_broken("operator/x.py", text))


@pytest.mark.parametrize("text", ["docs/reference/jobs-api.md#errors", "see CHANGELOG.md", "https://example.com/a.md"])
def test_what_a_reader_has_may_be_cited(text: str) -> None:
    assert list(_broken("operator/x.py", text)) == []
