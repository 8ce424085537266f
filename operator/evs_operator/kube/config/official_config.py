"""A kubeconfig of any form, through the official client: exec plugins, files, several files, certificates.

`cluster` comes here with what is not plain. The client is imported late: 24 MB and 0.3 s of CPU that no pod needs.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .kubeconfig import extras_of, files_of
from .plain_config import ClusterError, TokenFile
from .way import Authorize, Way

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

_TOKEN: Final = "BearerToken"  # noqa: S105  # the client's name for the place of the token, not a token


async def read(named: str) -> Way:
    """Return what the files of a value of KUBECONFIG say; raises ClusterError with one line."""
    import yaml
    from kubernetes.aio import config as kube_config
    from kubernetes.aio.client import Configuration

    settings = Configuration()
    try:
        extras = extras_of(named)
        loader = await kube_config.load_kube_config(  # type: ignore[no-untyped-call]  # untyped there
            config_file=named,
            context=extras.context,
            client_configuration=settings,
            persist_config=False,
        )
        if extras.token_file is not None:
            TokenFile(extras.token_file).read()
    except (
        kube_config.ConfigException,
        ClusterError,
        yaml.YAMLError,
        OSError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(f"kubeconfig {named}: {first}") from error
    authorize = _by_settings(settings, loader) if extras.token_file is None else _by_file(TokenFile(extras.token_file))
    _, secret = await authorize()
    if not secret.isprintable():
        raise ClusterError(f"kubeconfig {named}: the token or password must be text on one line")
    return _way(settings, authorize, extras.impersonate, tuple(files_of(named)))


def _way(
    settings: Configuration,
    authorize: Authorize,
    impersonate: tuple[tuple[str, str], ...],
    files: tuple[Path, ...],
) -> Way:
    return Way(
        server=str(settings.host).rstrip("/"),
        authorize=authorize,
        ca_file=settings.ssl_ca_cert or None,
        ca_data=_text(settings.ca_cert_data),
        certificate_file=settings.cert_file or None,
        key_file=settings.key_file or None,
        verify=bool(settings.verify_ssl),
        server_name=settings.tls_server_name or None,
        proxy=settings.proxy or None,
        impersonate=impersonate,
        files=files,
    )


def _by_file(token: TokenFile) -> Authorize:
    async def authorize() -> tuple[str, str]:
        return f"Bearer {token.read()}", token.read()

    return authorize


def _by_settings(settings: Any, loader: Any) -> Authorize:  # untyped there
    async def authorize() -> tuple[str, str]:
        if hasattr(loader, "exec_plugin_expiry"):  # the client asks the plugin again where that is over
            await loader.load_from_exec_plugin()
            settings.api_key[_TOKEN] = loader.token
        scheme, _, value = str(await settings.get_api_key_with_prefix(_TOKEN) or "").partition(" ")
        if scheme.lower() == "basic":  # it keeps a password in the place of the token
            return f"Basic {value}", base64.b64decode(value).decode().partition(":")[2]
        token = value or scheme
        return (f"Bearer {token}", token) if token else ("", "")

    return authorize


def _text(data: str | bytes | None) -> str | None:
    return (data.decode("ascii") if isinstance(data, bytes) else data) or None
