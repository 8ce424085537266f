"""`create`: makes the EvsJob for the cloud's answer. Made again for the same job, it is `unchanged`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from evs_operator import api
from evs_operator.api.stored import mapping

from .documents import document, resource_name
from .errors import Cause, KubectlError, PluginError
from .kubectl import JOBS
from .selection import Selection, missing
from .session import Session
from .text import harmless
from .waiting import Patience, wait_for

Object = dict[str, Any]

_MOST_BYTES: Final = 8 << 20
_CLUSTER: Final = "cluster/"
_MARK: Final = "\ufeff"
"""What Windows writes at the beginning of a text in UTF-8."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to make: a job id or the file with the cloud's answer, and what else goes into the EvsJob."""

    name: str | None = None
    job_id: str | None = None
    file: str | None = None
    connection: str | None = None
    project_id: str | None = None
    deadline: int | None = None
    ttl: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def create(session: Session, order: Order, *, dry_run: bool, patience: Patience | None) -> int:
    """Make the EvsJob; print it if `dry_run`, or wait for it if `patience` says how long."""
    manifest = _manifest(order)
    if dry_run:
        session.result(*_form(session, manifest, "created (dry run)", default="yaml"))
        return 0
    obj, done = _made(session, manifest)
    if patience is None:
        session.result(*_form(session, obj, done))
        return 0
    name = manifest["metadata"]["name"]
    if not patience.quiet:
        session.say(f"{resource_name(name)} {done}")
    return wait_for(session, Selection((name,)), [obj], patience)


def _manifest(order: Order) -> Object:
    answer = order.job_id if order.job_id is not None else _answer(order.file or "-")
    try:
        job_id = answer if isinstance(answer, str) else api.job_id_of(answer)
        return api.evs_job(
            order.name or job_id.lower(),
            job_id,
            project_id=order.project_id,
            connection=_connection(order.connection),
            deadline_seconds=order.deadline,
            ttl_seconds_after_finished=order.ttl,
            labels=order.labels,
            annotations=order.annotations,
        )
    except api.SpecError as error:
        raise PluginError(harmless(str(error))) from None


def _answer(file: str) -> Mapping[str, object]:
    where = "stdin" if file == "-" else file
    try:
        text = sys.stdin.read(_MOST_BYTES) if file == "-" else _start_of(Path(file))
        answer = json.loads(text.removeprefix(_MARK))
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{where} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    except (ValueError, RecursionError):
        nothing = "is empty" if not text.strip() else "is no JSON"
        raise PluginError(f'{where} {nothing}: pass what the cloud answered, such as {{"job_id": "…"}}') from None
    if not isinstance(answer, dict):
        raise PluginError(f'{where} is no JSON object: pass what the cloud answered, such as {{"job_id": "…"}}')
    if answer.get("kind") == api.EVS_JOB:
        raise PluginError(f"{where} is an EvsJob already: kubectl apply -f {file}")
    return answer


def _start_of(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_MOST_BYTES)


def _connection(name: str | None) -> api.ConnectionRef | None:
    if name is None:
        return None
    kind = api.CLUSTER_EVS_CONNECTION if name.startswith(_CLUSTER) else api.EVS_CONNECTION
    return api.ConnectionRef(kind, name.removeprefix(_CLUSTER))


def _made(session: Session, manifest: Object) -> tuple[Object, str]:
    """Return the EvsJob of the cluster, and whether it is `created` or `unchanged`."""
    try:
        return session.kubectl.object("create", "-f", "-", input=json.dumps(manifest)), "created"
    except KubectlError as error:
        if error.cause is not Cause.EXISTS:
            raise
    name = manifest["metadata"]["name"]
    there = session.kubectl.items("get", JOBS, name, "--ignore-not-found")
    if not there:
        raise missing(session.kubectl, name)
    difference = _difference(manifest, there[0])
    if difference:
        raise PluginError(f"the EvsJob {name} is there already, with {difference}: choose another name, or delete it")
    return there[0], "unchanged"


def _difference(wanted: Object, there: Mapping[str, Any]) -> str:
    """Return in what an EvsJob that is there follows something else; "" if it follows the same."""
    for words, path in (("another job id", ("jobId",)), ("another project", ("projectId",))):
        if (mine := wanted["spec"].get(path[0])) != (found := mapping(there.get("spec")).get(path[0])):
            return f"{words} ({harmless(str(found or 'none'))}, not {mine or 'none'})"
    mine, found = _reference(wanted), _reference(there)
    return f"another connection ({found or 'the default'}, not {mine or 'the default'})" if mine != found else ""


def _reference(obj: Mapping[str, Any]) -> str:
    reference = mapping(mapping(obj.get("spec")).get("connectionRef"))
    name = harmless(str(reference.get("name", "")))
    return f"{_CLUSTER}{name}" if reference.get("kind") == api.CLUSTER_EVS_CONNECTION else name


def _form(session: Session, obj: Object, done: str, *, default: str = "") -> Sequence[str]:
    form, name = session.output or default, obj["metadata"]["name"]
    if form in ("json", "yaml"):
        return [document(obj, form)]
    return [resource_name(name) if form == "name" else f"{resource_name(name)} {done}"]
