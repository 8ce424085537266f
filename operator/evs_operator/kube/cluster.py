"""Where the API server is and as whom we talk to it.

Called once at start; kopf and our own requests use what it found. Order: an explicit kubeconfig, the pod's
ServiceAccount, `KUBECONFIG`, `~/.kube/config`. A kubeconfig that needs more than its own text (exec plugins, files,
several files) is read by the official client, which also renews its tokens.
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from . import plain_config
from .lean_kopf import kopf
from .plain_config import SERVICE_ACCOUNT, ServiceAccountToken

_TOKEN: Final = "BearerToken"  # noqa: S105  # the client's name for the place of the token, not a token


class ClusterError(Exception):
    """The configuration of the cluster cannot be used; the message says which file and why."""


Authorize = Callable[[], Awaitable[tuple[str, str]]]
"""Returns the value of the Authorization header and the secret in it; both "" where there is none."""


@dataclass(slots=True, eq=False, kw_only=True)
class Cluster:
    """Address, trust and identity for one API server. `on_secret` is told each token or password before its use."""

    server: str
    authorize: Authorize
    ca_file: str | None = None
    ca_data: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    on_secret: Callable[[str], None] = lambda secret: None
    _told: str = field(default="", init=False, repr=False)

    async def headers(self) -> dict[str, str]:
        """Return the authentication headers, with the token renewed where that was due."""
        value, secret = await self.authorize()
        if secret != self._told:
            self._told = secret
            self.on_secret(secret)
        return {"Authorization": value} if value else {}

    def tls(self) -> ssl.SSLContext:
        """Return the trust and the client certificate that the configuration names, and no other."""
        context = ssl.create_default_context(cafile=self.ca_file, cadata=self.ca_data)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # clusters have certificates without all extensions
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file)
        if not self.verify:  # the user's kubeconfig says insecure-skip-tls-verify
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    async def login(self) -> Login:
        """Return the same as a session for kopf, whose own would be stricter with certificates than ours."""
        headers = await self.headers()
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self.tls()),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return Login(server=self.server, aiohttp_session=session, credential=headers.get("Authorization", ""))


@dataclass(frozen=True, kw_only=True, eq=False)
class Login(kopf.AiohttpSession):
    """What kopf asks the API server with. One with the same credential is equal: kopf tries no refused one again."""

    credential: str = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Login) and (self.server, self.credential) == (other.server, other.credential)

    __hash__ = None  # type: ignore[assignment]  # never a key


async def load_cluster(kubeconfig: Path | None) -> Cluster:
    """Find the API server; raise ClusterError with one line where no configuration can be used."""
    if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return _in_cluster(SERVICE_ACCOUNT)
    named = os.path.expanduser(str(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"))  # noqa: ASYNC240  # once, at start
    if not any(os.path.isfile(path) for path in named.split(os.pathsep)):  # noqa: ASYNC240  # once, at start
        raise ClusterError(f"kubeconfig {named}: no such file; use --kubeconfig or KUBECONFIG")
    if found := plain_config.read(named):
        return _with_token(found)
    return await _by_official_client(named)


def _in_cluster(directory: Path) -> Cluster:
    """Return the cluster around us, as Kubernetes mounts it into every pod."""
    token, authority = ServiceAccountToken(directory / "token"), directory / "ca.crt"
    try:
        token.read()
        if not authority.stat().st_size:
            raise OSError(f"{authority} is empty")
    except OSError as error:
        raise ClusterError(f"in-cluster configuration: {error}") from error
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host

    async def authorize() -> tuple[str, str]:
        return f"Bearer {token.read()}", token.read()

    return Cluster(server=f"https://{host}:{port}", authorize=authorize, ca_file=str(authority))


def _with_token(found: plain_config.PlainConfig) -> Cluster:
    async def authorize() -> tuple[str, str]:
        return f"Bearer {found.token}", found.token

    return Cluster(server=found.server, authorize=authorize, ca_data=found.ca_data, verify=found.verify)


async def _by_official_client(named: str) -> Cluster:
    # Imported late: 24 MB and 0.3 s of CPU that no pod needs.
    import yaml
    from kubernetes.aio import config as kube_config
    from kubernetes.aio.client import Configuration

    settings = Configuration()
    try:
        await kube_config.load_kube_config(  # type: ignore[no-untyped-call]  # untyped there
            config_file=named,
            client_configuration=settings,
            persist_config=False,
        )
    except (kube_config.ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(f"kubeconfig {named}: {first}") from error

    async def authorize() -> tuple[str, str]:
        scheme, _, value = str(await settings.get_api_key_with_prefix(_TOKEN) or "").partition(" ")
        if scheme.lower() == "basic":  # it keeps a password in the place of the token
            return f"Basic {value}", base64.b64decode(value).decode().partition(":")[2]
        token = value or scheme
        return (f"Bearer {token}", token) if token else ("", "")

    return Cluster(
        server=str(settings.host).rstrip("/"),
        authorize=authorize,
        ca_file=settings.ssl_ca_cert or None,
        ca_data=_text(settings.ca_cert_data),
        certificate_file=settings.cert_file or None,
        key_file=settings.key_file or None,
        verify=bool(settings.verify_ssl),
    )


def _text(data: str | bytes | None) -> str | None:
    return (data.decode("ascii") if isinstance(data, bytes) else data) or None
