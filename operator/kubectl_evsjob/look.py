"""How output looks: colours or none, signs of Unicode or of ASCII. Decided once by flags, streams, environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from evs_operator.api import JobState

_SIGNS: Final = {
    JobState.PENDING: ("○", "o"),
    JobState.IN_PROGRESS: ("●", "*"),
    JobState.ACTION_REQUIRED: ("▲", "!"),
    JobState.COMPLETE: ("✔", "+"),
    JobState.FAILED: ("✖", "x"),
    JobState.SUSPENDED: ("‖", "="),
}
_COLOURS: Final = {
    JobState.PENDING: "2",
    JobState.IN_PROGRESS: "36",
    JobState.ACTION_REQUIRED: "33",
    JobState.COMPLETE: "32",
    JobState.FAILED: "31",
    JobState.SUSPENDED: "2",
}
DIM: Final = "2"
_COERCED: Final = "C.UTF-8"
_LOCALE: Final = ("LC_ALL", "LC_CTYPE", "LANG")
"""The first that is set decides."""


@dataclass(frozen=True, slots=True)
class Look:
    """What may be written to one stream."""

    unicode: bool = False
    colour: bool = False

    def sign(self, state: JobState) -> str:
        """Return the sign of a state, one column wide."""
        return _SIGNS[state][0 if self.unicode else 1]

    def colour_of(self, state: JobState) -> str:
        """Return the colour of a state, as `paint` takes it."""
        return _COLOURS[state]

    def paint(self, text: str, colour: str) -> str:
        """Return a text in a colour, or as it is."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colour and colour and text else text

    @property
    def ellipsis(self) -> str:
        """What stands for text that was cut off."""
        return "…" if self.unicode else ".."

    @property
    def branches(self) -> tuple[str, str]:
        """What leads to a child in a tree, and to the last one."""
        return ("├─ ", "└─ ") if self.unicode else ("|- ", "`- ")

    def plain(self, text: str) -> str:
        """Return a harmless text in letters that the stream can show."""
        return text if self.unicode else text.encode("ascii", "replace").decode()


def look_for(stream: TextIO, colour: str, environment: Mapping[str, str]) -> Look:
    """Decide for a stream; `colour` is auto, always or never, and auto needs a terminal and no NO_COLOR."""
    if colour == "auto":
        coloured = is_terminal(stream, environment) and not environment.get("NO_COLOR")
    else:
        coloured = colour == "always"
    return Look(unicode=is_unicode(stream, environment), colour=coloured)


def is_terminal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether a stream leads to a terminal that can move its cursor."""
    return stream.isatty() and environment.get("TERM", "") not in ("", "dumb")


def is_unicode(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether the locale is UTF-8. Python writes UTF-8 also under LC_ALL=C, so its own word is not enough."""
    named = next((environment[name] for name in _LOCALE if environment.get(name)), "")
    if sys.flags.utf8_mode and named == _COERCED and not environment.get("LC_ALL"):
        named = environment.get("LANG", "")  # Python itself has set LC_CTYPE, since there was no locale
    return "utf" in (stream.encoding or "").lower() and "utf8" in named.lower().replace("-", "")
