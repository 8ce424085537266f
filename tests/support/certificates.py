"""Certificates made by openssl for tests: authorities, and servers with the dates and names that a test wants."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(directory: Path, *arguments: str) -> None:
    """Run openssl in a directory."""
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def make_authority(directory: Path, name: str) -> None:
    """Make `name.crt` and `name.key` of an authority."""
    subject = ("-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign")
    openssl(
        directory, "req", "-x509", *NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "2", *subject
    )


def make_certificate(directory: Path, name: str, authority: str, host: str, *, days: int = 2) -> None:
    """Make `name.crt` and `name.key` for a host such as `IP:127.0.0.1`; with -1 day it expired yesterday."""
    subject = ("-subj", f"/CN={name}", "-addext", f"subjectAltName={host}", "-addext", "basicConstraints=CA:FALSE")
    openssl(directory, "req", *NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", *subject)
    signer = ("-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial", "-copy_extensions", "copy")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", *signer, "-days", str(days), "-out", f"{name}.crt")


def judge_as_python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have contexts refuse certificates without all extensions, as Python does by itself from 3.13 on."""
    original = ssl.create_default_context

    def strict(*arguments: Any, **named: Any) -> ssl.SSLContext:
        context = original(*arguments, **named)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
