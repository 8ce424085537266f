"""The one redaction of the process: it knows every secret value that is held, and whose each is.

Logs are redacted with all of them. A status is redacted with those of its own namespace and with the shared ones, which
are the credentials of ClusterEvsConnections and the operator's own: or who may write a Secret in one namespace could
name another's volume, or SUCCESS, their token and have it masked in everybody's results.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from evs_operator.observe.literals import Literals
from evs_operator.observe.redact import Redactor

_MOST: Final = 20_000
"""Values remembered for each use; beyond, those that were held longest ago go first."""


class Redaction:
    """Callable that redacts with all secrets held now; `within` gives the one for the statuses of a namespace."""

    def __init__(self) -> None:
        self._all = Literals()
        self._shared = Literals()
        self._of: dict[str, Literals] = {}
        self._redactor = Redactor((), self._all)

    def __call__(self, text: str) -> str:
        """Return text without secrets."""
        return self._redactor(text)

    def within(self, namespace: str) -> Redactor:
        """Return what redacts the texts that namespace may read; "" is for cluster-scoped objects."""
        own = self._of.get(namespace)
        return Redactor((), self._shared, own) if own is not None else Redactor((), self._shared)

    def hold(self, literals: Iterable[str], namespace: str = "") -> None:
        """Redact these values of a namespace from now on, "" for all; those held before may still come back."""
        values = list(literals)
        own = self._of.setdefault(namespace, Literals()) if namespace else self._shared
        for known in (self._all, own):
            known.add(values)
            if len(known) > _MOST:
                known.keep_newest(_MOST * 3 // 4)
