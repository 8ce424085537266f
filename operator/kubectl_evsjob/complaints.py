"""Translates what kubectl writes to stderr into one line that says what is missing.

Called by `kubectl` for each command that failed. kubectl's words are matched loosely; what no row knows passes through
as kubectl's own last line, which is short and to the point more often than not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from .errors import Cause, KubectlError
from .text import harmless

NO_CRDS: Final = "this cluster has no EvsJobs: the CRDs of evs-operator are not installed; ask for its installation"
_KLOG = re.compile(r"[EWIF]\d{4} \d\d:\d\d:\d\d")
_Row = tuple[re.Pattern[str], Cause, Callable[[re.Match[str]], str]]


def understood(stderr: str, code: int) -> KubectlError:
    """Return the error that this output of a failed kubectl stands for."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not _KLOG.match(line)]
    text = harmless(" ".join(lines))
    for pattern, cause, words in _ROWS:
        if found := pattern.search(text):
            return KubectlError(cause, words(found))
    last = harmless(lines[-1]) if lines else f"kubectl ended with {code} and said nothing"
    return KubectlError(Cause.REFUSED, _without_prefix(last))


def _forbidden(found: re.Match[str]) -> str:
    user, verb, resource = found["user"], found["verb"], found["resource"]
    where = f"in the namespace {found['namespace']}" if found["namespace"] else "in the whole cluster"
    return f"permission is missing: {user} may not {verb} {resource} {where}; ask for a Role with that verb"


def _is_transport(found: re.Match[str]) -> str:
    return f"the API server is out of reach: {_without_prefix(found.string)}"


def _without_prefix(line: str) -> str:
    return re.sub(r"^(error|Error from server( \(\w+\))?): ", "", line)


_ROWS: Final[tuple[_Row, ...]] = (
    (
        re.compile(
            r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)"'
            r'(?:.*? in the namespace "(?P<namespace>[^"]*)")?'
        ),
        Cause.FORBIDDEN,
        _forbidden,
    ),
    (
        re.compile(
            r"the server doesn't have a resource type|no matches for kind|could not find the requested resource"
        ),
        Cause.NO_CRDS,
        lambda _: NO_CRDS,
    ),
    (
        re.compile(r'\(NotFound\): (?:error when \w+ [^:]*: )?namespaces "([^"]*)" not found'),
        Cause.NOT_FOUND,
        lambda found: f"there is no namespace {found[1]}",
    ),
    (
        re.compile(r'\(NotFound\): .*?(?:(\w+)\.evs-operator\.dev) "([^"]*)" not found'),
        Cause.NOT_FOUND,
        lambda found: f"{found[1]} {found[2]} was not found",
    ),
    (re.compile(r"\(AlreadyExists\)"), Cause.EXISTS, lambda found: _without_prefix(found.string)),
    (
        re.compile(r"must be logged in|\(Unauthorized\)|the server has asked for the client to provide credentials"),
        Cause.REFUSED,
        lambda _: "the cluster refused your credentials: sign in again, or name another --context or --kubeconfig",
    ),
    (
        re.compile(
            r"no configuration has been provided|current-context is not set|incomplete configuration"
            r"|The connection to the server localhost:8080 was refused"  # what kubectl asks if nothing is configured
        ),
        Cause.REFUSED,
        lambda _: "no cluster is configured: set KUBECONFIG, or name a --kubeconfig",
    ),
    (
        re.compile(
            r"connection to the server .* was refused|Unable to connect to the server|context deadline exceeded"
            r"|i/o timeout|connection refused|connection reset|no such host|TLS handshake timeout|unexpected EOF"
            r"|: EOF\b|http2: |\((?:ServiceUnavailable|Timeout|InternalError|TooManyRequests)\)|unable to handle"
        ),
        Cause.UNREACHABLE,
        _is_transport,
    ),
)
