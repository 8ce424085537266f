"""`wait`, and what other commands do after `--wait`: follow to the end, say why it ended, and print the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from evs_operator import api
from evs_operator.api import ExitCode, JobState, JobWait
from evs_operator.api.stored import mapping

from .documents import document, listed, resource_name
from .durations import age
from .follow import Follow, Followed, Judge
from .model import Object, row_of
from .selection import Selection, key_of, name_of
from .session import Session
from .table import table
from .tree import tree

_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: for all in seconds (None: without limit), and whether a person's turn is waited out."""

    timeout: float | None = None
    keep_waiting: bool = False
    quiet: bool = False


def wait(session: Session, selection: Selection, patience: Patience) -> int:
    """Wait for EvsJobs that are there."""
    objects = selection.found(session.kubectl)
    return wait_for(session, selection, objects, patience)


def wait_for(session: Session, selection: Selection, objects: Sequence[Object], patience: Patience) -> int:
    """Wait for these EvsJobs, print the result and return the exit code."""
    follow = Follow(session, selection, objects)
    return finish(session, selection, follow, follow.until(_until_ended(patience), quiet=patience.quiet), patience)


def wait_for_echo(
    session: Session, selection: Selection, objects: Sequence[Object], requested: str, patience: Patience
) -> int:
    """Wait until the operator has acted on a request to poll, print the result and return the exit code."""
    follow = Follow(session, selection, objects, ends_stay=False)
    judge = _until_echoed(requested, patience)
    return finish(session, selection, follow, follow.until(judge, quiet=patience.quiet), patience)


def finish(session: Session, selection: Selection, follow: Follow, code: ExitCode, patience: Patience) -> int:
    """Print the result on stdout and the reason of a code that is not 0 on stderr."""
    objects = [job.obj for job in follow.jobs]
    if session.output or not patience.quiet:
        session.result(*_result(session, objects, single=len(selection.names) == 1))
    if code is not ExitCode.COMPLETE:
        session.say(_why(session, code, follow.jobs, patience))
    return int(code)


def _until_ended(patience: Patience) -> Judge:
    return _judge(patience, lambda job: job.wait)


def _until_echoed(requested: str, patience: Patience) -> Judge:
    """Return who decides after `reconcile`: an EvsJob that goes on is in order once it has been asked for."""

    def stands(job: Followed) -> JobWait:
        if _echo(job.obj) != requested:
            return replace(job.wait, state=JobState.IN_PROGRESS)
        in_order = job.wait.state not in (JobState.FAILED, JobState.ACTION_REQUIRED)
        return replace(job.wait, state=JobState.COMPLETE) if in_order else job.wait

    return _judge(patience, stands)


def _judge(patience: Patience, stands: Callable[[Followed], JobWait]) -> Judge:
    deadline = None if patience.timeout is None else time.monotonic() + patience.timeout
    seconds = None if patience.keep_waiting else api.PATIENCE_SECONDS

    def judge(jobs: Sequence[Followed], now: float) -> tuple[ExitCode | None, float | None]:
        waits = [stands(job) for job in jobs]
        code = api.exit_code(waits, now, deadline=deadline, patience=seconds)
        return code, api.next_decision(waits, deadline=deadline, patience=seconds)

    return judge


def _echo(obj: Object) -> str:
    return str(mapping(obj.get("status")).get("lastHandledReconcileAt", ""))


def _result(session: Session, objects: list[Any], *, single: bool) -> list[str]:
    if session.output in ("json", "yaml"):
        return [document(listed(objects, single=single), session.output)]
    if session.output == "name":
        return [resource_name(name_of(obj)) for obj in objects]
    rows = [row_of(obj, datetime.now(UTC), session.out_look) for obj in objects]
    if session.output == "wide":
        return table(
            rows, session.out_look, width=session.width, wide=True, namespaces=session.everywhere, headers=True
        )
    return tree(rows, session.out_look, width=session.width)


def _why(session: Session, code: ExitCode, jobs: Sequence[Followed], patience: Patience) -> str:
    """Return one line: what happened, to which EvsJobs, and which command says more."""
    match code:
        case ExitCode.FAILED:
            failed = [job for job in jobs if job.wait.state is JobState.FAILED]
            return f"failed: {_named(session, failed)}; to see why: {_explain(session, failed[0])}"
        case ExitCode.ACTION_REQUIRED:
            stuck = [job for job in jobs if job.wait.state is JobState.ACTION_REQUIRED]
            words = api.message(stuck[0].obj)
            return f"a person must act for {_named(session, stuck)}: {words} ({_explain(session, stuck[0])})"
        case ExitCode.GONE:
            gone = [job for job in jobs if job.wait.gone]
            return f"deleted before it ended: {_named(session, gone)}"
        case ExitCode.TIME_OVER:
            open_ = [job for job in jobs if not job.wait.ended]
            return (
                f"time over after {age(patience.timeout or 0)}: {_named(session, open_)} has not ended; the job goes on"
            )
        case _:
            return "interrupted: nobody waits any more, the jobs go on"


def _explain(session: Session, job: Followed) -> str:
    namespace, name = key_of(job.obj)
    return session.kubectl.hint("evsjob", "explain", name, namespace=namespace)


def _named(session: Session, jobs: Sequence[Followed]) -> str:
    keys = [key_of(job.obj) for job in jobs[:_MOST_NAMED]]
    names = ["/".join(key) if session.everywhere else key[1] for key in keys]
    return ", ".join(names) + (f" and {len(jobs) - _MOST_NAMED} more" if len(jobs) > _MOST_NAMED else "")
