"""What the finished EvsJobs of the first list say about durations, so that a new process starts with them.

The supervisor shows each EvsJob that the first list brings, and has the durations taught once all are there and the
connections are known. Only the newest jobs of each kind count, so only those are looked at closely: 10,000 finished
EvsJobs cost a sort of their time stamps. Nothing is kept after that.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Final

from evs_operator.api.conditions import parse_timestamp
from evs_operator.api.spec import EvsJobSpec
from evs_operator.connections.registry import ConnectionRegistry
from evs_operator.core.schedule.durations import Durations
from evs_operator.observe.wording import Ours

from .entry import Entry

_ENOUGH: Final = 300
"""Jobs of a kind: of 100 that went before, those count for a third, of 300 for a twentieth."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Ended:
    """One finished EvsJob; times as in its status, "" where there is none. Such texts sort as their times do."""

    end: str
    begin: str
    seen: str
    job_type: str
    sub_jobs_end: str
    sub_jobs_open: bool
    namespace: str
    name: str
    spec: EvsJobSpec


class WarmStart:
    """Collects finished EvsJobs until `teach` is called."""

    def __init__(self) -> None:
        self._ended: list[_Ended] = []

    def collect(self, entry: Entry) -> None:
        """Take an EvsJob of the first list, whole."""
        status = entry.seen.status
        if not entry.seen.finished or entry.seen.spec is None or "beginTime" not in status or "endTime" not in status:
            return
        counts = status.get("subJobCounts")
        ends = [sub.get("endTime", "") for sub in status.get("subJobs", ())] if counts else []
        self._ended.append(
            _Ended(
                end=status["endTime"],
                begin=status["beginTime"],
                seen=status.get("observationStartTime", ""),
                job_type=status.get("jobType", ""),
                sub_jobs_end="" if not counts or counts.get("omitted") else max(ends, default=""),
                sub_jobs_open=bool(counts and counts.get("inProgress")),
                namespace=entry.namespace,
                name=entry.name,
                spec=entry.seen.spec,
            )
        )

    def learn(self, durations: Durations, registry: ConnectionRegistry) -> int:
        """Have the durations learn, oldest end first, and forget the jobs; return how many were of use."""
        self._ended.sort(key=lambda job: job.end, reverse=True)
        taken: Counter[tuple[str, str]] = Counter()
        newest: list[tuple[str, _Ended]] = []
        for job in self._ended:
            connection = registry.find(job.namespace, job.spec)
            if connection is None:
                continue
            kind = (connection.uid, job.job_type)
            taken[kind] += 1
            if taken[kind] <= _ENOUGH:
                newest.append((connection.uid, job))
        for uid, job in reversed(newest):
            try:
                _learn(durations, uid, job)
            except Exception:  # noqa: BLE001  # one job that teaches nothing must not keep the process from its work
                _log.exception("EvsJob %s: nothing learned", Ours(f"{job.namespace}/{job.name}"))
        self._ended.clear()
        return len(newest)


def _learn(durations: Durations, connection: str, job: _Ended) -> None:
    begin, end, seen = parse_timestamp(job.begin), parse_timestamp(job.end), parse_timestamp(job.seen)
    if begin is None or end is None:
        return
    closing = 0.0 if job.sub_jobs_open else None
    sub_jobs_end = parse_timestamp(job.sub_jobs_end)
    if closing is None and sub_jobs_end is not None:
        closing = (end - sub_jobs_end).total_seconds()
    since = (seen - begin).total_seconds() if seen else 0.0
    durations.learn(connection, job.job_type, (end - begin).total_seconds(), closing, since)
