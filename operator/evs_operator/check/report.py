"""The lines that `check` prints: `ok`, `FAIL` or `note`, each without any secret that was read.

What others said is redacted before it is quoted (`quoted`). Our own words and names are not searched: "credential:
refused" and `Secret default/access-key: does not exist` would look like secrets.
"""

from __future__ import annotations

from evs_operator.observe.wording import Ours
from evs_operator.redact.redactor import Redactor
from evs_operator.redact.secret_index import SecretIndex


class Report:
    """Prints lines and remembers whether all was well."""

    def __init__(self) -> None:
        self.exit_code = 0
        self._secrets = SecretIndex()
        self._redact = Redactor((), self._secrets)

    def hold(self, secret: str) -> None:
        """Print this value never."""
        self._secrets.add([secret])

    def quoted(self, text: str) -> str:
        """Return what a server said, or a sentence of ours that ends with it, fit to be a part of a line."""
        return text.shown(self._redact) if isinstance(text, Ours) else self._redact(text)

    def line(self, good: bool, what: str, detail: str = "") -> bool:
        """Print that a thing is in order, or that it is not; return which."""
        if not good:
            self.exit_code = 1
        self._print("ok  " if good else "FAIL", what, detail)
        return good

    def note(self, what: str, detail: str) -> None:
        """Print what is good to know and decides nothing."""
        self._print("note", what, detail)

    def _print(self, mark: str, what: str, detail: str) -> None:
        text = f"{what}: {detail}" if detail else what
        line = "".join(char if char.isprintable() else " " for char in text)
        print(f"{mark}  {line}", flush=True)  # noqa: T201  # the command's output
