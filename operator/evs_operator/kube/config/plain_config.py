"""The two configurations that need nothing but their own text: a pod's ServiceAccount, and a kubeconfig with a token.

`cluster` asks here first. What is not of these forms to the letter is left to the official client.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import yaml

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_FRESH: Final = 60.0
"""Seconds for which a token is not read again; Kubernetes replaces it minutes before it ends."""


class ClusterError(Exception):
    """The configuration of the cluster cannot be used; the message says which file and why."""


class TokenFile:
    """A token in a file that is replaced from time to time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = 0.0

    def read(self) -> str:
        """Return the token; raises OSError where there never was one."""
        now = time.monotonic()
        if not self._token or now - self._read_at >= _FRESH:
            try:
                token = self._path.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:  # it may be being replaced: what was read last is still good
                if not self._token:
                    raise OSError(f"{self._path}: {error}") from error
                token = ""
            if not token.isprintable() or not (token or self._token):
                raise OSError(f"{self._path} holds no token")
            self._token, self._read_at = token or self._token, now
        return self._token


@dataclass(frozen=True, slots=True)
class PlainConfig:
    """Server, PEM of its authorities and bearer token."""

    server: str
    ca_data: str | None
    token: str
    verify: bool


def read(path: str) -> PlainConfig | None:
    """Return what a kubeconfig says, None where it is of another form or cannot be read."""
    try:
        config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        context = _entry(config, "contexts", "context", config["current-context"])
        cluster = _entry(config, "clusters", "cluster", context["cluster"])
        user = _entry(config, "users", "user", context["user"])
        authority = cluster.get("certificate-authority-data")
        ca_data = None if authority is None else base64.b64decode(str(authority), validate=True).decode("ascii")
        server, token = cluster["server"], user["token"]
        insecure = cluster.get("insecure-skip-tls-verify", False)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, binascii.Error, yaml.YAMLError):
        return None
    known = {"server", "certificate-authority-data", "insecure-skip-tls-verify"}
    plain = cluster.keys() <= known and user.keys() == {"token"} and isinstance(insecure, bool)
    if not plain or not isinstance(server, str) or not isinstance(token, str) or not token.isprintable():
        return None
    if not server.startswith("https://") or (ca_data is None and not insecure):
        return None  # whom to trust is then the official client's to say
    return PlainConfig(server.rstrip("/"), ca_data, token, verify=not insecure)


def _entry(config: Mapping[str, object], kind: str, key: str, name: object) -> Mapping[str, object]:
    """Return the entry of that name in one of a kubeconfig's lists; raises LookupError, TypeError."""
    for item in cast(list[Mapping[str, object]], config[kind]):
        if item["name"] == name:
            return cast(Mapping[str, object], item[key])
    raise LookupError(name)
