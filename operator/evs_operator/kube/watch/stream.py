"""One kind in one place: its list, and the watch that goes on from it, for as long as the source runs.

`source` starts one for each kind and namespace. The list is our own (`listing`, pages by bytes); kopf asks for the
watch and reads its lines. A watch lives half a minute at most, so that one whose connection is half open is given up
within 35 s: the API server ends it in good order before, with a bookmark of where it was. What ends early or is refused
is tried again with growing waits, counted, and logged once a minute. A stream ends only where its kind is not served,
or where our credential is refused.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import urlencode

import aiohttp

from evs_operator.api.names import PLURALS
from evs_operator.kube.api import METADATA_LIST, KubeApi, KubeError, retry_seconds
from evs_operator.kube.listing import pages
from evs_operator.kube.objects import collection_path
from evs_operator.observe.seldom import Seldom
from evs_operator.observe.wording import Ours

from .lean_kopf import APIError, kopf, stream
from .pauses import Pauses
from .pulse import Pulse

RESTORED: Final = "RESTORED"
"""Event type of what is listed after the API server's own store went back: it is the truth, whatever its version."""
_TYPES: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
_PASSING: Final = frozenset({0, 403, 408, 410, 429})
"""Answers of HTTP below 500 after which the same is asked again; 0 is none."""

_log = logging.getLogger(__name__)
_UNHEARD: Final = logging.Logger("kopf", logging.CRITICAL + 1)
"""For kopf, which would log every refused request; here that is logged once a minute."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a watch may live, in seconds."""

    life: float = 26.0
    """After that the API server is asked to end it."""
    silence: float = 31.0
    """Without a byte for that long it is given up, also while it is not answered at all."""
    short: float = 10.0
    """If it ends before, it has failed."""
    connect: float = 10.0
    """A connection has to be there within that."""
    longest: float = 60.0
    """It is given up after that, whatever comes."""


USUAL: Final = Pace()


class Stream:
    """What becomes of one kind in one place; `follow` is its life."""

    def __init__(
        self,
        api: KubeApi,
        kind: str,
        namespace: str | None,
        *,
        take: Callable[[str | None, Mapping[str, object]], None],
        listed: Callable[[], None],
        failed: Callable[[], None],
        renew: Callable[[], Awaitable[None]],
        pulse: Pulse,
        lists: asyncio.Semaphore,
        seldom: Seldom,
        pace: Pace = USUAL,
    ) -> None:
        self._pace = pace
        self._timeout = aiohttp.ClientTimeout(total=pace.longest, sock_connect=pace.connect, sock_read=pace.silence)
        self.what = f"{PLURALS[kind]}{f' in {namespace}' if namespace else ''}"
        self._api = api
        self._path = collection_path(kind, namespace)
        self._take = take
        self._listed = listed
        self._failed = failed
        self._renew = renew
        self._pulse = pulse
        self._lists = lists
        self._seldom = seldom
        self._pauses = Pauses(pace.short)
        self._restored = False

    async def follow(self) -> None:
        """List and watch until cancelled; raises KubeError, kopf's APIError and LoginError where that cannot be."""
        while True:
            version: str | None = await self._list()
            self._pulse.beat(self.what)
            self._listed()
            while version is not None:
                version = await self._watch(version)

    async def _list(self) -> str:
        """Hand over all objects; return the version at which the watch goes on."""
        while True:
            began = time.monotonic()
            try:
                async with self._lists:
                    version = ""
                    async for page in pages(self._api, self._path):
                        version = version or page.version
                        for item in page.items:
                            self._take(RESTORED if self._restored else None, item)
                self._restored = False
                return version
            except KubeError as error:
                if not _passing(error.status):
                    raise
                await self._pause(f"list of {self.what}", error.message, began, error.retry_after)

    async def _watch(self, version: str) -> str | None:
        """Watch from a version on; return where to go on, None where the list has to be read anew."""
        began, at = time.monotonic(), [version]
        problem, after = "it ended at once", 0.0
        try:
            await self._renew()
            if not await self._follow(at):
                return None
        except APIError as error:
            self._restored = "ResourceVersionTooLarge" in str(error.details)
            if error.status == 410 or self._restored:
                return None
            if not _passing(error.status):
                raise
            problem, after = error.message or f"HTTP {error.status}", _retry_after(error)
        except TimeoutError:
            problem = "the API server did not answer in time"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem = str(error).partition("\n")[0] or type(error).__name__
        else:
            if time.monotonic() - began >= self._pace.short:
                self._pulse.beat(self.what)
                return None if at[0] == version and await self._is_ahead(version) else at[0]
        self._failed()
        await self._pause(f"watch of {self.what}", problem, began, after)
        return at[0]

    async def _is_ahead(self, version: str) -> bool:
        """Return whether a watch that brought nothing waits for a version that the API server has yet to reach.

        So it is when the store of the API server was restored from a copy: a watch from then on hides what changes.
        """
        try:
            answer = await self._api.answer(
                "GET", self._path, params={"limit": "1"}, accept=f"{METADATA_LIST},application/json"
            )
            metadata = answer.body.get("metadata")
            now = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
            self._restored = int(str(now)) < int(version)
        except (KubeError, ValueError):
            return False
        if self._restored:
            _log.warning("%s: the API server was restored from a backup, listing everything again", Ours(self.what))
        return self._restored

    async def _follow(self, at: list[str]) -> bool:
        """Hand over what the watch brings and keep its version in `at`; False where that version has expired."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": at[0],
            "timeoutSeconds": str(round(self._pace.life * random.uniform(0.9, 1.0))),
        }
        settings = kopf.OperatorSettings()
        settings.networking.error_backoffs = ()
        url = f"{self._path}?{urlencode(query)}"
        lines = stream(url, settings=settings, timeout=self._timeout, logger=_UNHEARD)
        async with aclosing(cast(AsyncGenerator[object, None], lines)):
            async for line in lines:
                event, body = _read(line)
                if event == "ERROR":
                    if body.get("code") == 410:
                        return False
                    raise ValueError(str(body.get("message") or "it ended with an error")[:256])
                at[0] = _version(body) or at[0]
                self._pulse.beat(self.what)
                if event in _TYPES:
                    self._take(event, body)
        return True

    async def _pause(self, what: str, problem: str, began: float, at_least: float) -> None:
        wait = self._pauses.after(time.monotonic() - began, at_least)
        self._seldom.warning(f"{what.partition(' ')[0]} {problem}", Ours(f"{what}: retrying in {wait:.0f} s:", problem))
        await asyncio.sleep(wait)


def _passing(status: int) -> bool:
    return status in _PASSING or status >= 500 or 200 <= status < 300


def _read(line: object) -> tuple[object, Mapping[str, object]]:
    """Return type and object of a line of a watch; raises ValueError for what is none."""
    body = line.get("object") if isinstance(line, dict) else None
    if not isinstance(line, dict) or not isinstance(body, dict):
        raise ValueError("the answer is no watch: something else answers in place of the API server")
    return line.get("type"), body


def _version(body: Mapping[str, object]) -> str:
    metadata = body.get("metadata")
    return str(metadata.get("resourceVersion") or "") if isinstance(metadata, Mapping) else ""


def _retry_after(error: APIError) -> float:
    value = next((value for name, value in error.headers.items() if name.lower() == "retry-after"), "")
    return retry_seconds(value)
