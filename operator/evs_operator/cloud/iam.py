"""Tokens of IAM for a user with a password (evs-api 6): what is asked, what is answered, how long it is kept.

Used by `PasswordAuth`, which sends the requests. A refused password is not tried again for five minutes: IAM
locks users after a few failures, and a changed Secret brings a new instance anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import httpx

from . import errors
from .classify import error_of
from .credentials import Password
from .times import parse_time

_RENEW_BEFORE: Final = timedelta(hours=1)
_LIFE: Final = timedelta(hours=24)
_REFUSED_FOR: Final = timedelta(seconds=300)


class TokenCache:
    """The token of one user for one project, in memory only. `lock` makes one request serve all that wait."""

    def __init__(self, credential: Password, project_id: str, *, clock: Callable[[], datetime]) -> None:
        self.lock = asyncio.Lock()
        self._credential = credential
        self._project_id = project_id
        self._clock = clock
        self._token = ""
        self._renew_at: datetime | None = None
        self._refusal: tuple[datetime, errors.CloudError] | None = None

    def current(self) -> str | None:
        """Return the token, None where a new one is due; raise the refusal of a moment ago."""
        now = self._clock()
        if self._refusal and now < self._refusal[0]:
            raise self._refusal[1]
        return self._token if self._token and self._renew_at and now < self._renew_at else None

    def discard(self, token: str) -> None:
        """Forget a token that was refused, unless another caller has replaced it by now."""
        if token == self._token:
            self._token = ""

    def request(self) -> httpx.Request:
        """Build the request for a token of the project."""
        user = {
            "name": self._credential.username,
            "password": self._credential.password,
            "domain": {"name": self._credential.domain_name},
        }
        identity = {"methods": ["password"], "password": {"user": user}}
        origin = self._credential.iam_endpoint.rstrip("/").removesuffix("/v3")
        return httpx.Request(
            "POST",
            f"{origin}/v3/auth/tokens",
            params={"nocatalog": "true"},
            json={"auth": {"identity": identity, "scope": {"project": {"id": self._project_id}}}},
            headers={"Accept": "application/json"},
        )

    def accept(self, response: httpx.Response) -> str:
        """Keep and return the token of an answer; raise the CloudError of a refusal."""
        token = response.headers.get("X-Subject-Token", "")
        if response.status_code != httpx.codes.CREATED or not token:
            error = self._refused(response)
            if isinstance(error, errors.ActionRequired):
                self._refusal = (self._clock() + _REFUSED_FOR, error)
            raise error
        now = self._clock()
        expires = _expiry(response) or now + _LIFE
        # A token that lives shorter than the margin is used for half of its life.
        self._renew_at = max(expires - _RENEW_BEFORE, now + (expires - now) / 2)
        self._token = token
        self._refusal = None
        return str(token)

    def _refused(self, response: httpx.Response) -> errors.CloudError:
        where = f"IAM {response.request.url.host}" if response.request else "IAM"
        error = error_of(response.status_code, response.headers, response.content, where=where, now=self._clock())
        if response.status_code in (400, 404) and isinstance(error, errors.Rejected | errors.JobMissing):
            return errors.Unauthorized(error.message, code=error.code, http_status=error.http_status)
        return error


def _expiry(response: httpx.Response) -> datetime | None:
    try:
        token = response.json().get("token", {})
    except (ValueError, AttributeError):
        return None
    return parse_time(token.get("expires_at")) if isinstance(token, dict) else None
