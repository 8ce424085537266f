"""The way to an endpoint, step by step: name, connection, TLS, and the clock at the other end.

Called by `connection` for the EVS and the IAM endpoint, before any credential is sent there. It sends `HEAD /` without
one, for the `Date` of the answer. The name is looked up once, and what is connected to, for a certificate too, is the
address that was judged. What is trusted is what the connection trusts; where a certificate is refused, the same
handshake is made once more and closed, only to tell whose certificate it was.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from evs_operator.cloud.classify import date_of
from evs_operator.cloud.endpoints import AllowList, EndpointNotAllowed
from evs_operator.cloud.names import Names

from .report import Report

_TIMEOUT: Final = 5.0
_CLOCK_NOTED: Final = 60.0
_CLOCK_REFUSED: Final = 900.0
"""Seconds that a signature may be off (docs/reference/jobs-api.md#signatures)."""
_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python gives no name."""
_EXPIRED, _NOT_YET, _WRONG_HOST = 10, 9, (62, 64)


async def check_way(endpoint: str, tls: ssl.SSLContext, allow: AllowList, report: Report) -> bool:
    """Report on each step to an endpoint (an origin); return whether a request can get there."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    secure = tls if parts.scheme == "https" else None
    addresses = await _check_name(host, port, allow, report)
    if not addresses:
        return False
    writer: asyncio.StreamWriter | None = None
    try:
        reader, writer = await _connected(addresses, port)
        report.line(True, f"TCP {host}:{port}", "connected")
        if secure is not None and not await _check_tls(writer, host, secure, report):
            return False
        await _check_clock(reader, writer, host, report)
    except (OSError, TimeoutError) as error:
        said = "no answer within 5 s" if isinstance(error, TimeoutError) else _brief(error)
        what = f"{said}: check the endpoint's port, the NetworkPolicy and the firewall between here and there"
        return report.line(False, f"TCP {host}:{port}", what)
    finally:
        if writer is not None:
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_TIMEOUT):
                    await writer.wait_closed()
    return True


async def _check_name(host: str, port: int, allow: AllowList, report: Report) -> list[str]:
    """Return the addresses of a host, which may be connected to; none where that is refused.

    The name is looked up here and nowhere after: a second answer could lead elsewhere.
    """
    try:
        addresses = await _addresses(host, port)
    except OSError:
        what = "the name is not known: correct spec.endpoint, or check the DNS of the cluster"
        report.line(False, f"DNS {host}", what)
        return []
    try:
        for address in addresses:
            allow.check_address(host, port, address)
    except EndpointNotAllowed as error:
        report.line(False, f"DNS {host}", str(error))
        return []
    report.line(True, f"DNS {host}", ", ".join(addresses[:4]))
    return addresses


async def _addresses(host: str, port: int) -> list[str]:
    with suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    return list(dict.fromkeys(found["host"] for found in await Names().look_up(host, port, socket.AF_UNSPEC, "")))


