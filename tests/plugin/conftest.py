"""The plugin without a cluster."""

from pathlib import Path

import pytest

from support.plugin import FakeCluster


@pytest.fixture
def cluster(tmp_path: Path) -> FakeCluster:
    """Give EvsJobs that are files, and a kubectl that serves them."""
    return FakeCluster(tmp_path)
