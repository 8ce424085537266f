"""Where the API server is and as whom we talk to it.

Called once at start. The official client reads the configuration (kubeconfig with its exec plugins, or the
ServiceAccount that Kubernetes mounts) and renews tokens; kopf and our own requests use what it found. Order:
an explicit kubeconfig, the pod's ServiceAccount, `KUBECONFIG`, `~/.kube/config`.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import kopf
import yaml
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration

_TOKEN = "BearerToken"  # noqa: S105  # the client's name for the place of the token, not a token


class ClusterError(Exception):
    """The configuration of the cluster cannot be used; the message says which file and why."""


class Cluster:
    """Address, trust and identity for one API server. `on_secret` is told each token or password before its use."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self.server: str = str(configuration.host).rstrip("/")
        self._told = ""
        self.on_secret: Callable[[str], None] = lambda secret: None

    async def headers(self) -> dict[str, str]:
        """Return the authentication headers, with the token renewed where that was due."""
        token = await self._configuration.get_api_key_with_prefix(_TOKEN)
        if token:
            scheme, _, value = str(token).partition(" ")
            self._tell(value or scheme)
            return {"Authorization": f"Bearer {value or scheme}"}
        if self._configuration.username:
            self._tell(str(self._configuration.password))
            return {"Authorization": str(self._configuration.get_basic_auth_token())}
        return {}

    def _tell(self, secret: str) -> None:
        if secret != self._told:
            self._told = secret
            self.on_secret(secret)

    def tls(self) -> ssl.SSLContext:
        """Return the trust and the client certificate that the configuration names, and no other."""
        settings = self._configuration
        context = ssl.create_default_context(cafile=settings.ssl_ca_cert, cadata=settings.ca_cert_data)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # clusters have certificates without all extensions
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        if not settings.verify_ssl:  # the user's kubeconfig says insecure-skip-tls-verify
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    async def login(self) -> kopf.ConnectionInfo:
        """Return the same for kopf."""
        settings = self._configuration
        authorization = (await self.headers()).get("Authorization", "")
        scheme, _, token = authorization.partition(" ")
        return kopf.ConnectionInfo(
            server=self.server,
            ca_path=settings.ssl_ca_cert or None,
            ca_data=settings.ca_cert_data or None,
            insecure=not settings.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=settings.cert_file or None,
            private_key_path=settings.key_file or None,
        )


async def load_cluster(kubeconfig: Path | None) -> Cluster:
    """Find the API server; raise ClusterError with one line where no configuration can be used."""
    configuration = Configuration()
    if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        try:
            kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # untyped there
        except kube_config.ConfigException as error:
            raise ClusterError(f"in-cluster configuration: {error}") from error
        return Cluster(configuration)
    named = os.path.expanduser(str(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"))  # noqa: ASYNC240  # once, at start
    if not any(os.path.isfile(path) for path in named.split(os.pathsep)):  # noqa: ASYNC240  # once, at start
        raise ClusterError(f"kubeconfig {named}: no such file; use --kubeconfig or KUBECONFIG")
    try:
        await kube_config.load_kube_config(  # type: ignore[no-untyped-call]  # untyped there
            config_file=named,
            client_configuration=configuration,
            persist_config=False,
        )
    except (kube_config.ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(f"kubeconfig {named}: {first}") from error
    return Cluster(configuration)
