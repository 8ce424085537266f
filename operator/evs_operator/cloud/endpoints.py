"""Which hosts a credential may be sent to: the allow-list of endpoints, and the origin of a URL.

Without it a user of one namespace could name an endpoint of their own and have a platform's credential sent there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from .addresses import is_public, is_shared

T_CLOUD_PUBLIC: Final = "T Cloud Public"
HUAWEI_CLOUD: Final = "Huawei Cloud"
DEFAULT_DOMAINS: Final = (
    (T_CLOUD_PUBLIC, ".otc.t-systems.com"),
    (T_CLOUD_PUBLIC, ".sc.otc.t-systems.com"),
    (HUAWEI_CLOUD, ".myhuaweicloud.com"),
    (HUAWEI_CLOUD, ".myhuaweicloud.eu"),
)
"""Clouds that are allowed unnamed, with the domains of their EVS and IAM. Any other cloud has to be named."""

DEFAULT_HOSTS: Final = ("evs.REGION", "iam.REGION", "iam-pub.REGION", "iam")
"""What is allowed in each of them; REGION stands for the name of a region, such as eu-de."""

# Nothing between service and region: in the same domains users own host names, such as those of their buckets.
_SERVICE = re.compile("|".join(re.escape(host).replace("REGION", "[a-z]{2,3}-[a-z0-9-]+") for host in DEFAULT_HOSTS))
_WILDCARD = re.compile(r"https://\*(?:\.[a-z0-9-]+)+", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
# 2130706433, 127.1, 0x7f.0.0.1, 0177.0.0.1: the system's resolver takes them for IPv4 addresses
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_INSIDE: Final = (".svc", ".cluster.local", ".localhost")


class EndpointNotAllowed(ValueError):  # named as the condition reason that it becomes
    """An endpoint is not on the allow-list, or is no endpoint; the message says what to do."""


def origin(url: str) -> str:
    """Return `scheme://host[:port]` of a URL, lower case; raise EndpointNotAllowed for what is not an origin."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise EndpointNotAllowed(f"{_shown(url)} is not an endpoint: write https://HOST") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or not _is_host(parts.hostname):
        raise EndpointNotAllowed(f"{_shown(url)} is not an endpoint: write https://HOST")
    if parts.username is not None or parts.query or parts.fragment:
        raise EndpointNotAllowed("an endpoint must not hold a user, a query or a fragment: write https://HOST")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


class AllowList:
    """Origins that may be called: the public clouds (unless `defaults` is False), and what the operator's flags name.

    `https://*.example.com` allows hosts below a domain; plain http, an address, a name inside the cluster, and a name
    that stands for an address of this machine or of a private network, only where the origin is named exactly.
    """

    def __init__(self, named: Sequence[str] = (), *, defaults: bool = True) -> None:
        self._exact = frozenset(origin(pattern) for pattern in named if "*" not in pattern)
        self._places = frozenset(_place(exact) for exact in self._exact)
        self._suffixes = tuple(_suffix(pattern) for pattern in named if "*" in pattern)
        self._public = tuple(domain for _, domain in DEFAULT_DOMAINS) if defaults else ()

    def check(self, url: str) -> None:
        """Raise EndpointNotAllowed unless the URL's origin may be called."""
        wanted = origin(url)
        if wanted in self._exact:
            return
        parts = urlsplit(wanted)
        host = parts.hostname or ""
        if parts.scheme == "https" and not _is_inside(host):
            if any(host.endswith(suffix) for suffix in self._suffixes):
                return
            if parts.port is None and self._is_public_service(host):
                return
        public = "use the service's endpoint of a public region, or " if self._public else ""
        raise EndpointNotAllowed(
            f"endpoint {wanted} is not allowed: {public}have whoever runs the operator name it with --allow-endpoint"
        )

    def check_address(self, host: str, port: int, address: str) -> None:
        """Raise EndpointNotAllowed where a host stands for an address that no name may lead to unnamed."""
        host = host.lower()
        if (host, port) in self._places or is_public(address):
            return
        # Within the clouds' own networks their names stand for shared addresses (100.125.0.0/16).
        if is_shared(address) and self._is_public_service(host):
            return
        shown = f"{host}:{port}" if port not in (80, 443) else host
        raise EndpointNotAllowed(
            f"endpoint {shown} is not allowed: its name stands for an address of this machine or of a private network; "
            f"if that is meant, name it exactly with --allow-endpoint https://{shown}"
        )

    def realm_of(self, url: str) -> str:
        """Name the cloud that an allowed origin belongs to: its domain, or the origin where that was named exactly."""
        wanted = origin(url)
        host = urlsplit(wanted).hostname or ""
        if wanted in self._exact:
            return wanted
        domains = [suffix for suffix in self._suffixes if host.endswith(suffix)]
        domains += [suffix for suffix in self._public if _is_service(host, suffix)]
        return max(domains, key=len, default=wanted)

    def _is_public_service(self, host: str) -> bool:
        return any(_is_service(host, suffix) for suffix in self._public)


def _place(exact: str) -> tuple[str, int]:
    parts = urlsplit(exact)
    return parts.hostname or "", parts.port or {"https": 443, "http": 80}[parts.scheme]


def _suffix(pattern: str) -> str:
    if not _WILDCARD.fullmatch(pattern):
        raise EndpointNotAllowed(f"{_shown(pattern)} is no pattern: write https://*.example.com")
    return pattern.removeprefix("https://*").lower()


def _is_service(host: str, suffix: str) -> bool:
    return host.endswith(suffix) and _SERVICE.fullmatch(host.removesuffix(suffix)) is not None


def _is_host(host: str) -> bool:
    if _HOST.fullmatch(host):
        return not _NUMBER.fullmatch(host.rpartition(".")[2]) or _is_address(host)
    return _is_address(host) and "%" not in host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_inside(host: str) -> bool:
    """Return whether a host is an address, this machine, or a name that only the cluster knows."""
    return _is_address(host) or "." not in host or host.endswith(_INSIDE)


def _shown(url: str) -> str:
    return repr(url.split("@")[-1][:100])
