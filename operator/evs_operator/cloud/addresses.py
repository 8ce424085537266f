"""Which addresses a host name may stand for: looked at when a connection is made, so that no name leads inside.

The transport resolves names through `GuardedResolver`; what it returns is what the socket connects to, so nothing can
change between the look and the call. Addresses that a URL names itself are the allow-list's to judge (`endpoints`).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

SHARED: Final = ipaddress.IPv4Network("100.64.0.0/10")
"""Shared address space: in it are the clouds' own service endpoints as their networks resolve them, and some pods."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_PUBLIC: Final = (
    ipaddress.IPv6Network("::/8"),  # loopback, unspecified, and IPv4 in an old disguise
    ipaddress.IPv6Network("64:ff9b:1::/48"),
    ipaddress.IPv6Network("fec0::/10"),
)

AddressCheck = Callable[[str, int, str], None]
"""Called with host, port and one address of that host; raises what keeps the connection from being made."""


def is_public(address: str) -> bool:
    """Return whether an address is one of the public internet, also inside an IPv6 form of an IPv4 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = _embedded(found)
        if inner is not None:
            return is_public(str(inner))
        if any(found in network for network in _NOT_PUBLIC):
            return False
    return found.is_global and not found.is_multicast


def is_shared(address: str) -> bool:
    """Return whether an address is one of the shared address space, 100.64.0.0/10."""
    try:
        return ipaddress.IPv4Address(address) in SHARED
    except ValueError:
        return False


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to: mapped, 6to4, Teredo or NAT64."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


class GuardedResolver(AbstractResolver):
    """Resolves as `inner` does and hands out no address that `check` refuses; one refused address refuses all."""

    def __init__(self, check: AddressCheck, inner: AbstractResolver) -> None:
        self._check = check
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host; raises OSError for an unknown name, and what the check raises."""
        found = await self._inner.resolve(host, port, family)
        for result in found:
            self._check(host, port, result["host"])
        return found

    async def close(self) -> None:
        """Close the resolver underneath."""
        await self._inner.close()
