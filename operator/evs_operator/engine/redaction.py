"""The one redaction of the process: it knows every secret value that is held, and whose each is.

Logs are redacted with all of them. A status is redacted with those of its own namespace and with the shared ones, which
are the credentials of ClusterEvsConnections and the operator's own: or who may write a Secret in one namespace could
name another's volume, or SUCCESS, their token and have it masked in everybody's results.

Most texts are seen again and again: the words of a job at each poll, the names in each line of the log. What was
redacted is remembered until another secret is held.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache, partial
from itertools import chain
from typing import Final

from evs_operator.observe.literals import Literals
from evs_operator.observe.redact import Redactor, is_clean

_MOST: Final = 20_000
"""Values remembered for each use; beyond, those that were held longest ago go first."""
_KEPT: Final = 3600.0
"""Seconds for which the values of a namespace may still come back after its last connection is gone."""
_REMEMBERED: Final = 8192
_SHORT: Final = 256
"""Texts remembered, and characters of the longest one: 2 MB at the most, 0.6 MB as they come."""
_TOGETHER: Final = 100
"""Texts that are looked through at once: a secret in one of them costs no more than these a look of their own."""


class Redaction:
    """Callable that redacts with all secrets held now; `within` gives the one for the statuses of a namespace."""

    def __init__(self) -> None:
        self._all = Literals()
        self._shared = Literals()
        self._of: dict[str, Literals] = {}
        self._unused_since: dict[str, float] = {}
        self._redactor = Redactor((), self._all)
        self._remember = lru_cache(_REMEMBERED)(self._redacted)

    def __call__(self, text: str) -> str:
        """Return text without secrets."""
        return self._redactor(text) if len(text) > _SHORT else self._remember(None, text)

    def within(self, namespace: str, texts: Iterable[str] = ()) -> Callable[[str], str]:
        """Return what redacts the texts that namespace may read; "" is for cluster-scoped objects.

        `texts` are some that will come: many of them are looked through together, in a fifth of the time.
        """
        clean = self._clean(namespace, texts)

        def redact(text: str) -> str:
            if text in clean:
                return text
            scope = namespace if namespace in self._of else ""  # namespaces without a secret are redacted alike
            return self._redacted(scope, text) if len(text) > _SHORT else self._remember(scope, text)

        return redact

    def _clean(self, namespace: str, texts: Iterable[str]) -> frozenset[str]:
        """Return those of the short texts in which nothing has to be hidden, as far as one look tells."""
        short = [text for text in dict.fromkeys(texts) if len(text) <= _SHORT and "\0" not in text]
        clean: list[str] = []
        for at in range(0, len(short), _TOGETHER):
            some = short[at : at + _TOGETHER]
            if is_clean(partial(self._redacted, namespace), some):
                clean += some
        return frozenset(clean)

    def _redacted(self, scope: str | None, text: str) -> str:
        if scope is None:
            return self._redactor(text)
        own = self._of.get(scope)
        return (Redactor((), self._shared, own) if own is not None else Redactor((), self._shared))(text)

    def hold(self, literals: Iterable[str], namespace: str = "") -> None:
        """Redact these values of a namespace from now on, "" for all; those held before may still come back."""
        values = list(literals)
        self._unused_since.pop(namespace, None)
        own = self._of.setdefault(namespace, Literals()) if namespace else self._shared
        before = len(self._all), len(own)
        for known in (self._all, own):
            known.add(values)
            if len(known) > _MOST:
                known.keep_newest(_MOST * 3 // 4)
        if (len(self._all), len(own)) != before:
            self._remember.cache_clear()

    def forget_unused(self, used: Collection[str], now: float) -> None:
        """Forget the values of namespaces that have not been among those in use for an hour; `now` is in seconds.

        Logs may go on being redacted with as many of them, at the most, as there are values in use: to forget each at
        once would cost more.
        """
        for namespace in used:
            self._unused_since.pop(namespace, None)
        since = {name: self._unused_since.setdefault(name, now) for name in self._of if name not in used}
        gone = [name for name, began in since.items() if now - began >= _KEPT]
        for name in gone:
            del self._of[name], self._unused_since[name]
        if gone:
            held = frozenset(chain(self._shared, *self._of.values()))
            if len(self._all) >= 2 * len(held):
                self._all.keep(held)
            self._remember.cache_clear()
