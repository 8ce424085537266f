"""Which hosts a credential may be sent to: the allow-list of endpoints, and the origin of a URL.

Without it a user of one namespace could name an endpoint of their own and have a platform's credential sent there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

DEFAULT_PATTERNS: Final = (
    "https://*.otc.t-systems.com",
    "https://*.myhuaweicloud.com",
    "https://*.myhuaweicloud.eu",
    "https://*.prod-cloud-ocb.orange-business.com",
    "https://*.hc.sbercloud.ru",
)
"""Public domains of EVS and IAM (evs-api 10)."""

_SERVICES: Final = ("evs", "iam", "iam-pub")


class EndpointNotAllowed(ValueError):  # named as the condition reason that it becomes
    """An endpoint is not on the allow-list, or is no endpoint; the message says what to do."""


def origin(url: str) -> str:
    """Return `scheme://host[:port]` of a URL, lower case; raise EndpointNotAllowed for what is not an origin."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise EndpointNotAllowed(f"{_shown(url)} is not an endpoint: write https://HOST") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise EndpointNotAllowed(f"{_shown(url)} is not an endpoint: write https://HOST")
    if parts.username is not None or parts.query or parts.fragment:
        raise EndpointNotAllowed("an endpoint must not hold a user, a query or a fragment: write https://HOST")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


class AllowList:
    """Origins that may be called: the public clouds, and what the operator's flags name.

    `https://*.example.com` allows hosts below a domain; an address of this machine or a private network, and
    plain http, only where named exactly.
    """

    def __init__(self, named: Sequence[str] = ()) -> None:
        self._exact = frozenset(origin(pattern) for pattern in named if "*" not in pattern)
        self._suffixes = tuple(pattern.removeprefix("https://*").lower() for pattern in named if "*" in pattern)
        self._public = tuple(pattern.removeprefix("https://*") for pattern in DEFAULT_PATTERNS)

    def check(self, url: str) -> None:
        """Raise EndpointNotAllowed unless the URL's origin may be called."""
        wanted = origin(url)
        if wanted in self._exact:
            return
        parts = urlsplit(wanted)
        host = parts.hostname or ""
        if parts.scheme == "https" and not _is_address(host):
            if any(host.endswith(suffix) for suffix in self._suffixes):
                return
            public = any(host.endswith(suffix) for suffix in self._public)
            if public and parts.port is None and host.split(".", 1)[0] in _SERVICES:
                return
        raise EndpointNotAllowed(
            f"endpoint {wanted} is not allowed: name it with --allow-endpoint, "
            "or use an EVS endpoint of a public region"
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return True


def _shown(url: str) -> str:
    return repr(url.split("@")[-1][:100])
