"""`explain`: reads an EvsJob, its connection and its Events, and prints what happened, see `explanation`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .documents import document, resource_name
from .explanation import Explanation
from .happenings import connection_of, events_of
from .model import of_its_job
from .selection import Selection, name_of
from .session import Session

Object = Mapping[str, Any]


def explain(session: Session, selection: Selection) -> int:
    """Explain each EvsJob that is selected."""
    objects = selection.found(session.kubectl)
    explanations = [_explanation(session, obj) for obj in objects]
    if session.output in ("json", "yaml"):
        values = [each.value() for each in explanations]
        session.result(document(values[0] if len(selection.names) == 1 else values, session.output))
        return 0
    if session.output == "name":
        session.result(*(resource_name(name_of(obj)) for obj in objects))
        return 0
    for at, each in enumerate(explanations):
        session.result(*([""] if at else []), *each.lines(session.out_look, session.width))
    return 0


def _explanation(session: Session, obj: Object) -> Explanation:
    return Explanation(
        obj=of_its_job(obj),
        connection=connection_of(session.kubectl, obj),
        events=events_of(session.kubectl, obj),
        now=datetime.now(UTC),
        cluster=session.kubectl.cluster,
    )
