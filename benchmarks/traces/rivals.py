"""The schedules compared: ours, the fixed and growing intervals of others, and one that knows the true law."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.traces.replay import View
from evs_operator.core.schedule.durations import Durations
from evs_operator.core.schedule.next_poll import PRICE, PollHistory, next_poll, teach


class _Forgetful:
    """A schedule that learns nothing."""

    def ended(self, view: View) -> None:
        pass

    def restarted(self, finished: Sequence[View]) -> None:
        pass


@dataclass
class Fixed(_Forgetful):
    interval: float

    @property
    def name(self) -> str:
        return f"fixed {self.interval:g} s"

    def delay(self, view: View) -> float:
        return self.interval


@dataclass
class Backoff(_Forgetful):
    factor: float
    cap: float

    @property
    def name(self) -> str:
        return f"x{self.factor:g} to {self.cap:g} s"

    def delay(self, view: View) -> float:
        return min(self.factor ** (view.polls - 1), self.cap)


@dataclass
class Proportional(_Forgetful):
    share: float

    @property
    def name(self) -> str:
        return f"{self.share:g} of age"

    def delay(self, view: View) -> float:
        return min(max(self.share * _age(view), 2.0), 60.0)


class Tiers(_Forgetful):
    name = "tiers 5 to 60 s"

    def delay(self, view: View) -> float:
        age = _age(view)
        if age < 60:
            return 5.0
        if age < 600:
            return 10.0
        return 30.0 if age < 3600 else 60.0


def _age(view: View) -> float:
    assert view.begin is not None
    assert view.last is not None
    return view.last - view.begin


@dataclass
class Ours:
    """The schedule of the operator; `relearn` says whether a restart reads finished objects again."""

    price: float = PRICE
    relearn: bool = True
    low: float = 2.0
    high: float = 60.0
    durations: Durations = field(default_factory=Durations)
    step: Callable[..., float] = next_poll
    name: str = "ours"

    def history(self, view: View) -> PollHistory:
        return PollHistory(
            connection="c",
            job_type=view.kind,
            first_seen=view.seen,
            begin=view.begin,
            last_poll=view.last,
            init_seen=view.init_seen,
            sub_jobs_open=view.sub_jobs_open,
            last_sub_job_end=view.last_sub_job_end,
            min_interval=self.low,
            max_interval=self.high,
            jitter_key=str(view.number),
        )

    def delay(self, view: View) -> float:
        assert view.last is not None
        history = self.history(view)
        teach(self.durations, history, view.previous, None)
        return self.step(history, self.durations, view.last, price=self.price)

    def ended(self, view: View) -> None:
        teach(self.durations, self.history(view), view.previous, view.end)

    def restarted(self, finished: Sequence[View]) -> None:
        """Start anew, with what the status of finished objects tells where `relearn` says so."""
        self.durations = Durations()
        for view in finished[-2000:] if self.relearn else ():
            view.init_seen, view.previous = None, view.begin
            self.ended(view)
