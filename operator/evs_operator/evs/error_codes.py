"""The error codes of EVS as data: how a caller reacts to a failed call, and what a failed job should be told.

`error_codes.txt` beside this module holds the table. Codes are an open set: unknown ones are explained by their
number (5000 + HTTP status) or by their text, and pass through verbatim.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

_CATEGORIES: Final[Mapping[str, str]] = {
    "A": "Permission",
    "G": "InvalidInput",
    "P": "Permission",
    "N": "InvalidInput",
    "Q": "Quota",
    "C": "WrongState",
    "T": "Internal",
    "S": "Internal",
    "V": "InvalidInput",
}
"""Class of the reaction (docs/reference/jobs-api.md#codes) to category of the failure."""

_HINTS: Final[Mapping[str, str]] = {
    "Quota": "Raise the quota of the project or delete volumes that are not needed, then submit the operation again.",
    "Permission": "Grant the user or agency of the operation the missing right, then submit the operation again.",
    "InvalidInput": "Correct the parameters of the operation; the same input will fail again.",
    "WrongState": "Wait until the volume, snapshot or server allows the operation, then submit it again.",
    "Capacity": "Use another availability zone or volume type, or submit the operation again later.",
    "Account": "Settle the state of the cloud account: it is frozen or suspended.",
    "Internal": "Submit the operation again; if that fails too, ask the cloud's support, with the job id.",
    "Unknown": "Look at the volume itself, or ask the cloud's support, with the job id.",
}

_CLUES: Final = (
    ("sold out", "Capacity"),
    ("do not have volume type", "Capacity"),
    ("no valid host", "Capacity"),
    ("售罄", "Capacity"),
    ("资源不足", "Capacity"),
    ("quota", "Quota"),
    ("overlimit", "Quota"),
    ("配额", "Quota"),
    ("frozen", "Account"),
    ("suspended", "Account"),
    ("arrears", "Account"),
    ("冻结", "Account"),
    ("欠费", "Account"),
    ("forbidden", "Permission"),
    ("policy", "Permission"),
    ("not allowed", "Permission"),
    ("权限", "Permission"),
    ("invalid input", "InvalidInput"),
    ("badrequest", "InvalidInput"),
    ("无效", "InvalidInput"),
    ("could not be found", "InvalidInput"),
    ("status must be", "WrongState"),
    ("be locked", "WrongState"),
)

_BY_STATUS: Final[Mapping[int, str]] = {
    400: "InvalidInput",
    401: "Permission",
    403: "Permission",
    404: "InvalidInput",
    409: "WrongState",
    413: "Quota",
}


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code; `klass` and `source` are letter and word of the table's head, both "" for one not in the table."""

    code: str
    http_status: int
    klass: str
    source: str
    message: str
    category: str
    hint: str


def lookup(code: str | None) -> ErrorCode | None:
    """Return the table's row of a code, None for an unknown one."""
    return _table().get(code) if code else None


def table() -> Sequence[ErrorCode]:
    """Return all rows, by code."""
    return tuple(_table().values())


def explain(code: str | None, reason: str | None) -> ErrorCode:
    """Explain a failed job's code and reason; an unknown pair has the category Unknown and a general hint."""
    known = lookup(code)
    if known is not None:
        return known
    category = _by_text(reason or "") or _by_number(code or "") or "Unknown"
    return ErrorCode(code or "", 0, "", "", "", category, _HINTS[category])


def _by_text(reason: str) -> str | None:
    lowered = reason.lower()
    return next((category for clue, category in _CLUES if clue in lowered), None)


def _by_number(code: str) -> str | None:
    """Read the convention `EVS.5xyz` = 5000 + HTTP status."""
    service, _, number = code.partition(".")
    if service != "EVS" or len(number) != 4 or not number.isdecimal() or number[0] != "5":
        return None
    status = int(number[1:])
    return "Internal" if status >= 500 else _BY_STATUS.get(status)


@functools.cache
def _table() -> Mapping[str, ErrorCode]:
    text = resources.files(__package__).joinpath("error_codes.txt").read_text(encoding="utf-8")
    rows = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        code, status, klass, source, category, message, hint = line.split("|")
        category = category or _CATEGORIES[klass]
        rows[code] = ErrorCode(code, int(status), klass, source, message, category, hint or _HINTS[category])
    return rows
