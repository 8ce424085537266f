"""Which namespaces may use a ClusterEvsConnection: asked before each poll, also of jobs that run for long.

Labels of a namespace are kept for ten seconds, so a namespace that lost a label loses the connection with the next poll
after that. A namespace that is refused is looked at again, so that a new label is noticed without a poll.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from evs_operator.api.connection import AllowedNamespaces
from evs_operator.api.names import CLUSTER_EVS_CONNECTION
from evs_operator.kube import objects
from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.objects import ObjectKey
from evs_operator.observe.wording import Ours

LABELS_FRESH: Final = 10.0
_log = logging.getLogger(__name__)
_KEPT: Final = 600.0
_LOOKS: Final = 20
"""Refused namespaces that are checked again at a time."""
_PATIENCE: Final = 5.0
"""Seconds that reading the labels of one namespace may take."""


@dataclass(slots=True)
class _Labels:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = float("-inf")
    labels: Mapping[str, str] = field(default_factory=dict)
    readable: bool = True


class Tenancy:
    """Decides on namespaces; `now` is in seconds."""

    def __init__(self, api: KubeApi, now: Callable[[], float]) -> None:
        self._api = api
        self._now = now
        self._labels: dict[str, _Labels] = {}
        self._refused: dict[tuple[ObjectKey, str], AllowedNamespaces] = {}

    async def refusal(self, key: ObjectKey, allowed: AllowedNamespaces, namespace: str) -> str:
        """Return why a namespace may not use a connection, and what to do; "" if it may. Raises KubeError."""
        if key.kind != CLUSTER_EVS_CONNECTION:
            return ""
        said = await self._judge(allowed, namespace)
        if said and allowed.selector is not None:
            self._refused[key, namespace] = allowed
        else:
            self._refused.pop((key, namespace), None)
        return said

    async def newly_allowed(self) -> list[tuple[ObjectKey, str]]:
        """Check refused namespaces again; return those that are allowed now, with the connection."""
        waiting: defaultdict[str, list[ObjectKey]] = defaultdict(list)
        for key, namespace in self._refused:
            waiting[namespace].append(key)
        looks = [self._look_again(name, keys) for name, keys in itertools.islice(waiting.items(), _LOOKS)]
        return [found for together in await asyncio.gather(*looks) for found in together]

    async def _look_again(self, namespace: str, keys: Collection[ObjectKey]) -> list[tuple[ObjectKey, str]]:
        """Judge one namespace for all connections that refused it; its labels are read once for them."""
        found = []
        for key in keys:
            allowed = self._refused.pop((key, namespace), None)
            if allowed is None:
                continue  # the connection has changed meanwhile
            try:
                said = await self._judge(allowed, namespace)
            except KubeError as error:
                if error.status == 404:
                    continue  # the namespace is gone
                said = error.message
            except Exception:  # noqa: BLE001  # of whatever kind: it concerns this connection and namespace alone
                _log.exception("%s: namespace %s could not be checked", Ours(f"{key.kind} {key.name}"), Ours(namespace))
                said = "a fault of the operator"
            if said:
                self._refused.setdefault((key, namespace), allowed)  # at the end: they take turns
            else:
                found.append((key, namespace))
        return found

    def forget(self, key: ObjectKey) -> None:
        """Forget a connection that is gone or changed, and labels that were not needed for ten minutes."""
        self._refused = {at: allowed for at, allowed in self._refused.items() if at[0] != key}
        now = self._now()
        self._labels = {n: known for n, known in self._labels.items() if now - known.at < _KEPT or known.lock.locked()}

    async def _judge(self, allowed: AllowedNamespaces, namespace: str) -> str:
        if namespace in allowed.names:
            return ""
        if allowed.selector is not None:
            known = await self._labels_of(namespace)
            if not known.readable:
                return "cannot be used: the operator may not read labels of namespaces: grant it `get` on namespaces"
            if allowed.selector.matches(known.labels):
                return ""
        return f"does not allow namespace {namespace!r}: name it in spec.allowedNamespaces"

    async def _labels_of(self, namespace: str) -> _Labels:
        known = self._labels.setdefault(namespace, _Labels())
        async with known.lock:
            if self._now() - known.at >= LABELS_FRESH:
                try:
                    async with asyncio.timeout(_PATIENCE):
                        known.labels, known.readable = await objects.namespace_labels(self._api, namespace), True
                except TimeoutError:
                    what = Ours(f"Namespace {namespace}: the API server did not answer within {_PATIENCE:.0f} s")
                    raise KubeError(0, what) from None
                except KubeError as error:
                    if error.status != 403:
                        raise
                    known.labels, known.readable = {}, False
                known.at = self._now()
        return known
