"""Draws lines over the ones drawn before, on a terminal: no flicker, nothing left behind, the cursor given back.

Called by the loop of `wait` and `get -w` with whole frames. Each frame is one write that overwrites line by line and
clears only what remains, so that a terminal never shows a half-empty frame. The size is asked for at each frame.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self, TextIO

from .text import width

_HIDE: Final = "\x1b[?25l"
_SHOW: Final = "\x1b[?25h"
_CLEAR_LINE: Final = "\x1b[2K"
_CLEAR_BELOW: Final = "\x1b[J"
_COLOUR = re.compile(r"\x1b\[\d*m")
_NO_REFLOW: Final = ("linux", "screen")


class Screen:
    """The last lines of a terminal; a context manager that gives the cursor back."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        self._stream = stream
        self._reflows = environment.get("TERM", "") not in _NO_REFLOW and "XTERM_VERSION" not in environment
        self._widths: tuple[int, ...] = ()
        self._drawn_at = 0

    def __enter__(self) -> Self:
        """Hide the cursor."""
        self._write(_HIDE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the cursor again; the last frame stays."""
        self._write(_SHOW)

    def size(self) -> tuple[int, int]:
        """Return columns and lines that a frame may take: the last line is the cursor's."""
        columns, lines = terminal_size(self._stream)
        return columns, max(lines - 1, 1)

    def draw(self, lines: list[str]) -> None:
        """Draw a frame over the last one; no line is wider than the terminal."""
        columns = self.size()[0]
        # A line is cleared before it is written: after its last column a terminal would clear the last letter.
        frame = self._up(columns) + "".join(f"{_CLEAR_LINE}{line}\n" for line in lines) + _CLEAR_BELOW
        with _undisturbed():
            self._write(frame)
            self._widths, self._drawn_at = tuple(width(_COLOUR.sub("", line)) for line in lines), columns

    def clear(self) -> None:
        """Take the last frame away."""
        self._write(self._up(self.size()[0]) + _CLEAR_BELOW)
        self._widths = ()

    def _up(self, columns: int) -> str:
        """Return what leads to the first line of the last frame, which a terminal that became narrower has broken."""
        rows = len(self._widths)
        if self._reflows and columns < self._drawn_at:
            rows = sum(max(-(-wide // columns), 1) for wide in self._widths)
        return f"\r\x1b[{rows}A" if rows else "\r"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait: between a frame and the note of its height it would have the next one drawn below."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if pressed:
            signal.raise_signal(signal.SIGINT)


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Return columns and lines of a terminal; 80 by 24 if it does not say."""
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        found = shutil.get_terminal_size()
    return found.columns or 80, found.lines or 24
