"""The body of a POST: the cloud's answer to an operation, a job of the cloud, or the manifest of an EvsJob.

Bounded before it is held: 1 MiB, 64 levels, 10 seconds, and a number of large ones at a time, which only those may send
who may create EvsJobs. What is understood becomes a manifest that the API server judges; nothing
of the cloud's answer but the job id goes into it.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, NoReturn

from starlette.requests import ClientDisconnect, Request

from evs_operator.api import API_VERSION, EVS_JOB, Manifest, SpecError, evs_job, job_id_of
from evs_operator.api.object_names import is_object_name
from evs_operator.kube.encoding import encoded

from .jobs import Wanted, connection_of
from .problems import Problem, bad_request, not_now, quoted
from .queries import Query

MOST_BYTES: Final = 1024 * 1024
MOST_LEVELS: Final = 64
SECONDS: Final = 10.0
SMALL: Final = 64 * 1024
"""Bytes that anybody may send; more only whoever may create EvsJobs."""
MOST_LARGE: Final = 64
"""Larger bodies that are held at a time."""
_RETRY: Final = 5.0
_MEDIA_TYPE: Final = "application/json"
_FOR_ANSWERS: Final = ("connection", "projectId", "deadlineSeconds", "ttlSecondsAfterFinished")


class Bodies:
    """Reads bodies; knows how many large ones are held at this moment."""

    def __init__(self) -> None:
        self._large = 0

    @asynccontextmanager
    async def wanted(
        self, request: Request, namespace: str, query: Query, admit: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[Wanted]:
        """Give the EvsJob that a request asks for, a Problem for one that asks for none.

        `admit` is awaited before more than 64 KiB are read: a Problem if the caller may not send them.
        """
        check_headers(request)
        with self._held() as hold:
            content = await _content(request, admit, hold)
            wanted = wanted_of(parsed(content), namespace, query)
            del content
            yield wanted

    @contextmanager
    def _held(self) -> Iterator[Callable[[], None]]:
        """Give what takes a place among the large bodies, for as long as the request is answered."""
        taken = False

        def hold() -> None:
            nonlocal taken
            if self._large >= MOST_LARGE:
                raise not_now(503, "too many large bodies at a time", _RETRY)
            self._large, taken = self._large + 1, True

        try:
            yield hold
        finally:
            self._large -= taken


async def _content(request: Request, admit: Callable[[], Awaitable[None]], hold: Callable[[], None]) -> bytes:
    """Read a body within its bounds of size and time."""
    content, large = bytearray(), False
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                content += part
                if len(content) > MOST_BYTES:
                    raise _too_large()
                if len(content) > SMALL and not large:
                    large = True
                    hold()
                    await admit()
    except TimeoutError:
        raise Problem(408, f"the body did not arrive within {SECONDS:.0f} s", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise bad_request("the body ended before its time") from None
    return bytes(content)


def wanted_of(body: dict[str, Any], namespace: str, query: Query) -> Wanted:
    """Return the EvsJob that body and query ask for; a Problem if they are at odds, or make none."""
    try:
        manifest = _manifest(body, namespace, query) if _is_manifest(body) else _made(body, namespace, query)
    except SpecError as error:
        raise bad_request(str(error)) from None
    metadata, spec = manifest["metadata"], manifest["spec"]
    return Wanted(metadata["name"], encoded(manifest), spec["jobId"], connection_of(spec))


def _made(answer: dict[str, Any], namespace: str, query: Query) -> Manifest:
    """Make the manifest for an answer of the cloud."""
    job_id = job_id_of(answer)
    return evs_job(
        _name(query, job_id),
        job_id,
        namespace=namespace,
        connection=query.connection(),
        project_id=query.values.get("projectId"),
        deadline_seconds=query.number("deadlineSeconds"),
        ttl_seconds_after_finished=query.number("ttlSecondsAfterFinished"),
    )


def _manifest(body: dict[str, Any], namespace: str, query: Query) -> Manifest:
    """Return the caller's own manifest for this namespace; what is in it is the API server's to judge."""
    if body.get("apiVersion") != API_VERSION or body.get("kind") != EVS_JOB:
        raise bad_request(f"the body must be the cloud's answer, or an {EVS_JOB} of {API_VERSION}")
    if given := [name for name in _FOR_ANSWERS if name in query.values]:
        raise bad_request(f"{given[0]}: write it into the manifest that you send")
    metadata, spec = body.get("metadata", {}), body.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec, dict) or not isinstance(spec.get("jobId"), str):
        raise bad_request("the manifest must have metadata, and a spec with jobId")
    if not isinstance(spec.get("connectionRef", {}), dict | None):
        raise bad_request("spec.connectionRef must be an object")
    if metadata.get("namespace", namespace) != namespace:
        raise bad_request(f"metadata.namespace is not {namespace}, the namespace of the path")
    if metadata.get("generateName"):
        raise bad_request("metadata.generateName: write a name, so that sending it twice makes one EvsJob")
    if metadata.get("resourceVersion"):
        raise bad_request("metadata.resourceVersion: leave it out, as it is of the EvsJob that this was read from")
    name = metadata.get("name") or _name(query, spec["jobId"])
    if not isinstance(name, str) or not is_object_name(name):
        raise bad_request(f"metadata.name: {quoted(str(name))} cannot be the name of an EvsJob")
    if query.values.get("name", name) != name:
        raise bad_request("name: the manifest has another metadata.name")
    return {**body, "metadata": {**metadata, "name": name, "namespace": namespace}}


def _name(query: Query, job_id: str) -> str:
    """Return the name that is asked for, or the default: the job id in lower case, so that twice is one object."""
    name = query.values.get("name")
    if name is not None and not is_object_name(name):
        raise bad_request(f"name: {quoted(name)} cannot be the name of an EvsJob")
    if name is None and not is_object_name(job_id.lower()):
        raise bad_request(f"the job id {quoted(job_id)} makes no name: choose one with the parameter name")
    return name or job_id.lower()


def _is_manifest(body: Mapping[str, object]) -> bool:
    return "kind" in body or "apiVersion" in body


def check_headers(request: Request) -> None:
    """Raise a Problem for a body that will not be read, by what its headers say."""
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "").replace(" ", "")
    if media_type.strip().lower() != _MEDIA_TYPE or charset not in ("", "charset=utf-8"):
        raise Problem(415, f"send the body with `Content-Type: {_MEDIA_TYPE}`", {"Accept-Post": _MEDIA_TYPE})
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "send the body without Content-Encoding", {"Accept-Encoding": "identity"})
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > MOST_BYTES:
        raise _too_large()


def _too_large() -> Problem:
    return Problem(413, f"the body has more than {MOST_BYTES} bytes")


def parsed(content: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is; a Problem for any other."""
    try:
        found = json.loads(content.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # its words would quote the body
        raise bad_request("the body is not JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise bad_request("the body must be a JSON object")
    _check_levels(found)
    return found


def _check_levels(found: object) -> None:
    """Raise a Problem for what is nested too deep; level by level, without recursion."""
    level: list[object] = [found]
    for _ in range(MOST_LEVELS):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise _too_deep()


def _children(node: object) -> Iterator[object]:
    if isinstance(node, dict):
        yield from (child for child in node.values() if isinstance(child, dict | list))
    elif isinstance(node, list):
        yield from (child for child in node if isinstance(child, dict | list))


def _too_deep() -> Problem:
    return bad_request(f"the body is nested deeper than {MOST_LEVELS} levels")


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
