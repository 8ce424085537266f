"""The server's half of AK/SK signing (docs/reference/jobs-api.md#signatures): what a correct signature would be.

Two dialects: the current one (`Access=`) and the legacy one (`Credential=AK/scope`, a chain of keys). Written from
the description alone, not from a client's code, because it judges clients. Pure functions; who owns a key, whether
it is locked and how late the signature is are the gateway's to say.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

_ALGORITHM = "SDK-HMAC-SHA256"
_TERMINATOR = "sdk_request"
UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True)
class Authorization:
    """What an `Authorization` header says. `scope` is `yyyymmdd/region/service/sdk_request`, legacy dialect only."""

    access_key: str
    scope: str | None
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(text: str) -> Authorization | None:
    """Read an `Authorization` header; None where it is malformed."""
    algorithm, _, rest = text.partition(" ")
    if algorithm != _ALGORITHM:
        return None
    fields = {}
    for part in rest.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or not value or name in fields:
            return None
        fields[name] = value
    signed = tuple(fields.get("SignedHeaders", "").split(";"))
    signature = fields.get("Signature", "")
    if "x-sdk-date" not in signed or not signature:
        return None
    if fields.keys() == {"Access", "SignedHeaders", "Signature"}:
        return Authorization(fields["Access"], None, signed, signature)
    if fields.keys() == {"Credential", "SignedHeaders", "Signature"}:
        access_key, _, scope = fields["Credential"].partition("/")
        if len(scope.split("/")) == 4 and scope.endswith(f"/{_TERMINATOR}"):
            return Authorization(access_key, scope, signed, signature)
    return None


def canonical_request(
    method: str, path: str, query: str, header: Callable[[str], str | None], signed: Sequence[str], payload: str
) -> str:
    """Return the canonical form of a request.

    `path` and `query` are as on the wire; `header` gives a header's value by lower-case name; `payload` is the
    SHA-256 of the body in hex, or what `X-Sdk-Content-Sha256` says.
    """
    segments = [quote(unquote(segment), safe=UNRESERVED) for segment in path.split("/")]
    canonical_path = "/".join(segments)
    if not canonical_path.endswith("/"):
        canonical_path += "/"
    headers = "".join(f"{name}:{(header(name) or '').strip()}\n" for name in signed)
    return "\n".join([method.upper(), canonical_path, _canonical_query(query), headers, ";".join(signed), payload])


def _canonical_query(query: str) -> str:
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        pairs.append((quote(unquote(name), safe=UNRESERVED), quote(unquote(value), safe=UNRESERVED)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def signature(secret_key: str, stamp: str, canonical: str, scope: str | None) -> str:
    """Return the signature in hex. `stamp` is the value of X-Sdk-Date, `scope` that of the legacy dialect or None."""
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    if scope is None:
        return _hmac(secret_key.encode(), f"{_ALGORITHM}\n{stamp}\n{digest}").hex()
    key = f"SDK{secret_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return _hmac(key, f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}").hex()


def same(expected: str, given: str) -> bool:
    """Compare two signatures in a time that does not depend on where they differ."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
