"""The requests of the webhook: what each path and method does, in the order in which it is checked.

Path and query first, then the token, then the body, and only then the API server. A wait begins with a registered
waiter, so that nothing is missed, goes on with what the caller's own token shows, and takes a place only then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from .access import Caller, caller_of
from .answers import Goal, about, free_if_gone, json_answer, last_of, stream, wants_stream
from .bodies import Bodies
from .following import follow
from .jobs import Jobs
from .metrics import Metrics
from .openapi import document
from .problems import Problem
from .queries import Query, check_path, read_query
from .settings import WebhookSettings
from .sightings import Sighting
from .waiters import Waiter, Waiters

_MAKE: Final = frozenset({"name", "connection", "projectId", "deadlineSeconds", "ttlSecondsAfterFinished", "wait"})
_HANDLED: Final = "Reconcile-Handled"

Respond = Callable[[Response], Awaitable[None]]
Handler = Callable[[Request, Respond], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the requests are answered with."""

    settings: WebhookSettings
    jobs: Jobs
    waiters: Waiters
    bodies: Bodies
    metrics: Metrics


def router_of(parts: Parts) -> Router:
    """Return the paths; what is none of them, and a method that a path has not, is a Problem."""
    requests = _Requests(parts)
    collection, one = "/v1/namespaces/{namespace}/evsjobs", "/v1/namespaces/{namespace}/evsjobs/{name}"
    return Router(
        [
            Route(collection, _Methods({"GET": ("list", requests.list), "POST": ("create", requests.create)})),
            Route(one, _Methods({"GET": ("get", requests.get)})),
            Route(f"{one}/reconcile", _Methods({"POST": ("reconcile", requests.reconcile)})),
            Route("/openapi.json", _Methods({"GET": ("openapi", requests.openapi)})),
        ],
        redirect_slashes=False,
        default=_no_such_path,
    )


async def _no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    raise Problem(404, "there is no such path: GET /openapi.json lists them")


