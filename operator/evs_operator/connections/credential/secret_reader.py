"""Reads Secrets by name, each once for all who ask at the same time. Never lists or watches them.

What was read is kept for a moment only: connections hold the credential that was made of it. An API server that
does not answer is given up after five seconds, for all who wait: the credential that was read before is used meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.secret import Secret, read_secret
from evs_operator.observe.wording import Ours

_FRESH: Final = 0.5
_PATIENCE: Final = 5.0
"""Seconds that a read may take."""


@dataclass(slots=True)
class _Read:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = float("-inf")
    data: Secret = field(default_factory=dict)
    error: KubeError | None = None


class SecretReader:
    """GETs Secrets; `now` is in seconds."""

    def __init__(self, api: KubeApi, now: Callable[[], float]) -> None:
        self._api = api
        self._now = now
        self._reads: dict[tuple[str, str, tuple[str, ...]], _Read] = {}

    async def read(self, namespace: str, name: str, keys: tuple[str, ...]) -> Secret:
        """Return these keys of a Secret as they were half a second ago, or later; raises KubeError."""
        read = self._reads.setdefault((namespace, name, keys), _Read())
        async with read.lock:
            if self._now() - read.at > _FRESH:
                read.data, read.error = {}, None
                try:
                    async with asyncio.timeout(_PATIENCE):
                        read.data = await read_secret(self._api, namespace, name, keys)
                except KubeError as error:
                    read.error = error
                except TimeoutError:
                    what = Ours(f"Secret {namespace}/{name}: the API server did not answer within {_PATIENCE:.0f} s")
                    read.error = KubeError(0, what)
                read.at = self._now()  # not before: who waited meanwhile shares what came
            if read.error is not None:
                raise KubeError(read.error.status, read.error.message)
            return read.data

    def forget(self) -> None:
        """Drop what nobody waits for any more."""
        now = self._now()
        for key, read in list(self._reads.items()):
            if not read.lock.locked() and now - read.at > _FRESH:
                del self._reads[key]