async def _connected(addresses: Sequence[str], port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first address that takes a connection; raises OSError or TimeoutError where none does."""
    failed: OSError = OSError("no address")
    for address in addresses[:4]:
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await asyncio.open_connection(address, port)
        except OSError as error:  # also TimeoutError
            failed = error
    raise failed


async def _check_tls(writer: asyncio.StreamWriter, host: str, tls: ssl.SSLContext, report: Report) -> bool:
    address, port = writer.get_extra_info("peername")[:2]
    try:
        async with asyncio.timeout(_TIMEOUT):
            await writer.start_tls(tls, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        return report.line(False, f"TLS {host}", _untrusted(error, await _certificate(host, address, port), report))
    except (ssl.SSLError, OSError, TimeoutError) as error:
        what = f"no handshake ({_brief(error)}): does the endpoint speak TLS on port {port}, and is no proxy between?"
        return report.line(False, f"TLS {host}", what)
    certificate = writer.get_extra_info("peercert") or {}
    what = f"{writer.get_extra_info('ssl_object').version()}, {report.quoted(_names(certificate))}"
    return report.line(True, f"TLS {host}", f"{what}, valid until {certificate.get('notAfter', 'an unknown time')}")


def _untrusted(error: ssl.SSLCertVerificationError, certificate: dict[str, object], report: Report) -> str:
    whose = report.quoted(_names(certificate))
    if error.verify_code == _EXPIRED:
        return f"the certificate expired on {certificate.get('notAfter', 'an unknown day')} ({whose}): have it renewed"
    if error.verify_code == _NOT_YET:
        since = certificate.get("notBefore", "a later day")
        return f"the certificate is valid from {since} on ({whose}): check the clock of this machine"
    if error.verify_code in _WRONG_HOST:
        return (
            f"the certificate is for another host ({whose}): correct spec.endpoint, or have the certificate made for it"
        )
    return (
        f"the certificate is not trusted ({whose}; {error.verify_message}): "
        "put the certificate of the authority that issued it into spec.tls.caBundle or spec.tls.caSecretRef"
    )


async def _certificate(host: str, address: str, port: int) -> dict[str, object]:
    """Return the certificate that a host shows at an address, whoever issued it; {} where that cannot be found out."""
    try:
        async with asyncio.timeout(2 * _TIMEOUT):
            return await asyncio.to_thread(_read_certificate, host, address, port)
    except (OSError, ValueError, TimeoutError):
        return {}


def _read_certificate(host: str, address: str, port: int) -> dict[str, object]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _handshake(context, host, address, port) as secure:
        shown = secure.getpeercert(binary_form=True) or b""
    # To have it decoded it must verify: trust that one certificate, whatever its name and its time.
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=shown)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    with _handshake(context, host, address, port) as secure:
        return dict(secure.getpeercert() or {})


@contextmanager
def _handshake(context: ssl.SSLContext, host: str, address: str, port: int) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection((address, port), timeout=_TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        yield secure


def _names(certificate: dict[str, object]) -> str:
    subject, issuer = _name(certificate.get("subject")), _name(certificate.get("issuer"))
    hosts = certificate.get("subjectAltName")
    named = ", ".join(str(value) for _, value in hosts[:3]) if isinstance(hosts, tuple) else ""
    return f"subject {subject}{f' for {named}' if named else ''}, issuer {issuer}"


def _name(rdns: object) -> str:
    if not isinstance(rdns, tuple):
        return "unknown"
    fields = {str(key): str(value) for rdn in rdns for key, value in rdn}
    return fields.get("commonName") or fields.get("organizationName") or "without a name"


async def _check_clock(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, report: Report) -> None:
    """Compare our clock with the endpoint's: a signature that is off by more than 15 minutes is refused."""
    writer.write(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: evs-operator\r\nConnection: close\r\n\r\n".encode())
    try:
        async with asyncio.timeout(_TIMEOUT):
            await writer.drain()
            head = (await reader.read(16 * 1024)).decode("latin-1")
    except (OSError, TimeoutError):
        head = ""
    dates = [line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith("date:")]
    theirs = date_of(dates[0]) if dates else None
    if theirs is None:
        report.note(f"clock of {host}", "unknown: if signatures are refused as expired, set this machine's clock")
        return
    off = (datetime.now(UTC) - theirs).total_seconds()
    if abs(off) < _CLOCK_NOTED:
        report.line(True, f"clock of {host}", f"differs by {abs(off):.0f} s")
        return
    way = "ahead of" if off > 0 else "behind"
    beyond = " (more than the 900 s that a signature may be off)" if abs(off) > _CLOCK_REFUSED else ""
    report.note(
        f"clock of {host}",
        f"this machine is {abs(off):.0f} s {way} it{beyond}: the operator corrects signatures by that, set the clock",
    )


def _brief(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    text = (getattr(error, "strerror", None) or str(error)).splitlines()
    return text[0] if text else type(error).__name__
