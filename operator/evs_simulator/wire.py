"""What goes in and out: one request, one answer, and the refusal that ends a request early.

Everything but `server` works on these values and never touches a socket, so the whole simulated cloud can be driven
and tested as a function from request to answer. `Delivery` is the one hint to the server about the wire itself:
lateness, a trickling body, a connection that breaks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from multidict import CIMultiDictProxy

JSON = "application/json;charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: `path` and `query` still percent-encoded, header names in any case."""

    method: str
    path: str
    query: str
    headers: CIMultiDictProxy[str]
    header_bytes: int
    body: bytes
    request_id: str
    peer: str
    scheme: str = "http"

    def header(self, name: str) -> str | None:
        """Return the value of a header without the blanks around it; None where it is missing."""
        value = self.headers.get(name)
        return None if value is None else value.strip()

    def segments(self) -> list[str]:
        """Return the decoded parts of the path: `/v1/p/jobs/j` is `["v1", "p", "jobs", "j"]`."""
        return [unquote(part) for part in self.path.split("/")[1:]]

    def json(self) -> dict[str, object] | None:
        """Return the body where it is a JSON object, else None."""
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError):  # also what is not UTF-8, or nested without end
            return None
        return body if isinstance(body, dict) else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the answer goes over the wire. Seconds are real ones, not simulated."""

    delay: float = 0.0  # before the status line
    trickle: float = 0.0  # the body is spread over this time
    cut: str = ""  # the connection is reset: "before_headers", "after_headers" (in the middle of the body)


AS_IT_IS = Delivery()


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. The server adds `Date` and `X-Request-Id` where they are not set here."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": JSON})
    delivery: Delivery = AS_IT_IS

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        """Return the same answer with these headers added or replaced."""
        return replace(self, headers={**self.headers, **headers})


class RefusalError(Exception):
    """Ends the handling of a request with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"refused with HTTP {answer.status}")
        self.answer = answer


def json_answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer with this body as compact JSON."""
    return Answer(status, encode(body), {"Content-Type": JSON, **(headers or {})})


def encode(body: object) -> bytes:
    """Write JSON as EVS does: without blanks, text as UTF-8; escaped where a text has half a surrogate pair."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode()
