"""Virtual time for tests that are marked so: what takes hours there takes none."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from support.lease_world import VirtualLoop


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give a test its loop."""
    virtual = item.get_closest_marker("virtual_time") is not None
    return {"virtual time": VirtualLoop} if virtual else {"real time": asyncio.new_event_loop}