class _Methods:
    """One path: what it does by method. HEAD is GET without its body."""

    def __init__(self, handlers: Mapping[str, tuple[str, Handler]]) -> None:
        self._handlers = {**handlers, **({"HEAD": handlers["GET"]} if "GET" in handlers else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._handlers.get(scope["method"])
        if found is None:
            allowed = ", ".join(sorted(self._handlers))
            raise Problem(405, f"this path takes {allowed}", {"Allow": allowed})
        scope["state"]["route"], handler = found

        async def respond(response: Response) -> None:
            await response(scope, receive, send)

        await handler(Request(scope, receive), respond)


class _Requests:
    """The handlers, one for each row of the contract."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._jobs = parts.jobs
        self._waiters = parts.waiters
        self._bodies = parts.bodies
        self._metrics = parts.metrics
        self._document = document()

    async def openapi(self, request: Request, respond: Respond) -> None:
        """Return the description of all this."""
        read_query(request.scope["query_string"], ())
        await respond(json_answer(self._document))

    async def list(self, request: Request, respond: Respond) -> None:
        """Return the EvsJobs of a namespace."""
        namespace, _ = self._place(request)
        query = read_query(request.scope["query_string"], ("labelSelector", "state"))
        states, caller = query.states(), caller_of(request.headers)
        selector = query.values.get("labelSelector", "")
        await respond(json_answer({"items": await self._jobs.list(caller, namespace, selector, states)}))

    async def get(self, request: Request, respond: Respond) -> None:
        """Return an EvsJob, once it has ended if the caller waits."""
        namespace, name = self._place(request)
        query = read_query(request.scope["query_string"], ("wait",))
        seconds, caller = self._seconds(request, query), caller_of(request.headers)
        if not seconds:
            await respond(json_answer((await self._jobs.read(caller, namespace, name)).view))
            return
        goal = Goal(ended, lambda seen: 200 if ended(seen) else 202)
        with self._waiters.registered(namespace, name) as waiter:
            first = await self._jobs.read(caller, namespace, name)
            await self._wait(_Wait(request, respond, caller, waiter, seconds, goal), first)

    async def create(self, request: Request, respond: Respond) -> None:
        """Make an EvsJob, or find the same one there; then as `get`."""
        namespace, _ = self._place(request)
        query = read_query(request.scope["query_string"], _MAKE)
        seconds, caller = self._seconds(request, query), caller_of(request.headers)

        async def admit() -> None:
            await self._jobs.check_may_make(caller, namespace)

        async with self._bodies.wanted(request, namespace, query, admit) as wanted:
            if seconds and (refusal := self._waiters.refusal(namespace)):
                raise refusal
            request.scope["state"]["evsjob"] = f"{namespace}/{wanted.name}"
            seen, made = await self._jobs.make(caller, namespace, wanted)
        place = {"Location": f"/v1/namespaces/{namespace}/evsjobs/{wanted.name}"}
        goal = Goal(ended_as(wanted.job_id), lambda seen: 201 if made else 200, lambda seen: place)
        if not seconds:
            await respond(about(seen, goal))
            return
        with self._waiters.registered(namespace, wanted.name) as waiter:
            first = await self._shown(caller, seen)
            if first is None or (not goal.ended(first) and self._waiters.refusal(namespace)):
                await respond(about(first or seen, goal))
                return
            await self._wait(_Wait(request, respond, caller, waiter, seconds, goal), first)

    async def _shown(self, caller: Caller, made: Sighting) -> Sighting | None:
        """Return what the caller may read of what was made; None for one who may create and not read."""
        namespace, name = made.view["namespace"], made.view["name"]
        try:
            first = await self._jobs.read(caller, namespace, name)
        except Problem as problem:
            if problem.status == 403:
                return None
            raise
        if first.uid != made.uid:
            raise Problem(404, f"EvsJob {name} was deleted meanwhile, and another one made under its name")
        return first

    async def reconcile(self, request: Request, respond: Respond) -> None:
        """Have an EvsJob looked at again; with a wait, until the operator says that it did."""
        namespace, name = self._place(request)
        query = read_query(request.scope["query_string"], ("wait",))
        seconds, caller = self._seconds(request, query), caller_of(request.headers)
        with self._waiters.registered(namespace, name) as waiter:
            if seconds:
                await self._jobs.read(caller, namespace, name)
                if refusal := self._waiters.refusal(namespace):
                    raise refusal
            first, text = await self._jobs.ask(caller, namespace, name)

            def handled(seen: Sighting) -> bool:
                return seen.handled == text

            goal = Goal(handled, lambda seen: 202, lambda seen: {_HANDLED: str(handled(seen)).lower()})
            if not seconds:
                await respond(about(first, goal))
                return
            await self._wait(_Wait(request, respond, caller, waiter, seconds, goal), first)

    async def _wait(self, it: _Wait, first: Sighting) -> None:
        """Answer once the goal is reached or the time is over, or as events until then."""
        if not it.goal.ended(first):
            self._waiters.admit(it.waiter)
        it.request.scope["state"]["waited"] = True
        versions = follow(self._jobs, it.caller, it.waiter, first, it.seconds, it.goal.ended)
        with self._metrics.waiting():
            async with aclosing(versions):
                if wants_stream(it.request):
                    status = it.goal.status(first) if it.request.method == "POST" else 200  # as EventSource wants it
                    await it.respond(stream(first, versions, status, it.goal.headers(first)))
                    return
                gone = asyncio.ensure_future(free_if_gone(it.request, it.waiter))
                try:
                    await self._answer(it, await last_of(first, versions))
                finally:
                    gone.cancel()

    async def _answer(self, it: _Wait, last: Sighting) -> None:
        """Answer with the last version of a wait: no step here lets another waiter in before it."""
        if self._waiters.stopping and not it.goal.ended(last):
            await it.respond(json_answer(last.view, 202, {**it.goal.headers(last), "Retry-After": "1"}))
            return
        await it.respond(about(last, it.goal))

    def _place(self, request: Request) -> tuple[str, str]:
        """Return namespace and name of the path, "" without a name; note them for the log."""
        namespace, name = str(request.path_params["namespace"]), request.path_params.get("name")
        check_path(namespace, name, self._settings.namespaces)
        request.scope["state"].update({"evsjob": f"{namespace}/{name}"} if name else {"namespace": namespace})
        return namespace, name or ""

    def _seconds(self, request: Request, query: Query) -> float:
        """Return how long the caller waits; a stream without `wait` lasts as long as it may."""
        most = self._settings.max_wait_seconds
        return float(most) if wants_stream(request) and "wait" not in query.values else query.wait(most)


@dataclass(frozen=True, slots=True)
class _Wait:
    """One request that waits."""

    request: Request
    respond: Respond
    caller: Caller
    waiter: Waiter
    seconds: float
    goal: Goal


def ended(seen: Sighting) -> bool:
    """Return whether the job ended."""
    return seen.view["ended"]


def ended_as(job_id: str) -> Callable[[Sighting], bool]:
    """Return whether this very job ended; it raises a Problem if the EvsJob follows another one by now."""

    def judge(seen: Sighting) -> bool:
        if seen.view.get("jobId") != job_id:
            raise Problem(409, f"EvsJob {seen.view['name']} follows another job by now")
        return seen.view["ended"]

    return judge
