"""The simulator as a process, one for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.simulator import SimulatorProcess, run_simulator


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorProcess]:
    with run_simulator() as running:
        yield running
