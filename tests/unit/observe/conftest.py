"""Logging is state of the process: each test that sets it up gives it back as it was."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root, product = logging.getLogger(), logging.getLogger("evs_operator")
    handlers, levels = root.handlers[:], (root.level, product.level)
    for owner, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(logging, "raiseExceptions", True)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    product.setLevel(levels[1])
    logging.captureWarnings(False)
