"""Errors as a caller meets them: `application/problem+json` (RFC 9457), one exception for all of them.

Whatever finds that a request cannot be answered raises a Problem; the front turns it into the answer. What a caller
sent is quoted short and printable, and a token never.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from evs_operator.kube.encoding import encoded

MEDIA_TYPE: Final = "application/problem+json"
_LONGEST: Final = 2048
_QUOTED: Final = 64
REALM: Final = 'Bearer realm="evs-operator"'


class Problem(Exception):
    """A request that is refused: HTTP status, what happened and what to do, and headers of the answer."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the JSON object."""
        return encoded(
            {
                "type": "about:blank",
                "title": HTTPStatus(self.status).phrase,
                "status": self.status,
                "detail": self.detail[:_LONGEST],
            }
        )

    def response(self) -> Response:
        """Return the answer."""
        return Response(self.body(), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def bad_request(detail: str) -> Problem:
    """Return the problem of a body or a query that cannot be understood."""
    return Problem(400, detail)


def unauthorized(detail: str, *, refused: bool = False) -> Problem:
    """Return the problem of a request without a token, or with one that the API server refused."""
    return Problem(401, detail, {"WWW-Authenticate": f'{REALM}, error="invalid_token"' if refused else REALM})


def not_now(status: int, detail: str, seconds: float) -> Problem:
    """Return a problem that passes: 429 or 503, with the time to wait before the next try."""
    return Problem(status, detail, {"Retry-After": str(max(1, round(seconds)))})


def quoted(text: str) -> str:
    """Return what a caller sent as an error may quote it."""
    return ascii(text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…")
