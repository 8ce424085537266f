"""The commands and queries that a page of the documentation tells its readers to run, one by one.

A command is a line of a block `sh`, or a line of a block `console` that begins with `$ `, with the lines that it goes
on over: after a backslash, after `|`, or within a quoted string. A query is a line of a block `promql`. What stands in
the text between backticks counts where it begins with `kubectl` and names an object, a file or a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .deployed import ROOT

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_COMMENT = re.compile(r"\s{2,}# .*$")
_SPAN = re.compile(r"`(kubectl [^`]+)`")


@dataclass(frozen=True)
class Documented:
    """A command or a query, and the heading that it stands under."""

    page: str
    section: str
    text: str

    @property
    def name(self) -> str:
        """What names it in the list of tests."""
        return f"{self.section}: {self.text}"


def commands(page: str) -> list[Documented]:
    """Return the commands of a page, a path from the root of the project."""
    return [*_of(page, ("sh", "console")), *_between_backticks(page)]


def queries(page: str) -> list[Documented]:
    """Return the queries of a page."""
    return _of(page, ("promql",))


def _of(page: str, languages: tuple[str, ...]) -> list[Documented]:
    text = (ROOT / page).read_text(encoding="utf-8")
    prose = _prose(text)
    return [
        Documented(page, _section(prose, found.start()), line)
        for found in _FENCE.finditer(text)
        if found[1] in languages
        for line in _lines(found[1], found[2])
    ]


def _between_backticks(page: str) -> Iterator[Documented]:
    prose = _prose((ROOT / page).read_text(encoding="utf-8"))
    for found in _SPAN.finditer(prose):
        words = re.sub(r"\s+", " ", found[1])
        if len(words.split()) > 3:
            yield Documented(page, _section(prose, found.start()), words)


def _prose(text: str) -> str:
    """Return a page with its blocks blanked out, so that what is left stays where it was."""
    return _FENCE.sub(lambda found: " " * len(found[0]), text)


def _section(prose: str, at: int) -> str:
    return _HEADING.findall(prose[:at])[-1]


def _lines(language: str, text: str) -> Iterator[str]:
    whole = ""
    for line in text.splitlines():
        if language == "console" and not whole:
            if not line.startswith("$ "):
                continue  # what a command prints
            line = line[2:]
        line = _COMMENT.sub("", line)
        whole = f"{whole}\n{line}" if whole else line
        if language != "promql" and (line.rstrip().endswith(("\\", "|")) or whole.count("'") % 2):
            continue
        if whole.strip():
            yield whole
        whole = ""
