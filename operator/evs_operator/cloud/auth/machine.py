"""Temporary keys that a machine's metadata service gives to what runs on it: no secret is stored anywhere.

docs/reference/jobs-api.md#temporary-credentials has the requests. The service is asked for a token of its own first;
one that knows no tokens is asked without. `auth` sends the requests and signs with what they bring, `issued` keeps it
and has it renewed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import httpx

from evs_operator.cloud.body import object_of, text_of
from evs_operator.cloud.classify import date_of, error_of
from evs_operator.evs import errors
from evs_operator.evs.times import parse_time

from .credentials import AccessKey, InstanceMetadata
from .issued import Issued, Issuer

_RENEW_BEFORE: Final = timedelta(minutes=10)
_LIFE_UNTOLD: Final = timedelta(minutes=15)
_LONGEST: Final = timedelta(hours=24)
_WITHOUT_TOKENS: Final = frozenset({404, 405, 501, 503})
_TOKEN_MOST: Final = 4096
_ADVICE: Final = "Give the machine that the operator runs on an agency that may read EVS jobs."


class MachineKeys:
    """The key of the machine's agency; `hold` is told of its secrets before they are used."""

    def __init__(
        self,
        source: InstanceMetadata,
        *,
        clock: Callable[[], datetime],
        hold: Callable[[str], None] | None = None,
        on_request: Callable[[], None] = lambda: None,
    ) -> None:
        self._origin = source.endpoint.rstrip("/")
        self._clock = clock
        self._hold = hold or (lambda secret: None)
        self.on_request = on_request
        self.issued: Issued[AccessKey] = Issued(Issuer(), renew_before=_RENEW_BEFORE, clock=clock)

    def token_request(self) -> httpx.Request:
        """Build the request for a token of the metadata service."""
        self.on_request()
        headers = {"X-Metadata-Token-Ttl-Seconds": "21600", "Content-Length": "0"}
        return httpx.Request("PUT", f"{self._origin}/meta-data/latest/api/token", headers=headers)

    def key_request(self, token_answer: httpx.Response) -> httpx.Request:
        """Build the request for the key, with the token of an answer that is read; raises CloudError without one."""
        headers = {"Accept": "application/json"}
        if token_answer.status_code not in _WITHOUT_TOKENS:
            headers["X-Metadata-Token"] = self._token(token_answer)
        self.on_request()
        return httpx.Request("GET", f"{self._origin}/openstack/latest/securitykey", headers=headers)

    def accept(self, response: httpx.Response) -> AccessKey:
        """Keep and return the key of an answer that is read; raises the CloudError of any other."""
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        found = (object_of(response.content) or {}).get("credential")
        try:
            if not isinstance(found, dict):
                raise ValueError("credential")
            key = AccessKey(*(_text(found, name) for name in ("access", "secret", "securitytoken")))
            expires = parse_time(found.get("expires_at"))
        except (ValueError, KeyError):
            raise errors.InvalidResponse(f"{_where(response)} answered something that is no key") from None
        for secret in (key.secret_key, key.security_token or ""):
            self._hold(secret)
        now = date_of(response.headers.get("Date")) or self._clock()
        return self.issued.grant(key, min(expires - now, _LONGEST) if expires else _LIFE_UNTOLD)

    def _token(self, response: httpx.Response) -> str:
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        text = text_of(response.content[: 2 * _TOKEN_MOST]).strip()
        if not (0 < len(text) <= _TOKEN_MOST and text.isascii() and text.isprintable()):
            raise errors.InvalidResponse(f"{_where(response)} answered something that is no token")
        self._hold(text)
        return text

    def _refusal(self, response: httpx.Response) -> errors.CloudError:
        where, status = _where(response), response.status_code
        if status in (401, 403):
            error: errors.CloudError = errors.Unauthorized(f"{where} has no key to give", http_status=status)
            error.advice = _ADVICE
            return error
        return error_of(status, response.headers, response.content, where=where, now=self._clock())


def _where(response: httpx.Response) -> str:
    return f"metadata service {response.request.url.netloc.decode()}"


def _text(found: dict[str, object], name: str) -> str:
    value = found[name]
    if not isinstance(value, str) or not value:
        raise ValueError(name)
    return value
