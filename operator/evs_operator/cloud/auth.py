"""Authentication as `httpx.Auth`: generators that yield requests and receive answers, without I/O of their own.

The client hands one of these to httpx. What is not done here: deciding what a refusal means for a job
(`classify`), and keeping a refused credential from being tried again (the caller's session).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from datetime import datetime, timedelta
from typing import Final

import httpx

from . import errors, signing
from .classify import date_of, error_of
from .credentials import AccessKey, Credentials, Password, Token
from .iam import OnToken, TokenCache

Clock = Callable[[], datetime]

_SKEW_WORDS: Final = "signature expired"
_SMALL: Final = 4096
"""Bytes; an error under HTTP 200 has less, and longer answers need not be read twice."""


class TokenAuth(httpx.Auth):
    """A ready-made token."""

    def __init__(self, credential: Token) -> None:
        self._token = credential.token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the token along."""
        _check_sendable("the token", self._token)
        request.headers["X-Auth-Token"] = self._token
        yield request


class AccessKeyAuth(httpx.Auth):
    """AK/SK. Each request is signed anew; a clock that is off is corrected once by the answer's `Date`."""

    def __init__(self, credential: AccessKey, project_id: str, *, clock: Clock) -> None:
        self._credential = credential
        self._project_id = project_id
        self._clock = clock
        self._skew = timedelta()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign; where the gateway calls the signature expired, sign once more with the gateway's time."""
        _check_sendable("the access key", self._credential.access_key)
        _check_sendable("the security token", self._credential.security_token or "")
        self._sign(request)
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        await response.aread()
        theirs = date_of(response.headers.get("Date"))
        if theirs is None or _SKEW_WORDS not in response.text:
            return
        self._skew = theirs - self._clock()
        self._sign(request)
        yield request

    def _sign(self, request: httpx.Request) -> None:
        # X-Security-Token stays unsigned: a mismatch makes the gateway echo every signed value.
        date = signing.sdk_date(self._clock() + self._skew)
        request.headers["X-Sdk-Date"] = date
        request.headers["X-Project-Id"] = self._project_id
        signed = {
            "host": request.headers["Host"],
            "x-project-id": self._project_id,
            "x-sdk-date": date,
        }
        path = request.url.raw_path.partition(b"?")[0].decode("ascii")
        query = list(request.url.params.multi_items())
        canonical = signing.canonical_request(request.method, path, query, signed, request.content)
        made = signing.signature(self._credential.secret_key, date, canonical)
        request.headers["Authorization"] = signing.authorization(self._credential.access_key, list(signed), made)
        if self._credential.security_token:
            request.headers["X-Security-Token"] = self._credential.security_token


class PasswordAuth(httpx.Auth):
    """An IAM user: a token of the project is asked for once, however many calls wait, and renewed in time."""

    def __init__(self, credential: Password, project_id: str, *, clock: Clock, on_token: OnToken | None = None) -> None:
        self._clock = clock
        self._tokens = TokenCache(credential, project_id, clock=clock, on_token=on_token)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the token along; where it is refused, take a newer one and try once more."""
        for last in (False, True):
            seen = self._tokens.answers
            async with self._tokens.lock:
                token = self._tokens.current(seen)
                if token is None:
                    asking = self._tokens.request()
                    asking.extensions = dict(request.extensions)  # the client's time-outs
                    answer = yield asking
                    await answer.aread()
                    token = self._tokens.accept(answer)
                    last = True  # what IAM has granted a moment ago is not renewed
            request.headers["X-Auth-Token"] = token
            response = yield request
            if last or not await _is_token_refused(response, self._clock()):
                return
            self._tokens.discard(token)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refuse: the token is shared between concurrent calls of one event loop."""
        raise RuntimeError("PasswordAuth works with an AsyncClient only")


def auth_for(credentials: Credentials, project_id: str, *, clock: Clock, on_token: OnToken | None = None) -> httpx.Auth:
    """Return the authentication for one credential and project; `clock` returns aware times.

    `on_token` is told each token that IAM grants before it is used: it is a secret that nobody else knows of.
    """
    match credentials:
        case AccessKey():
            return AccessKeyAuth(credentials, project_id, clock=clock)
        case Password():
            return PasswordAuth(credentials, project_id, clock=clock, on_token=on_token)
        case Token():
            return TokenAuth(credentials)


async def _is_token_refused(response: httpx.Response, now: datetime) -> bool:
    """Tell whether an answer says that the token has expired, under whichever status (evs-api 1, facts 6 and 8)."""
    if 300 <= response.status_code < 400:
        return False
    await response.aread()
    if response.status_code < 300 and (len(response.content) > _SMALL or b"error" not in response.content):
        return False
    error = error_of(response.status_code, response.headers, response.content, where="", now=now)
    return isinstance(error, errors.Unauthorized) and not isinstance(error, errors.AccessKeyLocked)


def _check_sendable(what: str, value: str) -> None:
    """Raise Unauthorized for a value that no header can carry; encoding it would raise with the value inside."""
    if not (value.isascii() and value.isprintable()):
        raise errors.Unauthorized(f"{what} holds characters that cannot be sent: is it complete and on one line?")
