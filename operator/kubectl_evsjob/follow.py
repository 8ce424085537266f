"""The loop of every wait: news come in, the display shows them, and `evs_operator.api` says when it is over.

`create --wait`, `wait` and `reconcile --wait` call it with the EvsJobs that they mean, each bound to its uid. It ends
with an exit code; what went wrong has then been said on stderr, and the objects as they were last are returned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from evs_operator.api import ExitCode, JobState, JobWait

from .display import Display, display_for
from .errors import Cause, KubectlError
from .kubectl import JOBS
from .model import Object, Row, row_of
from .selection import Key, Selection, key_of
from .session import Session
from .watch import Deleted, News, Seen, Snapshot, Trouble, Watch, redrawn_when_resized

Judge = Callable[[Sequence["Followed"], float], tuple[ExitCode | None, float | None]]
"""From all EvsJobs and the time to the exit code, or None and when to ask again although nothing happened."""
_LONG: Final = 3600.0
_MOST_REFUSALS: Final = 5
"""Reads in a row: an API server that just started refuses what it will soon allow."""


@dataclass(frozen=True, slots=True)
class Followed:
    """An EvsJob that is waited for: as it was last, what is known, and when that arrived."""

    obj: Object
    wait: JobWait
    at: float


class Follow:
    """The EvsJobs of one wait."""

    def __init__(
        self, session: Session, selection: Selection, objects: Sequence[Object], *, ends_stay: bool = True
    ) -> None:
        """Begin with objects that were just read or made; `ends_stay`: nothing is news of a job that has ended."""
        now = time.monotonic()
        self._ends_stay = ends_stay
        self._session = session
        self._selection = selection
        self._jobs = {key_of(obj): Followed(obj, JobWait().seen(obj, now), now) for obj in objects}
        self._strays = False
        self._refusals = 0
        self._complaints: set[str] = set()

    @property
    def jobs(self) -> list[Followed]:
        """All of them, in the order in which they came."""
        return list(self._jobs.values())

    def until(self, judge: Judge, *, quiet: bool) -> ExitCode:
        """Return how it ended; Ctrl-C is an end like others."""
        try:
            with (
                Watch(self._session.kubectl, self._selection.words, self._read) as watch,
                display_for(self._session, quiet=quiet) as display,
                redrawn_when_resized(watch),
            ):
                return self._loop(judge, watch, display)
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED

    def rows(self) -> list[Row]:
        """Return what a display shows."""
        now, look = datetime.now(UTC), self._session.err_look
        return [row_of(job.obj, now, look) for job in self._jobs.values()]

    def _loop(self, judge: Judge, watch: Watch, display: Display) -> ExitCode:
        while True:
            display.show(self.rows())
            now = time.monotonic()
            code, at = judge(self.jobs, now)
            if code is not None:
                return code
            news = watch.next(min(display.tick_seconds, (at if at is not None else now + _LONG) - now))
            while news is not None:
                self._take(news)
                news = watch.next(0)
            if self._strays:
                watch.read_often()

    def _take(self, news: News) -> None:
        match news:
            case Seen(obj, at):
                self._see(key_of(obj), obj, at)
            case Deleted(obj, at):
                self._lose(key_of(obj), obj, at)
            case Snapshot(objects, since):
                self._compare(objects, since)
            case Trouble(error, reading):
                self._complain(error, reading=reading)

    def _see(self, key: Key, obj: Object, at: float) -> None:
        job = self._open(key)
        if job is None or job.at > at:
            return
        wait = job.wait.seen(obj, time.monotonic())
        self._jobs[key] = Followed(job.obj if wait.gone else obj, wait, at)

    def _lose(self, key: Key, last: Object | None, at: float) -> None:
        job = self._open(key)
        if job is None:
            return
        if self._selection.selector is not None and (there := self._read_one(key)):
            self._strays = True  # it lost its label, no more
            self._see(key, there, time.monotonic())
            return
        wait = job.wait.deleted(last, time.monotonic())
        self._jobs[key] = Followed(last if last is not None and wait.ended else job.obj, wait, at)

    def _open(self, key: Key) -> Followed | None:
        """Return what is known of an EvsJob that may still have news; None for any other."""
        job = self._jobs.get(key)
        if job is None or not job.wait.ended:
            return job
        return None if self._ends_stay else replace(job, wait=replace(job.wait, state=JobState.IN_PROGRESS))

    def _compare(self, objects: Sequence[Object], since: float) -> None:
        self._refusals = 0
        there = {key_of(obj): obj for obj in objects}
        for key, job in list(self._jobs.items()):
            if job.at > since:
                continue
            if key in there:
                self._see(key, there[key], since)
            else:
                self._lose(key, None, since)

    def _complain(self, error: KubectlError, *, reading: bool) -> None:
        """Say once what is wrong: a wait outlives an API server that is away, and not one that goes on refusing."""
        if reading and error.cause is not Cause.UNREACHABLE:
            self._refusals += 1
            if self._refusals >= _MOST_REFUSALS:
                raise error
        if error.line not in self._complaints:
            self._complaints.add(error.line)
            self._session.say(f"{error.line}; trying again")

    def _read(self) -> list[dict[str, Any]]:
        """Return what is there of these EvsJobs, also those that lost their label."""
        found = self._selection.read(self._session.kubectl)
        if self._selection.selector is not None:
            there = {key_of(obj) for obj in found}
            strays = [obj for key in list(self._jobs) if key not in there and (obj := self._read_one(key))]
            self._strays = self._strays or bool(strays)
            found += strays
        return found

    def _read_one(self, key: Key) -> dict[str, Any]:
        namespace, name = key
        found = self._session.kubectl.within(namespace).items("get", JOBS, name, "--ignore-not-found")
        return found[0] if found else {}
