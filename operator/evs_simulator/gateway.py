"""Who asks, and may they: the checks in front of EVS.

Their order is that of docs/reference/jobs-api.md#what-the-simulator-assumes.
`authenticate` answers as the API gateway does (401, envelope E2), `check_project` as EVS does (400, envelope E1).
Both raise `RefusalError` with the answer. Wrong signatures are counted per access key; more than five in a row lock
it for five minutes, whoever uses it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from evs_simulator.iam.accounts import AccessKey

from .clock import stamp
from .envelopes import cinder_error, evs_error, gateway_error, unauthorized
from .iam import signing
from .wire import RefusalError, Request
from .world import World

_LARGEST_HEADERS = 32 * 1024
_SIGNATURE_LIFE = 900.0
_FAILURES_ALLOWED = 5
_LOCKED_FOR = 300.0
_EMPTY_BODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `project_id` is the token's, or what X-Project-Id says with a signature."""

    project_id: str | None
    signed: bool


def check_headers(request: Request) -> None:
    """Refuse headers of more than 32 kB, which a long token can cause: 494."""
    if request.header_bytes > _LARGEST_HEADERS:
        raise RefusalError(gateway_error(request, 494, "APIGW.0201", "Bad request: header too large"))


def authenticate(world: World, request: Request) -> Caller:
    """Return the caller. Raises RefusalError for missing, unknown, expired or wrong credentials."""
    token = request.header("X-Auth-Token")
    if token:
        return _by_token(world, request, token)
    if request.header("Authorization"):
        return _by_signature(world, request)
    raise unauthorized(request, "x-auth-token not found")


def check_project(world: World, caller: Caller, project_id: str) -> None:
    """Refuse a caller whose credentials are for another project than the URL's, and a project that nobody knows."""
    if caller.signed and caller.project_id is None:
        text = f"Invalid request: project_id '{project_id}' doesn't match Context's project_id 'null'"
        raise RefusalError(cinder_error(400, text, "401"))
    if caller.project_id != project_id:
        raise RefusalError(evs_error(400, "Common.0018", "Invalid token in the header"))
    if project_id not in world.accounts.projects:
        raise RefusalError(evs_error(400, "Common.0011", "query job fail."))


def _by_token(world: World, request: Request, text: str) -> Caller:
    token = world.accounts.tokens.get(text)
    if token is None or token.revoked:
        raise unauthorized(request, "decrypt token fail")
    if world.clock.now() >= token.expires:
        if world.settings.expired_token_style == "Common.0013":  # noqa: S105  # an error code
            raise RefusalError(evs_error(400, "Common.0013", "Invalid token in the header."))
        raise RefusalError(gateway_error(request, 401, "APIGW.0307", "The token must be updated"))
    return Caller(token.project_id, signed=False)


def _by_signature(world: World, request: Request) -> Caller:
    given = signing.parse_authorization(request.header("Authorization") or "")
    if given is None:
        raise unauthorized(request, "authorization header is malformed")
    key = world.accounts.access_keys.get(given.access_key)
    now = world.clock.now()
    if key is None or not key.active:
        raise unauthorized(request, f"Get secretKey failed,ak:{given.access_key},err:ak not exist")
    if now < key.locked_until:
        raise unauthorized(request, "AK access failed to reach the limit,forbidden")
    _check_security_token(request, key, now)
    date = request.header("X-Sdk-Date") or ""
    signed_at = _seconds(date)
    if signed_at is None:
        raise unauthorized(request, "x-sdk-date is missing or malformed")
    if abs(now - signed_at) > _SIGNATURE_LIFE:
        times = f"signature time:{date},server time:{stamp(now)}"
        raise unauthorized(request, f"calc aksk signature fail:signature expired, {times}")
    payload = request.header("X-Sdk-Content-Sha256") or _sha256(request.body)
    canonical = signing.canonical_request(
        request.method, request.path, request.query, request.header, given.signed_headers, payload
    )
    expected = signing.signature(key.secret_key, date, canonical, given.scope)
    if not signing.same(expected, given.signature):
        _count_failure(key, now)
        shown = canonical.replace("\n", "|")
        raise unauthorized(request, f"verify aksk signature fail, canonicalRequest:{shown}")
    key.failures = 0
    return Caller(request.header("X-Project-Id") or None, signed=True)


def _check_security_token(request: Request, key: AccessKey, now: float) -> None:
    if key.security_token is None:
        return
    if request.header("X-Security-Token") != key.security_token:
        raise unauthorized(request, f"Get secretKey failed,ak:{key.access_key},err:securitytoken is invalid")
    if key.expires is not None and now >= key.expires:
        raise unauthorized(request, f"Get secretKey failed,ak:{key.access_key},err:securitytoken expired")


def _count_failure(key: AccessKey, now: float) -> None:
    key.failures += 1
    if key.failures > _FAILURES_ALLOWED:
        key.failures = 0
        key.locked_until = now + _LOCKED_FOR


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest() if body else _EMPTY_BODY


def _seconds(date: str) -> float | None:
    try:
        return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
