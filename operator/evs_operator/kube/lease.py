"""Leader election: of several processes, the one that holds the Lease `evs-operator` works.

Started by the supervisor. Why two never lead at once, without comparing the clocks of machines:

- a holder leads for RENEW_DEADLINE from the moment before it SENT its last write that succeeded;
- another takes a Lease only after it has itself watched it unchanged for its whole duration, which is longer and
  began, for it, after that write was done;
- every write names the resourceVersion it was decided on, so a Lease that changed meanwhile cannot be taken.

Times in the Lease are for people and are never read. Who loses the Lease ends its process, and a new one stands by.
Deliberately not handled: a Lease that a person deletes under its holder. Standbys that saw it wait all the same, but
a process that starts then creates one at once, and for one renewal there are two. Statuses stay right even so: the
writer names a resourceVersion as well.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol
from urllib.parse import quote

from evs_operator.api.stored import mapping
from evs_operator.observe.wording import Ours

from .api import KubeError
from .lease_rules import LEASE_SECONDS, Seen, Step, look, next_step

LEASE_NAME: Final = "evs-operator"
RENEW_DEADLINE: Final = 10.0
RENEW_EVERY: Final = 5.0
RETRY_EVERY: Final = 2.0
_REQUEST_TIMEOUT: Final = 3.0
_RELEASE_TIMEOUT: Final = 2.0
_RELEASE_TRIES: Final = 3
_SHORTEST_PAUSE: Final = 0.1
_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update"}
_NEVER: Final = float("-inf")

_log = logging.getLogger(__name__)


class LeaseApi(Protocol):
    """What of `KubeApi` is used here."""

    async def request(self, method: str, path: str, *, body: object = None) -> dict[str, object]:
        """Send one request and return the object of a 2xx answer; raise KubeError for any other."""


class LeaseClock(Protocol):
    """Seconds that never jump, and the time of day for people."""

    def __call__(self) -> float:
        """Return seconds since a moment of this process's own."""

    def wall(self) -> datetime:
        """Return the time of day."""


