"""The one redactor of the process: its literals follow the Secrets that the sessions hold."""

from __future__ import annotations

from collections.abc import Iterable

from evs_operator.observe.redact import Redactor


class Redaction:
    """Callable that redacts with the secrets held now; given once to logs, statuses and errors."""

    def __init__(self) -> None:
        self._redactor = Redactor()
        self._literals: frozenset[str] = frozenset()

    def __call__(self, text: str) -> str:
        """Return text without secrets."""
        return self._redactor(text)

    def hold(self, literals: Iterable[str]) -> None:
        """Redact these values from now on, beside those held before."""
        # Values that were replaced may still come back in an answer, so they stay until there are many.
        wanted = frozenset(literals)
        if wanted <= self._literals:
            return
        merged = wanted | self._literals
        self._literals = merged if len(merged) <= 4096 else wanted
        self._redactor = Redactor(self._literals)
