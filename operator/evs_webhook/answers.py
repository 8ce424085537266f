"""Answers about one EvsJob: at once, after a wait, or as a stream of its changes.

A waiter is a GET that takes long: whoever hangs up frees the place. A stream is `text/event-stream`: one event for each
change of the view, a comment when there is nothing to say for a while, and its end is that of the job, of the time, or
of the process; the last view says which.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from evs_operator.kube.encoding import encoded

from .problems import Problem
from .sightings import Sighting
from .waiters import Waiter, Word

EVENT_STREAM: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Goal:
    """When a wait is over, and what the version at its end is answered with."""

    ended: Callable[[Sighting], bool]
    status: Callable[[Sighting], int]
    headers: Callable[[Sighting], Mapping[str, str]] = lambda seen: {}


def json_answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a JSON body."""
    return Response(encoded(content), status, headers=headers, media_type="application/json")


def about(seen: Sighting, goal: Goal) -> Response:
    """Return the answer about one version of an EvsJob."""
    return json_answer(seen.view, goal.status(seen), goal.headers(seen))


def wants_stream(request: Request) -> bool:
    """Return whether the caller wants events."""
    kinds = request.headers.get("accept", "").lower().split(",")
    return any(kind.partition(";")[0].strip() == EVENT_STREAM for kind in kinds)


async def free_if_gone(request: Request, waiter: Waiter) -> None:
    """Have a waiter leave once its caller has hung up; until cancelled."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    request.scope["state"]["hung_up"] = True
    waiter.say(Word.LEAVE)


async def last_of(first: Sighting, versions: AsyncIterator[Sighting | None]) -> Sighting:
    """Return the last version of a wait."""
    last = first
    async for seen in versions:
        last = seen or last
    return last


def stream(
    first: Sighting, versions: AsyncIterator[Sighting | None], status: int, headers: Mapping[str, str]
) -> Response:
    """Return the answer that sends an event for each change."""
    return StreamingResponse(_events(first, versions), status, headers=headers, media_type=EVENT_STREAM)


async def _events(first: Sighting, versions: AsyncIterator[Sighting | None]) -> AsyncIterator[bytes]:
    shown = first
    yield b"retry: 2000\n\n" + _event(first)
    try:
        async for seen in versions:
            if seen is None:
                yield b":\n\n"
            elif seen.view != shown.view:
                shown = seen
                yield _event(seen)
    except Problem as problem:
        yield b"event: problem\ndata: " + problem.body() + b"\n\n"


def _event(seen: Sighting) -> bytes:
    return f"id: {seen.version}\ndata: ".encode() + encoded(seen.view) + b"\n\n"
