"""How often a credential is used: bursts, pauses after a throttle, and the way back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.cloud.budget import DEFAULT_PAUSE, Budget


def take_all(budget: Budget, now: float, until: float) -> int:
    """Take whatever may be taken until then, waiting exactly as long as told."""
    taken = 0
    while now < until:
        wait = budget.take(now)
        taken += wait == 0.0
        now += max(wait, 1e-9)
    return taken


def test_a_burst_goes_at_once_and_then_the_rate_counts() -> None:
    budget = Budget(5, 10)
    assert [budget.take(100.0) for _ in range(10)] == [0.0] * 10
    assert budget.take(100.0) == pytest.approx(0.2)


def test_the_wait_that_is_told_is_enough() -> None:
    budget = Budget(3, 1)
    assert budget.take(0.0) == 0.0
    wait = budget.take(0.0)
    assert budget.take(wait + 1e-9) == 0.0


def test_unused_calls_pile_up_to_the_burst_and_no_further() -> None:
    budget = Budget(5, 10)
    budget.take(0.0)
    assert [budget.take(10_000.0) for _ in range(10)] == [0.0] * 10
    assert budget.take(10_000.0) > 0


def test_no_call_at_all_goes_in_a_pause() -> None:
    budget = Budget(5, 10)
    budget.throttled(100.0, 30.0)
    assert budget.paused_until == 130.0
    assert [budget.take(now) for now in (100.0, 115.0, 129.5)] == [30.0, 15.0, 0.5]
    assert budget.take(130.0) == 0.0


def test_a_throttle_without_a_time_pauses_for_a_minute() -> None:
    budget = Budget(5, 10)
    budget.throttled(100.0, None)
    assert budget.take(100.0) == DEFAULT_PAUSE == 60.0


def test_a_throttle_that_names_no_wait_still_pauses() -> None:
    budget = Budget(5, 10)
    budget.throttled(100.0, 0.0)
    assert budget.take(100.0) > 0


def test_the_pause_is_not_followed_by_a_burst() -> None:
    budget = Budget(5, 10)
    budget.throttled(0.0, 60.0)
    assert budget.take(60.0) == 0.0
    assert budget.take(60.0) > 0


def test_each_throttle_halves_the_rate_down_to_a_floor() -> None:
    budget, now = Budget(5, 10), 0.0
    rates = []
    for _ in range(8):
        budget.throttled(now, 10.0)
        rates.append(budget.rate)
        now += 11.0
    assert rates[:3] == [2.5, 1.25, 0.625]
    assert rates[-1] == 0.1


def test_calls_in_flight_together_that_are_throttled_count_once_and_the_longest_pause_holds() -> None:
    budget = Budget(8, 10)
    for pause in (10.0, 40.0, 5.0):
        budget.throttled(100.0, pause)
    assert (budget.rate, budget.paused_until) == (4.0, 140.0)


def test_success_brings_the_rate_back_by_constant_steps_and_never_above_the_ceiling() -> None:
    budget = Budget(6, 10)
    budget.throttled(0.0, 1.0)
    rates = []
    for second in range(1, 400):
        budget.succeeded(float(second))
        rates.append(budget.rate)
    steps = {round(after - before, 9) for before, after in pairwise(rates) if after < 6}
    assert len(steps) == 1
    assert max(rates) == rates[-1] == 6.0


def test_many_successes_within_a_moment_do_not_bring_the_rate_back() -> None:
    budget = Budget(6, 10)
    budget.throttled(0.0, 1.0)
    for _ in range(10_000):
        budget.succeeded(2.0)
    assert budget.rate == pytest.approx(3.0)


def test_success_without_a_throttle_changes_nothing() -> None:
    budget = Budget(6, 10)
    budget.succeeded(1.0)
    assert budget.rate == 6.0


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0, 1e6), st.integers(1, 20))
def test_over_any_time_no_more_calls_go_than_burst_and_rate_allow(
    rate: int, burst: int, start: float, seconds: int
) -> None:
    taken = take_all(Budget(rate, burst), start, start + seconds)
    assert burst + rate * seconds - 2 <= taken <= burst + rate * seconds + 2


@given(st.lists(st.tuples(st.sampled_from("tfs"), st.floats(0, 50)), max_size=60))
def test_rate_and_waits_stay_within_bounds_whatever_happens(events: list[tuple[str, float]]) -> None:
    budget, now = Budget(10, 5), 0.0
    for kind, value in events:
        if kind == "t":
            wait = budget.take(now)
            assert 0.0 <= wait <= max(60.0, 10.0)
            now += value
        elif kind == "f":
            budget.throttled(now, value)
            assert budget.take(now) > 0
        else:
            budget.succeeded(now)
        assert 0.1 <= budget.rate <= 10.0


def test_a_clock_that_steps_back_gives_no_calls_away() -> None:
    budget = Budget(1, 1)
    assert budget.take(100.0) == 0.0
    assert budget.take(50.0) > 0
    assert budget.take(50.5) > 0
