"""The one redaction of the process: it knows every secret value that is held, and whose each is.

Logs are redacted with all of them. A status is redacted with those of its own namespace and with the shared ones, which
are the credentials of ClusterEvsConnections and the operator's own: or who may write a Secret in one namespace could
name another's volume, or SUCCESS, their token and have it masked in everybody's results.

Most texts are seen again and again: the words of a job at each poll, the names in each line of the log. What was
redacted is remembered until another secret is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from evs_operator.observe.literals import Literals
from evs_operator.observe.redact import Redactor

_MOST: Final = 20_000
"""Values remembered for each use; beyond, those that were held longest ago go first."""
_REMEMBERED: Final = 8192
_SHORT: Final = 256
"""Texts remembered, and characters of the longest one: 2 MB at the most, 0.6 MB as they come."""


class Redaction:
    """Callable that redacts with all secrets held now; `within` gives the one for the statuses of a namespace."""

    def __init__(self) -> None:
        self._all = Literals()
        self._shared = Literals()
        self._of: dict[str, Literals] = {}
        self._redactor = Redactor((), self._all)
        self._remember = lru_cache(_REMEMBERED)(self._redacted)

    def __call__(self, text: str) -> str:
        """Return text without secrets."""
        return self._redactor(text) if len(text) > _SHORT else self._remember(None, text)

    def within(self, namespace: str) -> Callable[[str], str]:
        """Return what redacts the texts that namespace may read; "" is for cluster-scoped objects."""

        def redact(text: str) -> str:
            scope = namespace if namespace in self._of else ""  # namespaces without a secret are redacted alike
            return self._redacted(scope, text) if len(text) > _SHORT else self._remember(scope, text)

        return redact

    def _redacted(self, scope: str | None, text: str) -> str:
        if scope is None:
            return self._redactor(text)
        own = self._of.get(scope)
        return (Redactor((), self._shared, own) if own is not None else Redactor((), self._shared))(text)

    def hold(self, literals: Iterable[str], namespace: str = "") -> None:
        """Redact these values of a namespace from now on, "" for all; those held before may still come back."""
        values = list(literals)
        own = self._of.setdefault(namespace, Literals()) if namespace else self._shared
        before = len(self._all), len(own)
        for known in (self._all, own):
            known.add(values)
            if len(known) > _MOST:
                known.keep_newest(_MOST * 3 // 4)
        if (len(self._all), len(own)) != before:
            self._remember.cache_clear()