class LeaseHolder:
    """Takes the Lease, keeps it and gives it back, for one process.

    `problem` says on one line what keeps it from taking part, or "".
    """

    def __init__(
        self,
        api: LeaseApi,
        namespace: str,
        clock: LeaseClock,
        *,
        identity: str = "",
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.identity = identity or f"{socket.gethostname()}_{uuid.uuid4()}"
        self.problem = ""
        self._api = api
        self._namespace = namespace
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace)}/leases"
        self._name = f"Lease {namespace}/{LEASE_NAME}"
        self._clock = clock
        self._jitter = jitter
        self._seen: Seen | None = None
        self._body: Mapping[str, object] | None = None
        self._may_hold = False
        self._until = _NEVER
        self._acquired = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether this process may work now; ends by itself, before any other process can begin."""
        return self._clock() < self._until

    async def held(self) -> None:
        """Return once this process holds the Lease for the first time."""
        await self._acquired.wait()

    async def run(self) -> None:
        """Take the Lease as soon as it is free, keep it, and return when it is lost."""
        while not self.leads:
            await self._stand_by()
        _log.info("leading: holds %s as %s", Ours(self._name), Ours(self.identity))
        self._acquired.set()
        lost = await self._keep()
        self._until = _NEVER
        self._may_hold = False  # nothing to release: it ends by itself, or is another's
        _log.error("stopping: %s is lost: %s", Ours(self._name), lost)

    async def release(self) -> None:
        """Give the Lease back, so that another process need not wait for its end; call when `run` has ended."""
        self._until = _NEVER
        if not self._may_hold:
            return
        try:
            async with asyncio.timeout(_RELEASE_TIMEOUT):
                await self._empty()
        except (KubeError, TimeoutError) as error:
            why = error.message if isinstance(error, KubeError) else "no answer in time"
            _log.warning("%s was not released and will expire: %s", Ours(self._name), why)

    async def _stand_by(self) -> None:
        holder = self._seen.holder if self._seen else ""
        try:
            await self._attempt()
        except KubeError as error:
            problem = "" if error.status == 409 else error.message  # 409: another one was faster
            if problem and problem != self.problem:
                _log.warning("waiting: %s", problem)
            self.problem = problem
        else:
            self.problem = ""
        if self.leads:
            return
        pause = self._retry_pause()
        if self._seen and self._seen.holder and not self.problem:
            pause = min(pause, max(self._seen.end - self._clock(), _SHORTEST_PAUSE))
            if self._seen.holder != holder:
                _log.info("standby: %s is held by %s", Ours(self._name), Ours(self._seen.holder))
        await asyncio.sleep(pause)

    async def _keep(self) -> str:
        """Renew until that is no longer possible; return why on one line."""
        problem = "the process was held up"
        pause = RENEW_EVERY
        while self.leads:
            await asyncio.sleep(min(pause, self._until - self._clock()))
            started = self._clock()
            try:
                async with asyncio.timeout(self._until - self._clock()):
                    step = await self._attempt(leading=True)
            except KubeError as error:
                problem = error.message
                pause = max(started + self._retry_pause() - self._clock(), _SHORTEST_PAUSE)
            except TimeoutError:
                problem = Ours("the API server did not answer in time")
            else:
                if step is not Step.RENEW:
                    return self._loss()
                pause = self._until - RENEW_DEADLINE + RENEW_EVERY - self._clock()
        return Ours(f"not renewed within {RENEW_DEADLINE:.0f} s:", problem)

    def _loss(self) -> str:
        if self._body is None:
            return "it was deleted"
        holder = self._seen.holder if self._seen else ""
        return Ours(f"held by {holder} now") if holder else "it was emptied"

    def _retry_pause(self) -> float:
        return RETRY_EVERY * (0.8 + 0.4 * self._jitter())

    async def _attempt(self, *, leading: bool = False) -> Step:
        """Look at the Lease and write it where that is allowed; who leads already may do nothing but renew.

        To have been named in the Lease is not enough to lead: only a write tells when it was.
        """
        seen = await self._look()
        step = next_step(seen, self.identity, self._clock())
        if step is Step.WAIT or (leading and step is not Step.RENEW):
            return step
        spec: dict[str, object] = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": self._now(),
        }
        if step is not Step.RENEW:
            before = mapping((self._body or {}).get("spec")).get("leaseTransitions")
            transitions = before + 1 if isinstance(before, int) else 0
            spec |= {"acquireTime": spec["renewTime"], "leaseTransitions": transitions}
        started = self._clock()
        await self._write(spec)
        self._until = started + RENEW_DEADLINE
        return step

    async def _empty(self) -> None:
        # A renewal that was cut off may have arrived after all, and then the first try is refused.
        for tries_left in reversed(range(_RELEASE_TRIES)):
            seen = await self._look()
            if not seen.version or seen.holder != self.identity:
                return
            try:
                await self._write({"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()})
            except KubeError as error:
                if error.status != 409 or not tries_left:
                    raise
            else:
                _log.info("released %s", Ours(self._name))
                return

    async def _look(self) -> Seen:
        try:
            self._body = await self._request("GET", f"{self._collection}/{LEASE_NAME}")
        except KubeError as error:
            if error.status != 404:
                raise
            self._body = None
        self._seen = look(self._seen, self._body, self._clock())
        return self._seen

    async def _write(self, spec: Mapping[str, object]) -> None:
        """Create the Lease, or update the very version that was looked at; all else that is in it stays."""
        self._may_hold = True
        if self._body is None:
            metadata = {"name": LEASE_NAME, "namespace": self._namespace}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            await self._request("POST", self._collection, lease)
            return
        changed = {**self._body, "spec": {**mapping(self._body.get("spec")), **spec}}
        await self._request("PUT", f"{self._collection}/{LEASE_NAME}", changed)

    async def _request(self, method: str, path: str, body: object = None) -> dict[str, object]:
        try:
            async with asyncio.timeout(_REQUEST_TIMEOUT):
                return await self._api.request(method, path, body=body)
        except TimeoutError:
            raise KubeError(0, Ours(f"{method} {path}: the API server did not answer in time")) from None
        except KubeError as error:
            if error.status != 403:
                raise
            right = f"{_VERBS[method]} leases.coordination.k8s.io in namespace {self._namespace}"
            message = f"no permission to {right}: grant it to the operator's ServiceAccount"
            raise KubeError(403, Ours(message)) from None

    def _now(self) -> str:
        return self._clock.wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
