"""Tokens of IAM: how one is asked for with a password, and what an answer that grants or refuses it means.

docs/reference/jobs-api.md#tokens-of-iam has the requests. `auth` sends them, `issued` keeps what they bring. `oidc`
asks for the same tokens in another way.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

import httpx

from evs_operator.cloud.body import object_of
from evs_operator.cloud.classify import error_of
from evs_operator.evs import errors
from evs_operator.evs.times import parse_time

from .credentials import Password
from .issued import Issued, Issuer
from .kept import Kept

RENEW_BEFORE: Final = timedelta(hours=1)
_LIFE: Final = timedelta(hours=24)
_OF_NAMESPACE: Final = 32
_IN_ALL: Final = 512
"""Tokens of one identity that are kept: those asked for by one namespace, and all."""
_HEADERS: Final = {"Accept": "application/json"}


class TokenRequests(Protocol):
    """Builds the requests for the tokens of one identity."""

    advice: str
    """What to do where they are refused; "" for the usual."""

    async def request(self, project_id: str | None) -> httpx.Request:
        """Build the request for a token of a project; None asks for one that only proves who asks."""


class PasswordRequests:
    """Asks as an IAM user with a password."""

    advice = ""

    def __init__(self, credential: Password) -> None:
        self._credential = credential

    async def request(self, project_id: str | None) -> httpx.Request:
        """Build the request; without a project the token is one for the user's domain."""
        domain = {"name": self._credential.domain_name}
        user = {"name": self._credential.username, "password": self._credential.password, "domain": domain}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"id": project_id}} if project_id else {"domain": domain}
        return httpx.Request(
            "POST",
            f"{iam_origin(self._credential.iam_endpoint)}/v3/auth/tokens",
            params={"nocatalog": "true"},
            json={"auth": {"identity": identity, "scope": scope}},
            headers=_HEADERS,
        )


class Tokens:
    """The tokens of one identity, one for each project; `hold` is told of each before it is used.

    They are kept until their end. A namespace has a few at a time: one that names project after project pushes out its
    own tokens and nobody else's.
    """

    def __init__(
        self,
        requests: TokenRequests,
        *,
        clock: Callable[[], datetime],
        hold: Callable[[str], None] | None = None,
        on_request: Callable[[], None] = lambda: None,
    ) -> None:
        self._requests = requests
        self._clock = clock
        self._hold = hold or (lambda secret: None)
        self.on_request = on_request
        self.issuer = Issuer()
        self._kept: Kept[str | None, Issued[str]] = Kept(_OF_NAMESPACE, _IN_ALL, lambda issued: issued.busy)

    def of(self, project_id: str | None, namespace: str = "") -> Issued[str]:
        """Return the token of a project, issued or not, for a call of that namespace."""
        issued = self._kept.get(project_id)
        if issued is None:
            issued = Issued(self.issuer, renew_before=RENEW_BEFORE, clock=self._clock, scope=project_id)
            self._kept.put(project_id, namespace, issued)
        return issued

    def held(self) -> list[str]:
        """Return all tokens that are held now; those that have ended are forgotten."""
        now = self._clock()
        for project_id, issued in list(self._kept.items()):
            if issued.ends_at is not None and issued.ends_at < now and not issued.busy:
                self._kept.drop(project_id)
        return [issued.value for issued in self._kept if issued.value is not None]

    async def request(self, project_id: str | None) -> httpx.Request:
        """Build the request for the token of a project; raises Unauthorized where there is nothing to ask with."""
        asking = await self._requests.request(project_id)
        self.on_request()
        return asking

    def accept(self, project_id: str | None, response: httpx.Response) -> str:
        """Keep and return the token of an answer that is read; raise the CloudError of a refusal."""
        now = self._clock()
        token = str(response.headers.get("X-Subject-Token", ""))
        if response.status_code == httpx.codes.CREATED and token and token.isascii() and token.isprintable():
            self._hold(token)
            return self.of(project_id).grant(token, _life(response, now))
        error = _refusal(response, now)
        if error.about_credential:
            error.advice = self._requests.advice
        raise error

    def granted_elsewhere(self, project_id: str | None) -> str | None:
        """Return another project whose token is held, the one used last; None where there is none."""
        held = [p for p, issued in self._kept.items() if issued.value is not None and p not in (project_id, None)]
        return held[-1] if held else None


def iam_origin(endpoint: str) -> str:
    """Return the origin of an IAM endpoint, which may be written with a trailing /v3."""
    return endpoint.rstrip("/").removesuffix("/v3")


def _refusal(response: httpx.Response, now: datetime) -> errors.CloudError:
    where = f"IAM {response.request.url.netloc.decode()}"
    status = response.status_code
    if status < 300:
        return errors.InvalidResponse(f"{where} answered without a token", http_status=status)
    error = error_of(status, response.headers, response.content, where=where, now=now)
    refused = isinstance(error, errors.Unauthorized | errors.Forbidden | errors.Rejected | errors.JobMissing)
    if not refused or status not in (400, 401, 403, 404):
        return error
    # IAM says so under 400, 401 and 404 alike; the credential may be good for other projects
    if error.code == "IAM.1109" or "project" in error.message.lower():
        return _as(errors.WrongProject, error)
    if status == httpx.codes.FORBIDDEN:
        return error
    return _as(errors.Unauthorized, error)


def _as(kind: type[errors.CloudError], error: errors.CloudError) -> errors.CloudError:
    of_kind = kind(
        error.own, said=error.said, code=error.code, http_status=error.http_status, request_id=error.request_id
    )
    of_kind.retry_after = error.retry_after
    return of_kind


def _life(response: httpx.Response, now: datetime) -> timedelta:
    """Return how long a token lives; by IAM's clock alone where it says when the token was issued."""
    token = (object_of(response.content) or {}).get("token")
    if not isinstance(token, dict):
        return _LIFE
    expires, issued = parse_time(token.get("expires_at")), parse_time(token.get("issued_at"))
    return min(expires - (issued or now), _LIFE) if expires else _LIFE
