"""Reads the times of the API: milliseconds and `Z` in EVS, odd forms elsewhere (docs/reference/jobs-api.md#times)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""What lies outside of this is a zero of some language, or "never", and no time."""
_USUAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{0,9}))?\s*(?:(Z|z)|([+-])(\d\d):?(\d\d))?", re.ASCII
)


def parse_time(value: object) -> datetime | None:
    """Return an aware UTC time of 2000 to 2199; None for null, "", a text that is none, or another type."""
    if not isinstance(value, str) or not value:
        return None
    moment = _moment(value)
    return moment if moment is not None and _FIRST <= moment < _LAST else None


def _moment(value: str) -> datetime | None:
    if _USUAL.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:  # month 13, 25 o'clock
            return None
    match = _TIME.fullmatch(value.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, off_hours, off_minutes = match.groups()
    microsecond = int((fraction or "0").ljust(6, "0")[:6])
    zone = UTC
    try:
        if sign:
            offset = timedelta(hours=int(off_hours), minutes=int(off_minutes))
            zone = timezone(-offset if sign == "-" else offset)
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond, zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
