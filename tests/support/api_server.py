"""An API server in memory: what the parts of the operator ask of `KubeApi`, without a wire.

It holds objects by their path. A status of an object that it holds needs the object's resourceVersion, as in life; one
of an object that it does not hold is taken as it comes, for tests whose EvsJobs come from a watch alone. Tests decide
with `meanwhile`, `refuse`, `meddle` and `lose` what becomes of a request. The wire is tested with `fake_api_server`.
"""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from evs_operator.kube.api import Answer, KubeApi, KubeError
from evs_operator.kube.events import EventRecorder

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One request, and the second of the loop when it came, or when what it writes was written."""

    method: str
    path: str
    body: Any
    at: float

    @property
    def status(self) -> Object:
        """The status that it writes; empty if it writes none."""
        return (self.body or {}).get("status", {}) if self.method == "PATCH" else {}

    @property
    def name(self) -> str:
        """The name of the object that it is about."""
        return self.path.removesuffix("/status").rpartition("/")[2]


class InMemoryApiServer:
    """Answers GET, applies statuses and merge patches, creates and deletes. An int in place of an object refuses it."""

    def __init__(self) -> None:
        self.objects: dict[str, Object | int] = {}
        self.requests: list[Request] = []
        self.in_flight: list[Request] = []
        self.writes: list[Request] = []
        """What was written, in that order; deletions are writes."""
        self.refuse: Callable[[Request], KubeError | None] = lambda request: None
        self.meanwhile: Callable[[Request], Awaitable[object]] = lambda request: asyncio.sleep(0)
        """What happens while a request is under way: it is served, or refused, once this is over."""
        self.lose: Callable[[Request], bool] = lambda request: False
        """Whether the answer to a write is lost, after it was served."""
        self.meddle: Callable[[Request], bool] = lambda request: False
        """Whether somebody else changes the object just before a status is written."""
        self.version = 1_000_000

    @property
    def kube(self) -> KubeApi:
        """The server as the parts take it."""
        return cast(KubeApi, self)

    def put_secret(self, namespace: str, name: str, **data: str) -> None:
        """Hold a Secret with these values."""
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.objects[f"/api/v1/namespaces/{namespace}/secrets/{name}"] = {"data": encoded}

    def put_namespace(self, name: str, **labels: str) -> None:
        """Hold a namespace with these labels."""
        self.objects[f"/api/v1/namespaces/{name}"] = {"metadata": {"labels": labels}}

    def touch(self, path: str) -> Object:
        """Have somebody change an object; return what it is now."""
        return self._replace(path, {})

    def asked(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(request.path == path for request in self.requests)

    def statuses(self, path: str = "") -> list[Object]:
        """Return the statuses that were written to an object, or to all, oldest first."""
        return [one.status for one in self.writes if one.method == "PATCH" and one.path.startswith(path)]

    async def answer(self, method: str, path: str, **more: Any) -> Answer:
        """Answer a request as `KubeApi.answer` does."""
        return Answer(await self.request(method, path, **more), 0)

    async def request(self, method: str, path: str, *, body: Any = None, **_: object) -> Object:
        """Answer a request as `KubeApi.request` does."""
        request = Request(method, path, body, _now())
        self.requests.append(request)
        self.in_flight.append(request)
        try:
            await self.meanwhile(request)
        finally:
            self.in_flight.remove(request)
        refused = self.refuse(request)
        if refused is not None:
            raise refused
        answer = self._serve(request)
        if request.method != "GET" and self.lose(request):
            raise KubeError(0, f"{method} {path}: the answer was lost")
        return answer

    def _serve(self, request: Request) -> Object:
        path = request.path.removesuffix("/status")
        held = self.objects.get(path, 404 if request.method == "GET" else {})
        if isinstance(held, int):
            raise KubeError(held, f"{request.method} {path}: HTTP {held}")
        if request.method == "GET":
            return copy.deepcopy(held)
        answer = self._write(request, path, held)
        self.writes.append(Request(request.method, request.path, request.body, _now()))
        return answer

    def _write(self, request: Request, path: str, held: Object) -> Object:
        if request.method == "DELETE":
            self.objects.pop(path, None)
            return {}
        if request.method == "POST":
            self.objects[f"{path}/{request.body['metadata']['name']}"] = copy.deepcopy(request.body)
            return {}
        if request.status and self.meddle(request):
            held = self.touch(path)
        asked = request.body.get("metadata", {}).get("resourceVersion")
        if held.get("metadata", {}).get("resourceVersion", asked) != asked and asked:
            raise KubeError(409, f"{path}: the object has been modified")
        return self._replace(path, request.body)

    def _replace(self, path: str, changes: Object) -> Object:
        """Write a new version of an object; what is not held is only given a version."""
        self.version += 1
        version = {"resourceVersion": str(self.version)}
        held = self.objects.get(path)
        if isinstance(held, dict):
            metadata = {**held.get("metadata", {}), **version}
            self.objects[path] = {**held, **copy.deepcopy(changes), "metadata": metadata}
        return {"metadata": version}


class _Unheard:
    def tell(self, *args: object) -> None:
        pass


UNHEARD = cast(EventRecorder, _Unheard())
"""A recorder of Events that nobody reads."""


def times(number: int) -> Callable[[Request], bool]:
    """Say yes so often, and no from then on."""
    left = iter(range(number))
    return lambda request: next(left, None) is not None


def refusals(*errors: KubeError) -> Callable[[Request], KubeError | None]:
    """Refuse the next requests with these errors, one each."""
    left = list(errors)
    return lambda request: left.pop(0) if left else None


def _now() -> float:
    return asyncio.get_running_loop().time()
