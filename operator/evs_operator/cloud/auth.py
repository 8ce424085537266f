"""Authentication as `httpx.Auth`: generators that yield requests and receive answers, without I/O of their own.

The client hands one of these to httpx. What is not done here: deciding what a refusal means for a job
(`classify`), and keeping a refused credential from being tried again (the caller's session).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from . import signing
from .credentials import AccessKey, Credentials, Password, Token
from .iam import TokenCache

Clock = Callable[[], datetime]

_SKEW_WORDS: Final = "signature expired"
_MAYBE_EXPIRED: Final = (httpx.codes.UNAUTHORIZED, httpx.codes.BAD_REQUEST)


class TokenAuth(httpx.Auth):
    """A ready-made token."""

    def __init__(self, credential: Token) -> None:
        self._token = credential.token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the token along."""
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
        self._sign(request)
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        await response.aread()
        theirs = _date(response.headers.get("Date"))
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
        canonical = signing.canonical_request(
            request.method, request.url.path, list(request.url.params.multi_items()), signed, request.content
        )
        made = signing.signature(self._credential.secret_key, date, canonical)
        request.headers["Authorization"] = signing.authorization(self._credential.access_key, list(signed), made)
        if self._credential.security_token:
            request.headers["X-Security-Token"] = self._credential.security_token


class PasswordAuth(httpx.Auth):
    """An IAM user: a token of the project is asked for once, however many calls wait, and renewed in time."""

    def __init__(self, credential: Password, project_id: str, *, clock: Clock) -> None:
        self._tokens = TokenCache(credential, project_id, clock=clock)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the token along; where it is refused, get one new token and try once more."""
        renewed = False
        while True:
            async with self._tokens.lock:
                token = self._tokens.current()
                if token is None:
                    answer = yield self._tokens.request()
                    await answer.aread()
                    token = self._tokens.accept(answer)
                    renewed = True
            request.headers["X-Auth-Token"] = token
            response = yield request
            if renewed or response.status_code not in _MAYBE_EXPIRED:
                return
            await response.aread()
            if not _token_refused(response):
                return
            self._tokens.discard(token)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refuse: the token is shared between concurrent calls of one event loop."""
        raise RuntimeError("PasswordAuth works with an AsyncClient only")


def auth_for(credentials: Credentials, project_id: str, *, clock: Clock) -> httpx.Auth:
    """Return the authentication for one credential and project; `clock` returns aware times."""
    match credentials:
        case AccessKey():
            return AccessKeyAuth(credentials, project_id, clock=clock)
        case Password():
            return PasswordAuth(credentials, project_id, clock=clock)
        case Token():
            return TokenAuth(credentials)


def _token_refused(response: httpx.Response) -> bool:
    """Tell whether an answer says that the token has expired: 401, or EVS' own 400 `Common.0013`."""
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return True
    return response.status_code == httpx.codes.BAD_REQUEST and "Common.0013" in response.text


def _date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
