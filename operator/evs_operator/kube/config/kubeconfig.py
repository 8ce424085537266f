"""What a kubeconfig says beyond what the official client takes from it, read as kubectl reads it.

`cluster` asks for every kubeconfig that is not plain: the context that counts where several files are merged, as whom
to act (`as`), and the file of a token. What neither the client nor this can honour is refused here, in one line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import yaml

from evs_operator.api.stored import mapping

from .plain_config import ClusterError

_PROVIDERS: Final = frozenset({"gcp", "oidc"})
_AS: Final = "as"
_AS_MORE: Final = ("as-uid", "as-groups", "as-user-extra")
_MORE_AS_WHAT: Final = "as-uid, as-groups and as-user-extra need as: the user to act as"


@dataclass(frozen=True, slots=True)
class Extras:
    """The context, the headers that say as whom to act, and the file whose token counts; "" and None for no such."""

    context: str
    impersonate: tuple[tuple[str, str], ...] = ()
    token_file: Path | None = None


def files_of(named: str) -> list[Path]:
    """Return the files that a value of KUBECONFIG names and that are there."""
    paths = [Path(os.path.expanduser(path)) for path in named.split(os.pathsep) if path]
    return [path for path in paths if path.is_file()]


def extras_of(named: str) -> Extras:
    """Read the files; raises ClusterError, with one line, for what cannot be honoured."""
    files = [(path, _load(path)) for path in files_of(named)]
    context_name = next((str(name) for _, config in files if (name := config.get("current-context"))), "")
    if not context_name:
        raise ClusterError("current-context is not set")
    _, context = _entry(files, "contexts", "context", context_name)
    _, cluster = _entry(files, "clusters", "cluster", context.get("cluster"))
    _check_cluster(cluster)
    if not context.get("user"):
        return Extras(context_name)
    path, user = _entry(files, "users", "user", context["user"])
    token_file = user.get("tokenFile")
    provider = mapping(user.get("auth-provider")).get("name")
    if provider is not None and provider not in _PROVIDERS:
        raise ClusterError(f"auth-provider {provider}: use an exec plugin instead")
    return Extras(context_name, _impersonation(user), path.parent / str(token_file) if token_file else None)


def _load(path: Path) -> Mapping[str, object]:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if config is not None and not isinstance(config, dict):
        raise ClusterError(f"{path} holds no configuration")
    return config or {}


def _entry(
    files: list[tuple[Path, Mapping[str, object]]], kind: str, key: str, name: object
) -> tuple[Path, Mapping[str, object]]:
    """Return the entry of that name and the file that it stands in: the first one counts."""
    for path, config in files:
        items = config.get(kind)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and item.get("name") == name:
                return path, mapping(item.get(key))
    raise ClusterError(f"{key} {name} is not there")


def _check_cluster(cluster: Mapping[str, object]) -> None:
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        raise ClusterError("server must begin with https:// or http://")
    proxy = cluster.get("proxy-url")
    if proxy and urlsplit(str(proxy)).scheme != "http":
        raise ClusterError("proxy-url: only a proxy that is spoken to by http:// can be used")


def _impersonation(user: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return the headers of `as` and what belongs to it, as kubectl sends them."""
    name = user.get(_AS)
    if not name:
        if any(user.get(field) for field in _AS_MORE):
            raise ClusterError(_MORE_AS_WHAT)
        return ()
    headers = [("Impersonate-User", name)]
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", user["as-uid"]))
    headers += [("Impersonate-Group", group) for group in _list(user, "as-groups")]
    extra = mapping(user.get("as-user-extra"))
    for key in extra:
        header = f"Impersonate-Extra-{quote(str(key).lower(), safe='')}"
        headers += [(header, value) for value in _list(extra, key)]
    for header, value in headers:
        if not isinstance(value, str) or not value.isprintable():
            raise ClusterError(f"{header}: must be text on one line")
    return tuple((header, str(value)) for header, value in headers)


def _list(holder: Mapping[str, object], key: str) -> list[object]:
    found = holder.get(key) or []
    if not isinstance(found, list):
        raise ClusterError(f"{key} must be a list")
    return found
