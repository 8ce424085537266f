"""When to ask again: the poll schedule, a pure function of what polls of the job told and what jobs taught.

The reconciler calls `teach` and `next_poll` after each answered poll and puts the job into its heap; `patience`
and `urgency` order due jobs while the budget is short. Asking too early wastes a call, asking too late leaves
an end unnoticed. The last call of a job, the one that sees its end, is never wasted, so with a *price* in
seconds of unnoticed end that one wasted call may cost, the next poll is due at the smallest `d` with

    integral over u from 0 to d of P(T <= age + u | T > age)  >=  price * P(T > age + d | T > age)

With a constant hazard `h` and a low price that is `d = sqrt(2 * price / h)`, Keller's continuous limit
("Optimum checking schedules for systems subject to random failure", 1974); the exact optimum is the recursion
of Barlow, Hunter and Proschan ("Optimum checking procedures", 1963), which needs a density that 100 jobs do
not give. `sqrt(2 * price / hazard now)` is a trap: before a peak of ends the hazard is near zero, and it
sleeps through the peak. The integral sees the peak coming. While calls are scarce the lane raises the price
(`schedule_price.py`): jobs that have surely ended are still asked about soon, uncertain ones wait longer.

Deliberately not here: failed polls and back-off, the budget, the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from zlib import crc32

from .durations import Durations

PRICE = 0.3
_JITTER = 0.1
_FEW_JOBS = 10.0
_SHORTEST_CLOSINGS = 0.1


@dataclass(frozen=True, slots=True)
class PollHistory:
    """What the polls of one job have told.  All times are seconds on one clock (epoch).

    connection, job_type: key of what was learned; job_type "" where no poll told it.
    begin: begin_time of the API; None where unknown, `first_seen` then stands for it.
    first_seen: when the operator first saw the job.
    last_poll: the last answered poll; None before the first.
    init_seen: the last poll that answered INIT; None where none did.
    sub_jobs_open: sub-jobs unfinished in the last answer.
    last_sub_job_end: the latest end_time among the sub-jobs, None where none has one.
    min_interval, max_interval: `polling` of the spec, seconds; equal values give a fixed interval.
    jitter_key: any text that differs between jobs.
    """

    connection: str
    job_type: str
    first_seen: float
    begin: float | None = None
    last_poll: float | None = None
    init_seen: float | None = None
    sub_jobs_open: int = 0
    last_sub_job_end: float | None = None
    min_interval: float = 2.0
    max_interval: float = 60.0
    jitter_key: str = ""


def work_began(history: PollHistory) -> float:
    """Return when the work of a job began, as far as polls told: INIT restarts the clock.

    Durations are counted from here, both for the age of a job and for what `Durations.learn` is told.
    """
    begin = history.first_seen if history.begin is None else min(history.begin, history.first_seen)
    if history.init_seen is None or history.init_seen - begin <= history.min_interval:
        # A first answer of INIT says nothing about waiting: any job is INIT for a moment.
        return begin
    return history.init_seen


def next_poll(history: PollHistory, durations: Durations, now: float, *, price: float = PRICE) -> float:
    """Return the seconds from `now` until the next poll; 0.0 for a job never polled, and for one overdue.

    `price` is in seconds and above zero.
    """
    last = history.last_poll
    if last is None:
        return 0.0
    low, high = history.min_interval, history.max_interval
    if low >= high:
        return max(last + low - now, 0.0)
    delay = _unclamped(history, durations, last, price) * _jitter(history.jitter_key, last)
    return max(last + min(max(delay, low), high) - now, 0.0)


def teach(durations: Durations, history: PollHistory, previous: float | None, end: float | None) -> None:
    """Teach `durations` what the poll at `history.last_poll` told: the job's end, or that it still runs.

    `previous` is the answered poll before that one, None where there was none; `end` is the end time of the
    API, None for a job that is not finished.
    """
    if history.last_poll is None:
        return
    connection, kind, began = history.connection, history.job_type, work_began(history)
    since = (history.first_seen if previous is None else previous) - began
    if end is None:
        durations.watch(connection, kind, since, history.last_poll - began)
        return
    closing = None
    if history.sub_jobs_open:
        closing = 0.0
    elif history.last_sub_job_end is not None:
        closing = end - history.last_sub_job_end
    # begin and end are two times of the cloud's clock, so that their difference holds whatever ours says.
    begin = began if history.begin is None or began == history.init_seen else history.begin
    durations.learn(connection, kind, end - begin, closing, since)


def patience(history: PollHistory, durations: Durations, *, price: float = PRICE) -> float:
    """Return the scale in seconds of how long a polled job can wait while calls cost `price`.

    It is the delay at that price, brought back to the normal price by the square law that holds for a constant
    hazard, without clamps and jitter: a job that will surely have ended soon has little patience at a high
    price, an uncertain one much.  `urgency` compares jobs by it.
    """
    last = history.first_seen if history.last_poll is None else history.last_poll
    return _unclamped(history, durations, last, price) * sqrt(PRICE / price)


def urgency(now: float, last: float, scale: float) -> float:
    """Return how overdue a job is: the time since its poll at `last` in units of its `patience`.

    The job with the largest is served first.  It grows for every job that waits, so that none starves.
    """
    return (now - last) / scale


def _unclamped(history: PollHistory, durations: Durations, last: float, price: float) -> float:
    connection, kind = history.connection, history.job_type
    age = max(last - work_began(history), 0.0)
    first = 0.0
    if history.sub_jobs_open:
        # The job cannot end before its sub-jobs have, and nearly all take some closing after that.
        first = durations.closing_law(connection, kind).quantile(_SHORTEST_CLOSINGS)
        law, since = durations.lead_law(connection, kind), age
    elif history.last_sub_job_end is not None:
        law, since = durations.closing_law(connection, kind), max(last - history.last_sub_job_end, 0.0)
    else:
        law, since = durations.law(connection, kind), age
    # What is learned may be few jobs: never sleep more than four times what the prior alone would, but as the root of
    # their number longer where many are known.
    most = 4.0 * sqrt(2.0 * price * (age + 10.0) * (1.0 + law.jobs / _FEW_JOBS))
    return min(first + law.delay(since, price), most)


def _jitter(key: str, last: float) -> float:
    """Return a factor in 0.9 .. 1.1, the same for the same job and poll, even over keys."""
    return 1.0 - _JITTER + 2.0 * _JITTER * (crc32(f"{key}/{last}".encode()) / 2.0**32)
