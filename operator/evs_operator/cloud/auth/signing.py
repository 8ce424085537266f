"""AK/SK signatures, SDK-HMAC-SHA256 (docs/reference/jobs-api.md#signatures). Pure: date and request are parameters.

The current dialect (`Access=`) is what the client uses; the legacy one (`Credential=`, with a scope) is here
because gateways accept it and its vector proves the shared part.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote

ALGORITHM: Final = "SDK-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"


def sdk_date(moment: datetime) -> str:
    """Write a moment as `X-Sdk-Date`: `YYYYMMDDTHHMMSSZ`, UTC."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_request(
    method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], body: bytes = b""
) -> str:
    """Return the canonical form; `path` may be encoded or not, `query` is decoded, `headers` are signed."""
    uri = quote(unquote(path), safe=_UNRESERVED + "/")
    if not uri.endswith("/"):
        uri += "/"
    # sorted before they are encoded, as the vendor's signers do
    pairs = [(quote(key, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for key, value in sorted(query)]
    lowered = sorted((name.lower(), value.strip()) for name, value in headers.items())
    return "\n".join(
        [
            method.upper(),
            uri,
            "&".join(f"{key}={value}" for key, value in pairs),
            "".join(f"{name}:{value}\n" for name, value in lowered),
            ";".join(name for name, _ in lowered),
            hashlib.sha256(body).hexdigest(),
        ]
    )


def signature(secret_key: str, date: str, canonical: str) -> str:
    """Return the signature of the current dialect in hexadecimal."""
    to_sign = f"{ALGORITHM}\n{date}\n{_sha256(canonical)}"
    return _hmac(secret_key.encode(), to_sign).hex()


def legacy_signature(
    secret_key: str, date: str, canonical: str, *, region: str = "", service: str = ""
) -> tuple[str, str]:
    """Return scope and signature of the legacy dialect."""
    scope = f"{date[:8]}/{region}/{service}/sdk_request"
    key = f"SDK{secret_key}".encode()
    for part in (date[:8], region, service, "sdk_request"):
        key = _hmac(key, part)
    to_sign = f"{ALGORITHM}\n{date}\n{scope}\n{_sha256(canonical)}"
    return scope, _hmac(key, to_sign).hex()


def authorization(access_key: str, signed: Sequence[str], signed_with: str) -> str:
    """Return the `Authorization` header; `signed` are the names of the signed headers."""
    names = ";".join(sorted(name.lower() for name in signed))
    return f"{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signed_with}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
