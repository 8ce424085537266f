"""Where the API server is and as whom we talk to it, now: what was found at the start, read again where it changed.

kopf and our own requests use this. Order: an explicit kubeconfig, the pod's ServiceAccount, `KUBECONFIG`,
`~/.kube/config`. A kubeconfig that needs more than its own text is read by `official_config`. The files behind it are
looked at three times a minute: a cluster's authority, a client's certificate or a whole kubeconfig may be exchanged
under a running process. What cannot be used (half a file) leaves the last one in place.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from multidict import CIMultiDict

from evs_operator.kube.watch.lean_kopf import kopf

from . import official_config, plain_config
from .plain_config import SERVICE_ACCOUNT, ClusterError, TokenFile
from .way import Way

__all__ = ["Cluster", "ClusterError", "Login", "load_cluster"]

_LOOK_EVERY: Final = 20.0
_REFUSED_EVERY: Final = 10.0

_log = logging.getLogger(__name__)


class Cluster:
    """The way to one API server. `on_secret` is told each token or password before its use.

    `generation` moves with every change of address, trust or identity but a token's: whoever keeps connections makes
    new ones then. `reread` reads the configuration again.
    """

    def __init__(
        self,
        way: Way,
        reread: Callable[[], Awaitable[Way]] | None = None,
        now: Callable[[], float] = time.monotonic,
        on_secret: Callable[[str], None] = lambda secret: None,
    ) -> None:
        self._on_secret = on_secret
        self.generation = 1
        self._way = way
        self._reread = reread
        self._now = now
        self._looked = self._read_at = now()
        self._refused = False
        self._digest = way.digest()
        self._unusable = b""
        self._told = ""
        self._context: ssl.SSLContext | None = None

    @property
    def server(self) -> str:
        """Address of the API server, without a slash at the end."""
        return self._way.server

    async def headers(self) -> CIMultiDict[str]:
        """Return the headers that say who asks, with everything renewed where that was due."""
        if self._refused or self._now() - self._looked >= _LOOK_EVERY:
            self._looked = self._now()
            await self._look()
        value, secret = await self._way.authorize()
        if secret != self._told:
            self._told = secret
            self._on_secret(secret)
        headers = CIMultiDict(self._way.impersonate)
        if value:
            headers["Authorization"] = value
        return headers

    def tls(self) -> ssl.SSLContext:
        """Return the trust and the client certificate that the configuration names, and no other."""
        if self._context is None:
            self._context = self._way.tls()
        return self._context

    def session(self, *, connections: int, timeout: aiohttp.ClientTimeout | None = None) -> aiohttp.ClientSession:
        """Return connections on this way, as it is now."""
        return _session(self._way, self.tls(), connections, timeout or aiohttp.ClientTimeout())

    @property
    def trusted(self) -> bool:
        """Whether the API server has to prove who it is: by https, with a certificate that is verified."""
        return self._way.verify and self._way.server.startswith("https://")

    def session_for_others(self, *, connections: int, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
        """Return connections on which nothing says who we are: the requests are somebody else's, with their token."""
        way = self._way.for_others()
        return _session(way, way.tls(), connections, timeout)

    async def login(self) -> Login:
        """Return the same as a session for kopf, whose own would be stricter with certificates than ours."""
        headers = await self.headers()
        session = self.session(connections=0)
        session.headers.extend(headers)
        credential = f"{self.generation} {headers.get('Authorization', '')}"
        return Login(server=self.server, aiohttp_session=session, credential=credential, generation=self.generation)

    def refused(self) -> None:
        """Have everything read again, the token too: the API server refused it. Seldom, for it may refuse all."""
        if self._now() - self._read_at >= _REFUSED_EVERY:
            self._read_at, self._refused = self._now(), True

    async def _look(self) -> None:
        """Take over what changed in the files, or is to be read again."""
        digest, refused = self._way.digest(), self._refused
        self._refused = False
        if digest == self._digest and not refused:
            return
        try:
            way = await self._reread() if self._reread else self._way
            context = way.tls()
        except (ClusterError, OSError, ValueError) as error:  # an SSLError is an OSError
            if digest != self._unusable:
                first = str(error).partition("\n")[0]
                _log.warning("the cluster configuration changed but cannot be used, keeping the last one: %s", first)
            self._unusable = digest
            return
        self._way, self._context, self._digest, self._unusable = way, context, way.digest(), b""
        self.generation += 1
        _log.info("reloaded the cluster configuration: %s", "it was refused" if refused else "it changed")


@dataclass(frozen=True, kw_only=True, eq=False)
class Login(kopf.AiohttpSession):
    """What kopf asks the API server with. One with the same credential is equal: kopf tries no refused one again."""

    credential: str = field(repr=False)
    generation: int = 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Login) and (self.server, self.credential) == (other.server, other.credential)

    __hash__ = None  # type: ignore[assignment]  # never a key


def _session(way: Way, tls: ssl.SSLContext, connections: int, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=tls),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        proxy=way.proxy,
    )


async def load_cluster(
    kubeconfig: Path | None,
    on_secret: Callable[[str], None] = lambda secret: None,
    now: Callable[[], float] = time.monotonic,
) -> Cluster:
    """Find the API server; raise ClusterError with one line if no configuration can be used.

    `on_secret` gets each token or password before its use; `now` is the clock of what is read again now and then.
    """
    if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        cluster = Cluster(_in_cluster(SERVICE_ACCOUNT), reread=_reread_in_cluster, now=now, on_secret=on_secret)
    else:
        named = os.path.expanduser(str(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"))  # noqa: ASYNC240  # once, at start
        cluster = Cluster(await _read(named), reread=lambda: _read(named), now=now, on_secret=on_secret)
    try:
        cluster.tls()
    except (OSError, ValueError) as error:
        raise ClusterError(f"certificates of the cluster's configuration cannot be used: {error}") from error
    return cluster


async def _read(named: str) -> Way:
    """Read a kubeconfig of either form; raises ClusterError."""
    if not any(os.path.isfile(path) for path in named.split(os.pathsep)):  # noqa: ASYNC240  # small files, seldom
        raise ClusterError(f"kubeconfig {named}: no such file; use --kubeconfig or KUBECONFIG")
    found = plain_config.read(named)
    return _with_token(found, Path(named)) if found else await official_config.read(named)


async def _reread_in_cluster() -> Way:
    return _in_cluster(SERVICE_ACCOUNT)


def _in_cluster(directory: Path) -> Way:
    """Return the cluster around us, as Kubernetes mounts it into every pod."""
    token, authority = TokenFile(directory / "token"), directory / "ca.crt"
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

    return Way(server=f"https://{host}:{port}", authorize=authorize, ca_file=str(authority))


def _with_token(found: plain_config.PlainConfig, path: Path) -> Way:
    async def authorize() -> tuple[str, str]:
        return f"Bearer {found.token}", found.token

    return Way(server=found.server, authorize=authorize, ca_data=found.ca_data, verify=found.verify, files=(path,))
