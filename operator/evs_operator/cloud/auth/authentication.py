"""Authentication as `httpx.Auth`: generators that yield requests and receive answers, without I/O of their own.

The client hands one of these to httpx; `sign_in` makes them for a credential. What is not done here: deciding what a
refusal means for a job (`classify`), and keeping a refused credential from being tried again (`connections`' identity).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from datetime import datetime, timedelta
from typing import Final

import httpx

from evs_operator.cloud.classify import date_of, error_of
from evs_operator.evs import errors

from . import signing
from .credentials import AccessKey, Token
from .exchange import Exchange
from .iam import Tokens
from .machine import MachineKeys

Clock = Callable[[], datetime]

_SKEW_WORDS: Final = b"signature expired"
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


class Signer:
    """Signs requests, and learns from an answer how far our clock is off the gateway's."""

    def __init__(self, *, clock: Clock, on_request: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._skew = timedelta()
        self.on_request = on_request

    def sign(self, request: httpx.Request, key: AccessKey, project_id: str) -> None:
        """Put the headers of a signature made now into a request."""
        # X-Security-Token stays unsigned: a mismatch makes the gateway echo every signed value.
        date = signing.sdk_date(self._clock() + self._skew)
        request.headers["X-Sdk-Date"] = date
        request.headers["X-Project-Id"] = project_id
        signed = {"host": request.headers["Host"], "x-project-id": project_id, "x-sdk-date": date}
        path = request.url.raw_path.partition(b"?")[0].decode("ascii")
        query = list(request.url.params.multi_items())
        canonical = signing.canonical_request(request.method, path, query, signed, request.content)
        made = signing.signature(key.secret_key, date, canonical)
        request.headers["Authorization"] = signing.authorization(key.access_key, list(signed), made)
        if key.security_token:
            request.headers["X-Security-Token"] = key.security_token

    async def is_off(self, response: httpx.Response) -> bool:
        """Return whether an answer calls the signature expired, and take over the gateway's time."""
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return False
        await response.aread()
        theirs = date_of(response.headers.get("Date"))
        if theirs is None or _SKEW_WORDS not in response.content:
            return False
        self._skew = theirs - self._clock()
        return True


class AccessKeyAuth(httpx.Auth):
    """AK/SK. Each request is signed anew; a clock that is off is corrected once by the answer's `Date`."""

    def __init__(self, credential: AccessKey, project_id: str, *, signer: Signer) -> None:
        self._credential = credential
        self._project_id = project_id
        self._signer = signer

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign; where the gateway calls the signature expired, sign once more with the gateway's time."""
        _check_key(self._credential)
        self._signer.sign(request, self._credential, self._project_id)
        response = yield request
        if await self._signer.is_off(response):
            self._signer.sign(request, self._credential, self._project_id)
            self._signer.on_request()
            yield request


class MachineKeyAuth(httpx.Auth):
    """The temporary key of the machine: asked for once for all calls, renewed in time and when it is refused."""

    def __init__(self, keys: MachineKeys, project_id: str, *, signer: Signer, clock: Clock) -> None:
        self._keys = keys
        self._project_id = project_id
        self._signer = signer
        self._clock = clock

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign with the key; where it is refused, take a newer one and try once more."""
        issued = self._keys.issued
        for last in (False, True):
            async with issued.turn():
                key = issued.current()
                if key is None:
                    try:
                        answer = yield _as_asked(self._keys.token_request(), request)
                        await answer.aread()
                        asking = self._keys.key_request(answer)
                        answer = yield _as_asked(asking, request)
                        await answer.aread()
                        key = self._keys.accept(answer)
                    except errors.CloudError as error:
                        key = issued.refuse(error)
                    except GeneratorExit:
                        issued.unanswered()
                        raise
                    last = True  # what was given a moment ago is not asked for again
            _check_key(key)
            self._signer.sign(request, key, self._project_id)
            response = yield request
            if await self._signer.is_off(response):
                self._signer.sign(request, key, self._project_id)
                self._signer.on_request()
                response = yield request
            if last or not await _is_refused(response, self._clock()):
                return
            issued.discard(key)
            self._signer.on_request()


class GrantedTokenAuth(httpx.Auth):
    """A token of IAM: asked for once, however many calls wait for it, and renewed in time and when refused.

    `namespace` is on whose behalf; `doubtful` where it may name a project that is not the credential's.
    """

    def __init__(
        self, tokens: Tokens, project_id: str, *, clock: Clock, namespace: str = "", doubtful: bool = False
    ) -> None:
        self._tokens = tokens
        self._project_id = project_id
        self._clock = clock
        self._namespace = namespace
        self._doubtful = doubtful

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the token along; where it is refused, take a newer one and try once more."""
        issued = self._tokens.of(self._project_id, self._namespace)
        for last in (False, True):
            token = issued.fresh()
            if token is None:
                async with issued.turn():
                    token = issued.current()
                    if token is None:
                        exchange = self._exchange()
                        while exchange.token is None:
                            asking = await exchange.request()
                            try:
                                answer = yield _as_asked(asking, request)
                                await answer.aread()
                            except GeneratorExit:
                                exchange.given_up()
                                raise
                            exchange.answered(answer, self._clock())
                        token = exchange.token
                        last = True  # what IAM has granted a moment ago is not renewed
            request.headers["X-Auth-Token"] = token
            response = yield request
            if last or not await _is_refused(response, self._clock()):
                return
            issued.discard(token)
            self._tokens.on_request()  # it is sent once more

    def _exchange(self) -> Exchange:
        return Exchange(self._tokens, self._project_id, self._namespace, doubtful=self._doubtful)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refuse: the token is shared between concurrent calls of one event loop."""
        raise RuntimeError("a granted token works with an AsyncClient only")


class ProofAuth(httpx.Auth):
    """Asks IAM for a token without a project and sends nothing else: it shows that the credential is good."""

    def __init__(self, tokens: Tokens, *, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Ask IAM in the place of what was to be sent; raises the CloudError of a refusal."""
        issued = self._tokens.of(None)
        async with issued.turn():
            issued.current()
            exchange = Exchange(self._tokens, None)
            while exchange.token is None:
                answer = yield _as_asked(await exchange.request(), request)
                await answer.aread()
                exchange.answered(answer, self._clock())
            issued.discard(exchange.token)


def _as_asked(asking: httpx.Request, request: httpx.Request) -> httpx.Request:
    asking.extensions = dict(request.extensions)  # the client's time-outs
    return asking


async def _is_refused(response: httpx.Response, now: datetime) -> bool:
    """Return whether an answer refuses the credential, under whichever status.

    docs/reference/jobs-api.md#what-an-answer-means: an expired token comes as 401 or as 400.
    """
    if 300 <= response.status_code < 400:
        return False
    await response.aread()
    if response.status_code < 300 and (len(response.content) > _SMALL or b"error" not in response.content):
        return False
    error = error_of(response.status_code, response.headers, response.content, where="", now=now)
    return error.about_credential and not error.locks


def _check_key(key: AccessKey) -> None:
    _check_sendable("the access key", key.access_key)
    _check_sendable("the security token", key.security_token or "")


def _check_sendable(what: str, value: str) -> None:
    """Raise Unauthorized for a value that no header can carry; encoding it would raise with the value inside."""
    if not (value.isascii() and value.isprintable()):
        raise errors.Unauthorized(f"{what} holds characters that cannot be sent: is it complete and on one line?")
