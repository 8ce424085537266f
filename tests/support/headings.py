"""The anchors of a page of Markdown, as GitHub makes them of its headings."""

from __future__ import annotations

import functools
import re
from collections import Counter
from pathlib import Path

_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@functools.cache
def anchors_of(page: Path) -> frozenset[str]:
    """Return the anchors of a page."""
    seen: Counter[str] = Counter()
    anchors = set()
    for heading in _HEADING.findall(page.read_text(encoding="utf-8")):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchors.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return frozenset(anchors)
