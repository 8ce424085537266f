"""How much is looked through for secrets in one answer or one line: counted, so that no text makes it take long. Pure.

Called by `redact`, which says what it has read; what goes beyond the bound is not shown. The same texts cost the same
wherever they are read, and are cut at the same place.
"""

from __future__ import annotations

from typing import Final

from .forms import Form, forms_of

READING: Final = 100
SAMPLE: Final = 64
PIECE: Final = 16
"""What a reading of a text costs, however short, and what a sample, an escape or a match does: in bytes passed over."""
_MADE: Final = 64
"""Values of which the forms are made for one look."""


class TooMuchError(Exception):
    """More would have to be looked through than the bound."""


class Work:
    """What is left of a bound, in bytes; the forms of values that one text holds are there for the next."""

    def __init__(self, most: int) -> None:
        self.left = most
        self._forms: dict[str, tuple[Form, ...]] = {}

    @property
    def is_over(self) -> bool:
        """True once more was asked for than the bound."""
        return self.left < 0

    def spend(self, size: int) -> None:
        """Take note of bytes that are read; raises TooMuchError beyond the bound, and from then on."""
        self.left -= size
        if self.left < 0:
            self.left = -1
            raise TooMuchError

    def forms_of(self, value: str) -> tuple[Form, ...] | None:
        """Return the forms of a value, None where those of too many were asked for."""
        made = self._forms.get(value)
        if made is None and len(self._forms) < _MADE:
            made = self._forms[value] = tuple(forms_of(value))
        return made
