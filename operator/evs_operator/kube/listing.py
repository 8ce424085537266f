"""Lists in pages that are small in bytes: an object may have 1 MB of labels, and a tenant a thousand of them.

The watch, the resync and the care of connections read every list through `pages`, one page at a time. A page that grows
beyond `PAGE_BYTES` is given up while it is read and asked for again with a quarter of the objects; where pages stay
small the next one has twice as many. A page is emptied before the next one is asked for: whoever goes through them
takes what is needed out of each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from evs_operator.observe.wording import Ours

from .api import ANSWER_BYTES, AnswerTooLargeError, KubeApi, KubeError

PAGE_BYTES: Final = 4 * 1024 * 1024
_FIRST: Final = 25
_MOST: Final = 250
_SHRINKS_BY: Final = 4


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a list; `version` is the resourceVersion at which a watch goes on."""

    items: list[Mapping[str, object]]
    version: str


async def pages(api: KubeApi, path: str, accept: str = "application/json") -> AsyncIterator[Page]:
    """Yield a collection page by page; raises KubeError, 410 where it took so long that it has to be read anew."""
    limit, token = _FIRST, ""
    while True:
        params = {"limit": str(limit)} | ({"continue": token} if token else {})
        most = PAGE_BYTES if limit > 1 else ANSWER_BYTES
        try:
            answer = await api.answer("GET", path, params=params, accept=accept, most=most)
        except AnswerTooLargeError:
            if limit == 1:
                raise
            limit = max(limit // _SHRINKS_BY, 1)
            continue
        page, token = _page(answer.body, path)
        if 2 * answer.size <= PAGE_BYTES:
            limit = min(2 * limit, _MOST)
        del answer
        yield page
        page.items.clear()  # while the next page is read, this one is let go
        if not token:
            return


def _page(body: Mapping[str, object], path: str) -> tuple[Page, str]:
    """Return a page and the token of the next one, "" after the last; an answer that is no list is an error."""
    items, metadata = body.get("items", False), body.get("metadata")
    items = [] if items is None else items  # as Go writes an empty list
    if isinstance(metadata, dict) and isinstance(items, list) and str(body.get("kind")).endswith("List"):
        version, token = metadata.get("resourceVersion"), metadata.get("continue")
        if isinstance(version, str) and version and all(isinstance(item, dict) for item in items):
            return Page(items, version), str(token or "")
    what = f"GET {path}: the answer is no list: something else answers in place of the API server"
    raise KubeError(0, Ours(what))
