"""`reconcile`, `suspend`, `resume`: small changes of EvsJobs that are there, by a merge patch each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from evs_operator import api
from evs_operator.api import JobState
from evs_operator.api.stored import mapping

from .documents import document, listed, resource_name
from .kubectl import JOBS
from .selection import Selection, key_of, name_of
from .session import Session
from .waiting import Patience, wait_for_echo

Object = dict[str, Any]


def reconcile(session: Session, selection: Selection, patience: Patience | None) -> int:
    """Ask for a poll now; wait until it happened if `patience` says how long."""
    requested = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    objects = selection.found(session.kubectl)
    patched = [_patch(session, obj, api.poll_request(requested)) for obj in objects]
    for obj in patched:
        if api.state(obj) is JobState.SUSPENDED or mapping(obj.get("spec")).get("suspend"):
            session.say(f"{name_of(obj)} is suspended and will be asked for once it is resumed")
    if patience is None:
        session.result(*_form(session, selection, patched, ["reconcile requested"] * len(patched)))
        return 0
    return wait_for_echo(session, selection, patched, requested, patience)


def suspend(session: Session, selection: Selection, *, suspended: bool) -> int:
    """Set `spec.suspend`; what is so already stays as it is."""
    objects, changes = selection.found(session.kubectl), []
    for at, obj in enumerate(objects):
        changed = bool(mapping(obj.get("spec")).get("suspend")) != suspended
        if changed:
            objects[at] = _patch(session, obj, {"spec": {"suspend": suspended}})
        done = "suspended" if suspended else "resumed"
        changes.append(done if changed else "is not suspended" if not suspended else "is suspended already")
    session.result(*_form(session, selection, objects, changes))
    return 0


def _patch(session: Session, obj: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
    namespace, name = key_of(obj)
    kubectl = session.kubectl.within(namespace)
    return kubectl.object("patch", JOBS, name, "--type=merge", "--patch", json.dumps(patch))


def _form(session: Session, selection: Selection, objects: Sequence[Object], done: Sequence[str]) -> list[str]:
    if session.output in ("json", "yaml"):
        return [document(listed(objects, single=len(selection.names) == 1), session.output)]
    names = [resource_name(name_of(obj)) for obj in objects]
    return names if session.output == "name" else [f"{name} {what}" for name, what in zip(names, done, strict=True)]
