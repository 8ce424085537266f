"""Connections to the API server that follow its configuration: another authority or address means new connections.

Held by whoever sends requests (`kube.api`, the webhook), which say how a session is made. Requests in flight end on the
connections that they began on: those are closed one exchange later.
"""

from __future__ import annotations

from collections.abc import Callable

import aiohttp

from .cluster import Cluster


class Sockets:
    """One session on the way to an API server; `connect` makes it."""

    def __init__(self, cluster: Cluster, connect: Callable[[], aiohttp.ClientSession]) -> None:
        self._cluster = cluster
        self._connect = connect
        self._generation = cluster.generation
        self._session = connect()
        self._replaced: list[aiohttp.ClientSession] = []

    async def session(self) -> aiohttp.ClientSession:
        """Return the session for a request that is sent now."""
        if self._generation != self._cluster.generation:
            self._generation = self._cluster.generation
            replaced, self._replaced = self._replaced, [self._session]
            self._session = self._connect()
            for session in replaced:
                await session.close()
        return self._session

    async def aclose(self) -> None:
        """Close all connections."""
        for session in (*self._replaced, self._session):
            await session.close()
