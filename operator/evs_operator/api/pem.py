"""Finds the certificates in what people call a CA file, and says what else it is where there are none. Pure.

Called for `tls.caBundle` when a spec is read, and for the key of a Secret when trust is made of it. Only the blocks of
certificates are taken: comments in any language, line ends of any system, marks of byte order and private keys beside
them are passed over and not kept. Deliberately not done here: reading a certificate, which is OpenSSL's.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from typing import Final

MOST_BYTES: Final = 64 * 1024
"""Bytes of a CA file that are looked at, about forty certificates; more is refused."""
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"
_LINE: Final = 64
_OTHER: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DER: Final = b"\x30"
"""First byte of a certificate that is not in PEM."""


class PemError(ValueError):
    """There are no certificates to be taken; the message says what is there instead and what to write."""


def certificates_in(raw: bytes) -> tuple[str, ...]:
    """Return each certificate as PEM of its own, in their order; raises PemError where there is none.

    A block that is begun and is no base64 is an error too: half of an authority is not what was meant.
    """
    if len(raw) > MOST_BYTES:
        raise PemError(f"{instead(raw)}: write the certificates of the CA alone")
    found: list[str] = []
    at = raw.find(_BEGIN)
    while at >= 0:
        end = raw.find(_END, at)
        if end < 0:
            raise PemError(f"ends within its certificate {len(found) + 1}: write the PEM file whole")
        found.append(_block(raw[at + len(_BEGIN) : end], len(found) + 1))
        at = raw.find(_BEGIN, end)
    if not found:
        raise PemError(f"{instead(raw)}: write PEM certificates of a CA")
    return tuple(found)


def _block(body: bytes, number: int) -> str:
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        der = b""
    if not der.startswith(_DER):
        raise PemError(
            f"holds no CA certificate that can be read: its certificate {number} is no base64: write the PEM file whole"
        )
    text = base64.b64encode(der).decode("ascii")
    lines = "\n".join(text[at : at + _LINE] for at in range(0, len(text), _LINE))
    return f"{_BEGIN.decode()}\n{lines}\n{_END.decode()}\n"


def holds_certificate(raw: bytes) -> bool:
    """Return whether a certificate begins somewhere in a file."""
    return _BEGIN in raw


def instead(raw: bytes) -> str:
    """Say what a file is from which no certificates can be taken, without a word of it."""
    if len(raw) > MOST_BYTES:
        return f"holds {len(raw):,} bytes, and at most {MOST_BYTES:,} are taken"
    start = raw.removeprefix(codecs.BOM_UTF8).lstrip()
    if not start:
        return "is empty"
    if start.startswith(_UTF_16) or b"\x00-\x00-" in raw[:64]:
        return "is text in UTF-16 and not in ASCII or UTF-8"
    if start.startswith(_DER + b"\x82"):
        return "is a certificate in DER and not in PEM (`openssl x509 -inform der` turns it into PEM)"
    if start.startswith(b"LS0tLS1CRUdJTi"):
        return "is base64 of a PEM file, encoded once more than it has to be"
    if start.startswith(b"MII"):
        return "is base64 without the lines that begin and end a certificate in PEM"
    if other := _OTHER.search(raw):
        return f"holds no CA certificate that can be read but {_kind(other.group(1).decode())}"
    return "holds no CA certificate that can be read"


def _kind(label: str) -> str:
    if label.endswith("PRIVATE KEY"):
        return "a private key"
    return {"CERTIFICATE REQUEST": "a request for a certificate", "PKCS7": "PKCS #7"}.get(label, f"a block {label!r}")
