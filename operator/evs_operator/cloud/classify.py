"""An answer becomes a Job or the one error that says how to react. Pure; by code first, then by HTTP status.

docs/reference/jobs-api.md#what-an-answer-means has the same as a table, which a test puts to this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from evs_operator.evs import errors
from evs_operator.evs.error_codes import lookup
from evs_operator.evs.job import Job, identifies_itself, parse_job

from .body import MOST_VALUES, SURELY_FEW, has_too_many_values, object_of, without_collections
from .envelope import Envelope, is_error, parse_envelope, raw_envelope

_GATEWAY = re.compile(r"APIGW?\.(\d{4})", re.ASCII)
_BY_CONVENTION = re.compile(r"EVS\.5([45]\d\d)", re.ASCII)
_WINDOW = re.compile(r"time:\s*(\d+)\s*(second|minute)", re.IGNORECASE)
_OVER_LIMIT: Final = "overlimit"
_LOCKED: Final = "AK access failed to reach the limit"
_LONGEST_WINDOW: Final = 60.0
_RETRY_AFTER_MOST: Final = 3600.0

_BY_CODE: Final[Mapping[str, type[errors.CloudError]]] = {
    "Common.0011": errors.JobMissing,
    "EVS.5404": errors.JobMissing,
    "itemNotFound": errors.JobMissing,
    "itemnotfound": errors.JobMissing,
    "Common.0018": errors.WrongProject,
    "EVS.0001": errors.WrongProject,
    "SYS.0400": errors.WrongProject,
    "IAM.0012": errors.RateLimited,
}
_BY_CLASS: Final[Mapping[str, type[errors.CloudError]]] = {
    "A": errors.Unauthorized,
    "P": errors.Forbidden,
    "T": errors.ServerError,
}
_GATEWAY_CLASSES: Final[Mapping[str, type[errors.CloudError]]] = {
    **dict.fromkeys(("0101",), errors.EndpointInvalid),
    **dict.fromkeys(("0301", "0303", "0305", "0307"), errors.Unauthorized),
    **dict.fromkeys(("0302", "0306", "0310", "0401", "0402", "0404", "0501", "0502", "0801", "0802"), errors.Forbidden),
    "0308": errors.RateLimited,
    **dict.fromkeys(
        ("0103", "0106", "0601", "0605", "0606", "0607", "0608", "0609", "0610", "0611", "0612", "0613", "0705"),
        errors.ServerError,
    ),
    "0602": errors.Rejected,
}


def read_answer(
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    job_id: str,
    where: str,
    now: datetime,
    fault: str = "",
) -> Job:
    """Return the job of an answer to the job query; raise the CloudError that the answer means.

    `where` names the endpoint in messages; `now` (aware) stands in for a missing `Date` header; `fault` says why a
    body could not be read.
    """
    if len(content) <= SURELY_FEW:
        return _read(status, headers, content, job_id, where, now, fault)
    with without_collections():
        return _read(status, headers, content, job_id, where, now, fault)


def _read(
    status: int, headers: Mapping[str, str], content: bytes, job_id: str, where: str, now: datetime, fault: str
) -> Job:
    if not fault and len(content) > SURELY_FEW and has_too_many_values(content):
        fault = f"more than the {MOST_VALUES} values that are read"
    body = None if fault else object_of(content)
    if 200 <= status < 300 and body is not None and body.get("status") and not is_error(body.get("error")):
        return _own_job(body, job_id, status, where)
    raise _error(status, headers, content, body, where, now, fault)


def error_of(
    status: int, headers: Mapping[str, str], content: bytes, *, where: str, now: datetime
) -> errors.CloudError:
    """Return the error that an answer without what was asked for means."""
    return _error(status, headers, content, object_of(content), where, now)


def date_of(value: str | None) -> datetime | None:
    """Return the moment that a `Date` or `Retry-After` header names, None where it names none."""
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _own_job(body: Mapping[str, object], job_id: str, status: int, where: str) -> Job:
    if not identifies_itself(body):
        raise errors.InvalidResponse(f"{where} answered something that is no job", http_status=status)
    try:
        job = parse_job(body)
    except errors.InvalidResponse as error:
        raise errors.InvalidResponse(f"{where}: {error.message}", http_status=status) from error
    if job.job_id and job.job_id != job_id:
        raise errors.InvalidResponse(f"{where} answered about another job,", said=job.job_id[:64], http_status=status)
    return job


def _error(
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    body: Mapping[str, object] | None,
    where: str,
    now: datetime,
    fault: str = "",
) -> errors.CloudError:
    if 300 <= status < 400:
        host = _host(headers.get("location"))
        error: errors.CloudError = errors.EndpointInvalid(f"{where} redirects to", said=host, http_status=status)
        return _with_wait(error, headers, None, now)
    envelope = parse_envelope(body) if body is not None else None
    request_id = headers.get("x-request-id", "")[:64] or (envelope.request_id if envelope else "") or None
    if status < 300 and envelope is None:
        what = fault or ("something that is no job" if content.strip() else "nothing")
        error = errors.InvalidResponse(f"{where} answered {what}", http_status=status, request_id=request_id)
        return _with_wait(error, headers, None, now)
    found = envelope or raw_envelope(content)
    own, said = (f"{where}:", found.message) if found.message and envelope else (f"{where} answered HTTP {status}", "")
    code = None if found.code == str(status) else found.code or None  # IAM's code only repeats the status
    error = _kind(status, envelope, found)(own, said=said, code=code, http_status=status, request_id=request_id)
    return _with_wait(error, headers, found, now)


def _host(location: str | None) -> str:
    """Name the target of a redirect without path, query and user: they may hold a session."""
    try:
        return (urlsplit(location or "").hostname or "")[:253] or "another path"
    except ValueError:
        return "another address"


def _kind(status: int, envelope: Envelope | None, found: Envelope) -> type[errors.CloudError]:
    if _LOCKED in found.message:
        return errors.AccessKeyLocked
    if status == 429 or (found.code.lower() == _OVER_LIMIT and _effective_status(status, found) in (413, 429, 503)):
        return errors.RateLimited
    if envelope is not None:
        if "doesn't match Context's project_id" in envelope.message:
            return errors.WrongProject
        if (by_code := _by_code(envelope.code, status)) is not None:
            return by_code
    return _by_status(_effective_status(status, found), envelope)


def _by_code(code: str, status: int) -> type[errors.CloudError] | None:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if match := _GATEWAY.fullmatch(code):
        if match[1] == "0201":  # a backend out of reach, or our own request
            return errors.ServerError if status >= 500 else errors.Rejected
        return _GATEWAY_CLASSES.get(match[1])
    known = lookup(code)
    return _BY_CLASS.get(known.klass) if known is not None else None


def _effective_status(status: int, found: Envelope) -> int:
    """Under HTTP 200 the error itself tells the status that it would have had; 0 where it does not."""
    if status >= 400:
        return status
    if 400 <= found.status < 600:
        return found.status
    if known := lookup(found.code):
        return known.http_status
    match = _BY_CONVENTION.fullmatch(found.code)
    return int(match[1]) if match else 0


def _by_status(status: int, envelope: Envelope | None) -> type[errors.CloudError]:
    match status:
        case 401:
            return errors.Unauthorized
        case 403:
            return errors.Forbidden
        case 404 if envelope is None:
            return errors.EndpointInvalid
        case 408 | 409:
            return errors.ServerError
        case 429:
            return errors.RateLimited
        case _:
            return errors.ServerError if status >= 500 else errors.Rejected


def _with_wait(
    error: errors.CloudError, headers: Mapping[str, str], found: Envelope | None, now: datetime
) -> errors.CloudError:
    """Note in an error for how long nobody shall ask, where the answer says so; a lock lasts as long as it lasts."""
    named = _retry_after(headers, now)
    if named is None and found is not None and error.throttles:
        named = _told_in_words(found)
    if named is not None:
        error.retry_after = max(named, error.retry_after or 0.0)
    return error


def _told_in_words(found: Envelope) -> float | None:
    if found.retry_after is not None:
        return min(found.retry_after, _RETRY_AFTER_MOST)
    if match := _WINDOW.search(found.message):
        seconds = float(match[1][:6]) * (60.0 if match[2].lower() == "minute" else 1.0)
        return min(seconds, _LONGEST_WINDOW)
    return None


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    named = headers.get("retry-after", "").strip()
    if named.isascii() and named.isdecimal():
        return min(float(named[:10]), _RETRY_AFTER_MOST)
    if moment := date_of(named):
        # the server's own clock, or a clock of ours that is off would change the pause
        wait = (moment - (date_of(headers.get("date")) or now)).total_seconds()
        return min(max(wait, 0.0), _RETRY_AFTER_MOST)
    return None
