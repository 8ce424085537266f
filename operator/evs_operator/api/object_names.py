"""What a name of a Kubernetes object may be. Checked again by whoever puts a name into a path.

The CRDs refuse other names at admission; objects may be older than the CRD, and `../other/secrets/x` is a path.
"""

from __future__ import annotations

import re
from typing import Final

_SHOWN: Final = 63
_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_LONG_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LONG_LABEL}(?:\.{_LONG_LABEL})*")


def is_object_name(text: str) -> bool:
    """Return whether a text is a DNS-1123 subdomain, as the names of Secrets and of connections are."""
    return _NAME.fullmatch(text) is not None


def is_namespace_name(text: str) -> bool:
    """Return whether a text is a DNS-1123 label, as the names of namespaces are."""
    return _NAMESPACE.fullmatch(text) is not None


def shown(name: str) -> str:
    """Return a name or key as our own sentences quote it: its first 63 characters, the last one "…" of a longer one."""
    return name if len(name) <= _SHOWN else name[: _SHOWN - 1] + "…"
