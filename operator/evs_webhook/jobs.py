"""What the webhook does to EvsJobs, each as the caller: make, read, list, have reconciled.

Verbs, paths and answers of the API server in one place. A POST that finds an EvsJob of its name reads it, and it is the
same if job id and connection are; what a quota or a deletion in between makes of it is tried again, a few times.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from evs_operator.api import EVS_CONNECTION, EVS_JOB, GROUP, PLURALS, JobState, JobView, job_view, poll_request
from evs_operator.api.stored import mapping
from evs_operator.kube.api import AnswerTooLargeError
from evs_operator.kube.encoding import encoded
from evs_operator.kube.objects import ObjectKey, collection_path

from .access import Caller, CallerApi, Conflict
from .problems import Problem, bad_request, not_now
from .sightings import Sighting, sighting_of

_TRIES: Final = 5
_PAGE: Final = 250
MOST_LISTED: Final = 10_000
_WRITER: Final = {"fieldManager": "evs-webhook"}
_STRICT: Final = {**_WRITER, "fieldValidation": "Strict"}
"""As kubectl does: a field that is misspelt is refused, and not left out in silence."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An EvsJob that shall be there: its name, its manifest as JSON, and what makes another one the same."""

    name: str
    content: bytes
    job_id: str
    connection: tuple[str, str] | None


class Jobs:
    """EvsJobs through the API server, as whoever calls."""

    def __init__(self, api: CallerApi) -> None:
        self._api = api

    async def make(self, caller: Caller, namespace: str, wanted: Wanted) -> tuple[Sighting, bool]:
        """Return the EvsJob and whether this made it; a Problem if another is there under its name."""
        for _ in range(_TRIES):
            try:
                made = await self._api.request(
                    caller, "POST", collection_path(EVS_JOB, namespace), params=_STRICT, content=wanted.content
                )
                return _seen(made), True
            except Conflict as conflict:
                if conflict.reason != "AlreadyExists":  # a quota that others count on at this moment
                    continue
            found = await self._there(caller, namespace, wanted)
            if found is not None:
                return found, False
        raise not_now(503, "the EvsJob comes and goes under this name, or its quota is contended", 1.0)

    async def check_may_make(self, caller: Caller, namespace: str) -> None:
        """Raise a Problem unless the caller may create EvsJobs there: asked before much is done for a caller."""
        answer = await self._api.request(
            caller,
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            content=encoded(
                {
                    "apiVersion": "authorization.k8s.io/v1",
                    "kind": "SelfSubjectAccessReview",
                    "spec": {
                        "resourceAttributes": {
                            "verb": "create",
                            "group": GROUP,
                            "resource": PLURALS[EVS_JOB],
                            "namespace": namespace,
                        }
                    },
                }
            ),
        )
        if mapping(answer.get("status")).get("allowed") is not True:
            raise Problem(403, f"you may not create EvsJobs in namespace {namespace}")

    async def _there(self, caller: Caller, namespace: str, wanted: Wanted) -> Sighting | None:
        """Return the EvsJob that has the name, None if it is gone again."""
        try:
            obj = await self._get(caller, namespace, wanted.name)
        except Problem as problem:
            if problem.status == 404:
                return None
            if problem.status == 403:
                raise Problem(403, f"an EvsJob of this name is there, and you may not read it: {problem}") from None
            raise
        spec = mapping(obj.get("spec"))
        if spec.get("jobId") != wanted.job_id:
            raise Problem(409, f"EvsJob {wanted.name} is there and follows another job: choose another name")
        if connection_of(spec) != wanted.connection:
            raise Problem(409, f"EvsJob {wanted.name} is there with another connection: choose another name")
        return _seen(obj)

    async def read(self, caller: Caller, namespace: str, name: str) -> Sighting:
        """Return an EvsJob as it is now."""
        return _seen(await self._get(caller, namespace, name))

    async def ask(self, caller: Caller, namespace: str, name: str) -> tuple[Sighting, str]:
        """Have an EvsJob reconciled; return it and the text that `lastHandledReconcileAt` will echo."""
        text = f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {secrets.token_hex(4)}"
        changed = await self._api.request(
            caller,
            "PATCH",
            ObjectKey(EVS_JOB, namespace, name).path,
            params=_WRITER,
            content=encoded(poll_request(text)),
            content_type="application/merge-patch+json",
        )
        return _seen(changed), text

    async def list(self, caller: Caller, namespace: str, selector: str, states: Collection[JobState]) -> list[JobView]:
        """Return the views of the EvsJobs of a namespace in these states, by name; a Problem if there are too many."""
        views: list[JobView] = []
        token, limit = "", _PAGE
        while True:
            params = {"limit": str(limit)}
            params |= {"labelSelector": selector} if selector else {}
            params |= {"continue": token} if token else {}
            try:
                page = await self._api.request(caller, "GET", collection_path(EVS_JOB, namespace), params=params)
            except AnswerTooLargeError:
                if limit == 1:
                    raise Problem(413, "one of these EvsJobs is larger than the webhook reads") from None
                limit = max(limit // 4, 1)
                continue
            items = page.get("items")
            for item in items if isinstance(items, list) else ():
                view = job_view(mapping(item))
                if view["state"] in states:
                    views.append(view)
            if len(views) > MOST_LISTED:
                raise bad_request(f"more than {MOST_LISTED} EvsJobs: choose fewer with labelSelector or state")
            token = str(mapping(page.get("metadata")).get("continue") or "")
            if not token:
                return views

    async def _get(self, caller: Caller, namespace: str, name: str) -> Mapping[str, object]:
        try:
            return await self._api.request(caller, "GET", ObjectKey(EVS_JOB, namespace, name).path)
        except AnswerTooLargeError:
            raise Problem(413, "this EvsJob is larger than the webhook reads") from None


def connection_of(spec: Mapping[str, object]) -> tuple[str, str] | None:
    """Return kind and name of the connection that a spec names, None for the default one."""
    ref = mapping(spec.get("connectionRef"))
    return (str(ref.get("kind") or EVS_CONNECTION), str(ref.get("name"))) if ref else None


def _seen(obj: Mapping[str, object]) -> Sighting:
    seen = sighting_of(obj)
    if not seen.uid:
        raise not_now(503, "something else answers in place of the API server", 5.0)
    return seen
