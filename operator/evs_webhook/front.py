"""The first and last to see a request: counts it, logs it, and turns whatever is raised into an answer.

One line for each request at level info: route, object, HTTP status, time. Neither token nor query nor body is in it,
and of the path only what proved to be names. A defect is logged and answered with 500; nothing of it is shown to the
caller.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .guard import MOST_HEAD
from .metrics import Metrics
from .problems import Problem, bad_request

_PLAIN = re.compile(rb"[A-Za-z0-9/._~-]{1,1024}")
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_BEYOND_A_WAIT: Final = 60.0
_NO_ANSWER: Final = 499
"""In log and metrics: the caller hung up before there was an answer."""

_log = logging.getLogger("evs_operator.webhook")


@dataclass(slots=True)
class _Sent:
    """What was sent so far."""

    status: int = 0


class Front:
    """The outermost part of the application; `longest_wait` is in seconds."""

    def __init__(self, app: ASGIApp, metrics: Metrics, longest_wait: float) -> None:
        self._app = app
        self._metrics = metrics
        self._longest = longest_wait + _BEYOND_A_WAIT

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        began, sent = time.monotonic(), _Sent()
        scope["state"] = facts = {"route": "other"}

        async def passed_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            async with asyncio.timeout(self._longest):
                await self._answer(scope, receive, passed_on, sent)
        except TimeoutError:  # a caller that does not read what it asked for
            facts["gave_up"] = "yes"
        finally:
            status = _NO_ANSWER if "hung_up" in facts or not sent.status else sent.status
            # Later: if one end wakes hundreds, the next answer goes before the line about this one.
            asyncio.get_running_loop().call_soon(self._note, scope["method"], facts, status, time.monotonic() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, sent: _Sent) -> None:
        try:
            if not _PLAIN.fullmatch(scope["raw_path"]):
                raise bad_request("a path here has letters, digits, dashes and dots, and needs no percent-encoding")
            if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEAD:
                raise bad_request(f"the headers have more than {MOST_HEAD} bytes")
            await self._app(scope, receive, send)
        except Problem as problem:  # none comes after an answer has begun
            await problem.response()(scope, receive, send)
        except Exception:  # noqa: BLE001  # of whatever kind, it concerns this request alone
            _log.exception("a request was not answered")
            if not sent.status:
                await Problem(500, "the webhook made a mistake, its log says which").response()(scope, receive, send)

    def _note(self, method: str, facts: MutableMapping[str, Any], status: int, seconds: float) -> None:
        route, waited = facts["route"], "waited" in facts
        self._metrics.answered(route, status, seconds, waited=waited)
        extra = {"route": route, "code": status, "seconds": round(seconds, 3)}
        place = "evsjob" if "evsjob" in facts else "namespace"
        extra |= {place: facts[place]} if place in facts else {}
        _log.info("%s %s: %d in %.3f s", method if method in _METHODS else "?", route, status, seconds, extra=extra)
