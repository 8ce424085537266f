"""An API server in this process, and requests to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from evs_operator.kube.api import KubeApi
from support.fake_api_server import FakeApiServer, fake_api_server


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with fake_api_server() as server:
        yield server


@pytest.fixture
async def api(server: FakeApiServer) -> AsyncIterator[KubeApi]:
    api = server.api()
    yield api
    await api.aclose()
