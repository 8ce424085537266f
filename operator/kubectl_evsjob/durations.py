"""Durations as people write and read them: `90`, `90s`, `10m`, `1h30m` to seconds, and seconds to `31.1s` or `2d4h`."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_PARTS = re.compile(rf"({_NUMBER})([dhms])")
_WHOLE = re.compile(rf"(?:{_PARTS.pattern})+")


def seconds_of(text: str) -> float:
    """Return the seconds that a text such as `10m`, `1h30m` or `90` stands for; raise ValueError for any other text."""
    if re.fullmatch(_NUMBER, text):
        return float(text)
    if not _WHOLE.fullmatch(text):
        raise ValueError(text)
    return sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))


def age(seconds: float) -> str:
    """Return an age in its two largest units, as kubectl writes it: `17s`, `4m12s`, `3h20m`, `2d4h`, `41d`."""
    left = max(int(seconds), 0)
    if left >= 10 * 86400:
        return f"{left // 86400}d"
    parts: list[tuple[int, str]] = []
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append((count, unit))
    return "".join(f"{count}{unit}" for at, (count, unit) in enumerate(parts[:2]) if count or at == 0)


def precise(seconds: float) -> str:
    """Return a duration as `.status.duration` writes it: `31.1s`, `1m5.0s`, `2h0m3.5s`."""
    tenths = round(max(seconds, 0.0) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    before = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{before}{rest / 10:.1f}s"
