"""An answer becomes a Job or the one error that says how to react. Pure; by code first, then by HTTP status.

The tables are those of evs-api 5.2, 5.3 and 13, with the decisions of the project's design on top: other projects are
`WrongProject`, the gateway's 404 is `EndpointInvalid`, an unknown code under 200 is `Rejected`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from . import errors
from .envelope import Envelope, parse_envelope, raw_envelope
from .error_codes import lookup
from .job import Job, parse_job

_GATEWAY = re.compile(r"APIG(?:W)?\.(\d{4})")
_WINDOW = re.compile(r"time:\s*(\d+)\s*(second|minute)", re.IGNORECASE)
_LOCKED: Final = "AK access failed to reach the limit"
_LONGEST_WINDOW: Final = 60.0
_RETRY_AFTER_MOST: Final = 3600.0

_BY_CODE: Final[Mapping[str, type[errors.CloudError]]] = {
    "Common.0011": errors.JobMissing,
    "EVS.5404": errors.JobMissing,
    "itemNotFound": errors.JobMissing,
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
    status: int, headers: Mapping[str, str], content: bytes, *, job_id: str, where: str, now: datetime
) -> Job:
    """Return the job of an answer to the job query; raise the CloudError that the answer means.

    `where` names the endpoint in messages; `now` (aware) is compared with a `Retry-After` date.
    """
    if 300 <= status < 400:
        target = headers.get("location", "")
        host = target.split("/")[2] if target.count("/") >= 2 and "//" in target else "another address"
        raise errors.EndpointInvalid(f"{where} redirects to {host.split('@')[-1]}", http_status=status)
    body = _json_object(content)
    if 200 <= status < 300 and body is not None and not body.get("error") and body.get("status"):
        return _own_job(parse_job(body), job_id, status)
    raise error_of(status, headers, content, where=where, now=now)


def error_of(
    status: int, headers: Mapping[str, str], content: bytes, *, where: str, now: datetime
) -> errors.CloudError:
    """Return the error that an answer without what was asked for means."""
    body = _json_object(content)
    envelope = parse_envelope(body) if body is not None else None
    if 200 <= status < 300 and envelope is None:
        return errors.InvalidResponse(f"{where} answered something that is not a job", http_status=status)
    return _classified(status, headers, envelope, content, where, now)


def _own_job(job: Job, job_id: str, status: int) -> Job:
    if job.job_id and job.job_id != job_id:
        raise errors.InvalidResponse(f"the answer is about another job, {job.job_id[:64]}", http_status=status)
    return job


def _json_object(content: bytes) -> dict[str, object] | None:
    try:
        parsed = json.loads(content.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _classified(
    status: int,
    headers: Mapping[str, str],
    envelope: Envelope | None,
    content: bytes,
    where: str,
    now: datetime,
) -> errors.CloudError:
    found = envelope or raw_envelope(content)
    kind = _kind(status, envelope, found)
    text = f"{where}: {found.message}" if found.message and envelope else f"{where} answered HTTP {status}"
    code = found.code or None
    request_id = headers.get("x-request-id")
    if issubclass(kind, errors.RateLimited):
        wait = _retry_after(headers, found.message, now)
        return errors.RateLimited(text, retry_after=wait, code=code, http_status=status, request_id=request_id)
    return kind(text, code=code, http_status=status, request_id=request_id)


def _kind(status: int, envelope: Envelope | None, found: Envelope) -> type[errors.CloudError]:
    if _LOCKED in found.message:
        return errors.AccessKeyLocked
    if envelope is not None:
        if "doesn't match Context's project_id" in envelope.message:
            return errors.WrongProject
        if (by_code := _by_code(envelope.code, status)) is not None:
            return by_code
    return _by_status(_effective_status(status, found.code), envelope)


def _by_code(code: str, status: int) -> type[errors.CloudError] | None:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if match := _GATEWAY.fullmatch(code):
        if match[1] == "0201":  # a backend out of reach, or our own request
            return errors.ServerError if status >= 500 else errors.Rejected
        return _GATEWAY_CLASSES.get(match[1])
    known = lookup(code)
    return _BY_CLASS.get(known.klass) if known is not None else None


def _effective_status(status: int, code: str) -> int:
    """Under HTTP 200 the error's own code tells the status that it would have had."""
    if status >= 400:
        return status
    if code.isdecimal() and 400 <= int(code) < 600:
        return int(code)
    known = lookup(code)
    return known.http_status if known is not None else 0


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


def _retry_after(headers: Mapping[str, str], message: str, now: datetime) -> float | None:
    named = headers.get("retry-after", "").strip()
    if named.isdecimal() and len(named) < 10:
        return min(float(named), _RETRY_AFTER_MOST)
    if named:
        try:
            moment = parsedate_to_datetime(named)
        except ValueError:
            moment = None
        if moment is not None:
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return min(max((moment - now).total_seconds(), 0.0), _RETRY_AFTER_MOST)
    if match := _WINDOW.search(message):
        seconds = float(match[1][:6]) * (60.0 if match[2].lower() == "minute" else 1.0)
        return min(seconds, _LONGEST_WINDOW)
    return None
