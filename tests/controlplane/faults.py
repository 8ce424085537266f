"""What can go wrong between a client and the API server, and what was asked of it: pure values for `proxy`.

A test describes a fault by the requests that it hits (verb, path) and by what happens to them; requests are told apart
in the words of Kubernetes, where a watch is no GET. Nothing here opens a connection.
"""

import json
import re
from dataclasses import dataclass

_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the requests it matches; without `status`, `hang` and `drop` they are only late.

    `verb` is one of get, list, watch, create, update, patch, delete, deletecollection, "" for any; `path` is a regular
    expression looked for in path and query; `times` ends the fault after so many hits; `delay` is in seconds.
    """

    verb: str = ""
    path: str = ""
    times: int | None = None
    delay: float = 0.0
    status: int | None = None
    retry_after: int | None = None
    hang: bool = False
    """The request is accepted and never answered."""
    drop: bool = False
    """The connection is reset."""

    def matches(self, verb: str, path: str) -> bool:
        """Tell whether a request is hit."""
        return self.verb in ("", verb) and re.search(self.path, path) is not None


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: `at` on the monotonic clock, and the status of the answer, None where none was given."""

    at: float
    verb: str
    path: str
    status: int | None
    user_agent: str


def verb_of(method: str, path: str, *, watch: bool) -> str:
    """Name what a request does as RBAC would: its method, less that a collection is listed and may be watched."""
    if method in _WRITES:
        return _WRITES[method]
    one = _is_object(path)
    if method == "DELETE":
        return "delete" if one else "deletecollection"
    if watch:
        return "watch"
    return "get" if one else "list"


def _is_object(path: str) -> bool:
    """Tell one object (or something that is no resource) from a collection."""
    match path.strip("/").split("/"):
        case ["api", _, *rest] | ["apis", _, _, *rest]:
            pass
        case _:
            return True
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return len(rest) != 1


def status_body(code: int) -> dict[str, object]:
    """Make the body with which an API server refuses."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"a fault made by the test ({code})",
        "reason": _REASONS.get(code, "Unknown"),
        "code": code,
    }


def expired_event() -> bytes:
    """Make the watch event that says that the resource version is too old."""
    return json.dumps({"type": "ERROR", "object": status_body(410)}).encode() + b"\n"
