"""The client of the jobs API: one GET, one Job, or one CloudError. Called by `jobs.query`.

Every limit is ours: connect, read and total time, size of the body, no redirects, no cookies, trust only in what the
connection names (environment variables such as SSL_CERT_FILE or HTTPS_PROXY change nothing). Retries are the caller's.
"""

from __future__ import annotations

import asyncio
import copy
import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import httpx

from evs_operator.evs import errors
from evs_operator.evs.job import Job

from .classify import read_answer
from .endpoints import AllowList, origin
from .network import Network
from .transport import CloudTransport, OnCall
from .wire import fault_of

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of an answer that are read; 10,000 sub-jobs are 2.6 MB."""

NO_ID: Final = "0" * 32
"""No job and no project has this id."""
_ID = re.compile(r"[0-9A-Za-z_-]{1,128}")
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "X-Language": "en-us",
    "User-Agent": "evs-operator",
}


class EvsClient:
    """Asks one endpoint with one authentication. Use as a context manager, or call `aclose()`.

    `allow` judges the origin of every request, those to IAM included, before it goes, and the addresses that its
    host stands for; None allows all. `on_call` is told of each of them when it is over. Times are seconds, `max_body`
    is bytes. `tls` None trusts the public authorities. `network` is what the clients of a process share, `turn` whose
    connections these are among them.
    """

    def __init__(
        self,
        endpoint: str,
        auth: httpx.Auth,
        *,
        tls: ssl.SSLContext | None = None,
        connect_timeout: float = 5.0,
        read_timeout: float = 20.0,
        total_timeout: float = 30.0,
        max_body: int = MAX_BODY,
        allow: AllowList | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        on_call: OnCall | None = None,
        network: Network | None = None,
        turn: str = "",
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        network = network or Network()
        self._origin = origin(endpoint)
        self._where = self._origin.split("://", 1)[1]
        self._total_timeout = total_timeout
        self._auth = auth
        self._transport = CloudTransport(
            tls=tls,
            max_body=max_body,
            allow=allow,
            inner=transport,
            on_call=on_call,
            network=network,
            turn=turn,
            may_send=may_send,
        )
        self._extensions = {"timeout": httpx.Timeout(read_timeout, connect=connect_timeout, pool=None).as_dict()}
        self._url = network.url
        self._headers = httpx.Headers({"Host": self._where, **_HEADERS})

    def with_auth(self, auth: httpx.Auth) -> Self:
        """Return a client with another authentication that shares connections and all else with this one."""
        other = copy.copy(self)
        other._auth = auth
        return other

    async def get_job(self, project_id: str, job_id: str) -> Job:
        """Query one job (`GET /v1/{project_id}/jobs/{job_id}`); raises CloudError and nothing else."""
        for name, value in (("project", project_id), ("job", job_id)):
            if not _ID.fullmatch(value):  # nothing but an id becomes a part of the path
                raise errors.Rejected(f"{self._where} was not asked: {value[:64]!r} cannot be the id of a {name}")
        url = f"{self._origin}/v1/{project_id}/jobs/{job_id}"
        response = await self._get(url, project_id=project_id)
        return read_answer(
            response.status_code,
            response.headers,
            response.content,
            job_id=job_id,
            where=self._where,
            now=datetime.now(UTC),
            fault=fault_of(response),
        )

    async def _get(self, url: str, *, project_id: str = "", auth: httpx.Auth | None = None) -> httpx.Response:
        """Send a GET with the client's authentication, or another; raises CloudError where no answer comes."""
        try:
            # with a body and all headers that it needs httpx has nothing to add, which takes it 10 µs
            request = httpx.Request(
                "GET", self._url(url), headers=self._headers, stream=httpx.ByteStream(b""), extensions=self._extensions
            )
            request.read()
            if project_id:
                request.headers["X-Project-Id"] = project_id
            async with asyncio.timeout(self._total_timeout):
                return await self._exchange(request, auth or self._auth)
        except TimeoutError as error:
            raise errors.PollTimeout(f"{self._where} did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # IAM's endpoint is none
            raise errors.EndpointInvalid(f"{self._where} cannot be asked: {type(error).__name__}") from None

    async def prove(self, project_id: str | None, proof: httpx.Auth | None) -> None:
        """Return where one call shows that the credential is accepted; raises CloudError where it does not.

        Without a project `proof` signs in alone where the credential has one (`SignIn.proof`); else the answer that
        there is no such job, or no such project, shows as much.
        """
        if project_id is None and proof is not None:
            await self._get(self._origin, auth=proof)
            return
        try:
            await self.get_job(project_id or NO_ID, NO_ID)
        except errors.CloudError as error:
            if error.signing_in or not error.accepts:
                raise

    async def _exchange(self, request: httpx.Request, auth: httpx.Auth) -> httpx.Response:
        """Send what the authentication asks to be sent, and return the last answer.

        An `httpx.AsyncClient` does this too, and merges URLs and headers, keeps cookies, follows redirects and calls
        hooks, none of which is wanted here: half of the CPU of a poll.
        """
        flow = auth.async_auth_flow(request)
        try:
            sending = await anext(flow)
            while True:
                response = await self._transport.handle_async_request(sending)
                try:
                    sending = await flow.asend(response)
                except StopAsyncIteration:
                    return response
        finally:
            await flow.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
