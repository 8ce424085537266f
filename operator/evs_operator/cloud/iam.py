"""Tokens of IAM for a user with a password (evs-api 6): what is asked, what is answered, how long it is kept.

Used by `PasswordAuth`, which sends the requests. A refused password is not tried again for five minutes: IAM
locks users after a few failures, and a changed Secret brings a new instance anyway.
"""

from __future__ import annotations

import asyncio
import copy
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
_SHORTEST_USE: Final = timedelta(minutes=1)
_REFUSED_FOR: Final = timedelta(seconds=300)

OnToken = Callable[[str], None]


class TokenCache:
    """The token of one user for one project, in memory only. `lock` makes one request serve all that wait."""

    def __init__(
        self,
        credential: Password,
        project_id: str,
        *,
        clock: Callable[[], datetime],
        on_token: OnToken | None = None,
    ) -> None:
        self.lock = asyncio.Lock()
        self._credential = credential
        self._project_id = project_id
        self._clock = clock
        self._on_token = on_token
        self._token = ""
        self._renew_at: datetime | None = None
        self._refused_until: datetime | None = None
        self._failure: errors.CloudError | None = None
        self.answers = 0
        """How often IAM has answered: who waited for the lock meanwhile shares the answer."""

    def current(self, seen: int) -> str | None:
        """Return the token, None where a new one is due; raise the refusal of a moment ago.

        `seen` is `answers` before the caller began to wait: a failure since then is the caller's too.
        """
        now = self._clock()
        if self._failure is not None and (
            self.answers != seen or (self._refused_until is not None and now < self._refused_until)
        ):
            raise copy.copy(self._failure)  # each caller adds its own traceback
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
        self.answers += 1
        now = self._clock()
        token = str(response.headers.get("X-Subject-Token", ""))
        if response.status_code != httpx.codes.CREATED or not (token.isascii() and token.isprintable() and token):
            self._failure = self._refused(response)
            lasting = isinstance(self._failure, errors.ActionRequired)
            self._refused_until = now + _REFUSED_FOR if lasting else None
            raise self._failure
        if self._on_token is not None:
            self._on_token(token)
        life = _life(response, now)
        # A token that lives shorter than the margin is used for half of its life.
        self._renew_at = now + max(life - _RENEW_BEFORE, life / 2, _SHORTEST_USE)
        self._token = token
        self._failure = self._refused_until = None
        return token

    def _refused(self, response: httpx.Response) -> errors.CloudError:
        where = f"IAM {response.request.url.netloc.decode()}"
        if response.status_code == httpx.codes.CREATED:
            return errors.InvalidResponse(f"{where} answered without a token", http_status=response.status_code)
        error = error_of(response.status_code, response.headers, response.content, where=where, now=self._clock())
        if response.status_code in (400, 404) and isinstance(error, errors.Rejected | errors.JobMissing):
            return errors.Unauthorized(error.message, code=error.code, http_status=error.http_status)
        return error


def _life(response: httpx.Response, now: datetime) -> timedelta:
    """Return how long a token lives; by IAM's clock alone where it says when the token was issued."""
    try:
        token = response.json().get("token", {})
        expires, issued = parse_time(token.get("expires_at")), parse_time(token.get("issued_at"))
    except (ValueError, AttributeError, RecursionError):
        return _LIFE
    return min(expires - (issued or now), _LIFE) if expires else _LIFE
