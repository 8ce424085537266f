"""The wait itself: from what a caller was shown to the end, version by version.

Called for one request with its waiter. Every version that is passed on is of the object that the caller was shown
(same uid) and newer than the last one. Doubt, and the time running out, are settled by reading the object again with
the caller's token: so rights that were taken away, a deletion and a namesake are seen at the latest when the wait ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final

from .access import Caller
from .jobs import Jobs
from .problems import Problem
from .sightings import Sighting
from .waiters import Gone, Waiter, Word

BEAT: Final = 15.0
"""Seconds without news after which None is passed on, for connections that must not fall silent."""
_AGAIN: Final = 1.0
_PASSING: Final = (429, 503)


async def follow(
    jobs: Jobs,
    caller: Caller,
    waiter: Waiter,
    shown: Sighting,
    seconds: float,
    ended: Callable[[Sighting], bool],
) -> AsyncGenerator[Sighting | None, None]:
    """Yield newer versions until one has `ended`, or it is time to answer; a Problem if the object is gone."""
    deadline = time.monotonic() + seconds
    while not ended(shown):
        left = deadline - time.monotonic()
        news = await waiter.next(min(left, BEAT))
        if news is Word.LEAVE:
            return
        over = news is None and time.monotonic() >= deadline
        if news is None and not over:
            yield None
            continue
        found = await _settled(jobs, caller, waiter, shown, news)
        if found is not None:
            shown = found
            yield shown
        if over:
            return


async def _settled(
    jobs: Jobs, caller: Caller, waiter: Waiter, shown: Sighting, news: Sighting | Gone | Word | None
) -> Sighting | None:
    """Return what news come to, None if they change nothing."""
    if isinstance(news, Gone):
        if news.uid == shown.uid:
            raise _gone(waiter)
        return None
    if isinstance(news, Sighting):
        if not news.newer_than(shown):
            return None
        if news.uid == shown.uid:
            return news
    found = await _read_again(jobs, caller, waiter, news)
    if found is None or found.version == shown.version:
        return None
    if found.uid != shown.uid:
        raise _gone(waiter)
    return found


async def _read_again(
    jobs: Jobs, caller: Caller, waiter: Waiter, news: Sighting | Gone | Word | None
) -> Sighting | None:
    """Read the object as its caller; an API server that is away now is asked again later, or not at the end."""
    try:
        return await jobs.read(caller, waiter.namespace, waiter.name)
    except Problem as problem:
        if problem.status == 404:
            raise _gone(waiter) from None
        if problem.status not in _PASSING:
            raise
        if news is not None:
            await asyncio.sleep(_AGAIN)
            waiter.say(Word.DOUBT)
        return None


def _gone(waiter: Waiter) -> Problem:
    return Problem(404, f"EvsJob {waiter.name} was deleted while you waited")
