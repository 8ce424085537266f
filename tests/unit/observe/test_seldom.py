"""What two hundred objects complain of is the first line, and then one a minute with a count."""

from __future__ import annotations

import asyncio
import logging

import pytest

from evs_operator.observe.seldom import Seldom
from support.lease_world import VirtualLoop


def _in_virtual_time(coroutine: object) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(coroutine)  # type: ignore[arg-type]


def test_the_first_is_told_at_once_and_the_rest_once_a_minute_with_a_count(caplog: pytest.LogCaptureFixture) -> None:
    async def trouble() -> None:
        seldom = Seldom(logging.getLogger("test"), asyncio.get_running_loop().time)
        for second in range(150):
            for job in range(2):
                seldom.warning("write 503", f"EvsJob ns/job-{second}-{job}: HTTP 503", {"evsjob": f"job-{job}"})
            await asyncio.sleep(1.0)
        await asyncio.sleep(120.0)

    _in_virtual_time(trouble())
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines[0] == "EvsJob ns/job-0-0: HTTP 503"
    assert [line.partition(" (")[2] for line in lines[1:]] == [
        "119 similar lines in 60 s, this is the last)",
        "120 similar lines in 60 s, this is the last)",
        "60 similar lines in 60 s, this is the last)",
    ]


def test_kinds_are_told_apart_and_a_new_trouble_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def trouble() -> None:
        seldom = Seldom(logging.getLogger("test"), asyncio.get_running_loop().time)
        seldom.warning("a", "one")
        seldom.warning("b", "two")
        await asyncio.sleep(61.0)
        seldom.warning("a", "three")

    _in_virtual_time(trouble())
    assert [record.getMessage() for record in caplog.records] == ["one", "two", "three"]
