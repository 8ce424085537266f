"""How often a credential is used: bursts, pauses after a throttle, and the way back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.cloud.budget import DEFAULT_PAUSE, FIRST_IN_FLIGHT, MOST_IN_FLIGHT, Budget, Budgets


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
    budget.throttled(100.0, 30.0, sent=100.0)
    assert budget.paused_until == 130.0
    assert [budget.take(now) for now in (100.0, 115.0, 129.5)] == [30.0, 15.0, 0.5]
    assert budget.take(130.0) == 0.0


def test_a_throttle_without_a_time_pauses_for_a_minute() -> None:
    budget = Budget(5, 10)
    budget.throttled(100.0, None, sent=100.0)
    assert budget.take(100.0) == DEFAULT_PAUSE == 60.0


def test_a_throttle_that_names_no_wait_still_pauses() -> None:
    budget = Budget(5, 10)
    budget.throttled(100.0, 0.0, sent=100.0)
    assert budget.take(100.0) > 0


def test_the_pause_is_not_followed_by_a_burst() -> None:
    budget = Budget(5, 10)
    budget.throttled(0.0, 60.0, sent=0.0)
    assert budget.take(60.0) == 0.0
    assert budget.take(60.0) > 0


def test_each_throttle_after_an_answer_halves_the_rate_down_to_a_floor() -> None:
    budget, now = Budget(5, 10), 0.0
    rates = []
    for _ in range(8):
        budget.throttled(now, 10.0, sent=now)
        rates.append(budget.rate)
        budget.answered(now + 10.5, sent=now + 10.2)
        now += 11.0
    assert rates[:3] == [2.5, 1.25, 0.625]
    assert rates[-1] == 0.1


def test_calls_in_flight_together_that_are_throttled_count_once_and_the_longest_pause_holds() -> None:
    budget = Budget(8, 10)
    for pause in (10.0, 40.0, 5.0):
        budget.throttled(100.0, pause, sent=100.0)
    assert (budget.rate, budget.paused_until) == (4.0, 140.0)


def test_success_brings_the_rate_back_by_constant_steps_and_never_above_the_ceiling() -> None:
    budget = Budget(6, 10)
    budget.throttled(0.0, 1.0, sent=0.0)
    rates = []
    for second in range(1, 400):
        budget.answered(float(second), sent=float(second))
        rates.append(budget.rate)
    steps = {round(after - before, 9) for before, after in pairwise(rates) if after < 6}
    assert len(steps) == 1
    assert max(rates) == rates[-1] == 6.0


def test_many_successes_within_a_moment_do_not_bring_the_rate_back() -> None:
    budget = Budget(6, 10)
    budget.throttled(0.0, 1.0, sent=0.0)
    for _ in range(10_000):
        budget.answered(2.0, sent=2.0)
    assert budget.rate == pytest.approx(3.0)


def test_success_without_a_throttle_changes_nothing() -> None:
    budget = Budget(6, 10)
    budget.answered(1.0, sent=1.0)
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
            assert 0.0 <= wait <= 60.0
            now += value
        elif kind == "f":
            budget.throttled(now, value, sent=now)
            assert budget.take(now) > 0
        else:
            budget.answered(now, sent=now)
        assert 0.1 <= budget.rate <= 10.0


def test_a_clock_that_steps_back_gives_no_calls_away() -> None:
    budget = Budget(1, 1)
    assert budget.take(100.0) == 0.0
    assert budget.take(50.0) > 0
    assert budget.take(50.5) > 0


def paused(seconds: float = 60.0, burst: int = 20) -> Budget:
    """Return a budget that was throttled at 0, with calls under way that went before."""
    budget = Budget(10, burst)
    budget.throttled(0.0, seconds, sent=-0.1)
    return budget


def test_after_a_pause_one_call_probes_alone_until_it_is_answered() -> None:
    budget = paused()
    assert budget.take(60.0) == 0.0
    assert [budget.take(60.0 + second) > 0 for second in (0.0, 1.0, 5.0, 30.0)] == [True] * 4
    budget.answered(90.0, sent=60.0)
    assert budget.take(90.0) == 0.0


def test_a_probe_that_is_throttled_begins_the_next_pause_at_the_same_rate() -> None:
    budget = paused()
    assert budget.take(60.0) == 0.0
    budget.throttled(60.1, None, sent=60.0)
    assert (budget.rate, budget.paused_until) == (5.0, 120.1)


def test_a_throttle_of_half_a_minute_whose_probes_are_refused_cuts_the_rate_once() -> None:
    budget, now, refused = Budget(100, 200), 0.0, 0
    while now < 30.0:
        wait = budget.take(now)
        if wait == 0.0:
            budget.throttled(now + 0.05, 3.0, sent=now)
            refused += 1
        now += max(wait, 0.05)
    assert refused >= 8
    assert budget.rate == 50.0
    budget.take(now + 3.0)
    budget.answered(now + 3.1, sent=now + 3.0)
    assert take_all(budget, now + 3.1, now + 4.1) >= 45


def test_two_throttles_every_fifty_seconds_do_not_bring_the_rate_down_for_good() -> None:
    budget, now = Budget(20, 20), 0.0
    for _ in range(20):
        budget.throttled(now, 3.0, sent=now - 0.1)
        budget.take(now + 3.0)
        budget.throttled(now + 3.1, 3.0, sent=now + 3.0)
        for second in range(7, 50):
            budget.answered(now + second, sent=now + second - 0.1)
        now += 50.0
    assert budget.rate > 10.0


def test_a_new_bucket_spreads_its_first_calls_over_some_seconds() -> None:
    budget = Budgets().join("ns/default", ("https://evs", "key"), (100, 200), 50.0)
    seconds = [take_all(budget, 50.0 + second, 51.0 + second) for second in range(6)]
    assert 50 <= seconds[0] <= 70
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(100, abs=2)


def test_a_new_bucket_keeps_no_small_number_of_calls_waiting() -> None:
    budget = Budgets().join("ns/default", ("https://evs", "key"), (100, 200), 50.0)
    assert [budget.take(50.0) for _ in range(10)] == [0.0] * 10
    slow = Budgets().join("ns/default", ("https://evs", "key"), (1, 1), 50.0)
    assert take_all(slow, 50.0, 54.5) == 5


@pytest.mark.parametrize(("rate", "burst"), [(20, 20), (100, 200), (5, 10), (1, 1)])
def test_the_limit_holds_from_the_first_call_on(rate: int, burst: int) -> None:
    budget = Budgets().join("ns/default", ("https://evs", "key"), (rate, burst), 0.0)
    assert take_all(budget, 0.0, 1.0) <= burst + rate


def test_a_connection_that_is_changed_again_and_again_gets_no_new_bucket() -> None:
    budgets, taken = Budgets(), 0
    for change in range(100):
        budget = budgets.join("ns/default", ("https://evs", "key"), (5 + change % 2, 10), change * 0.01)
        taken += take_all(budget, change * 0.01, change * 0.01 + 0.01)
    assert taken <= 10 + 6


def test_a_probe_of_which_nothing_is_heard_is_followed_by_another() -> None:
    budget = paused()
    assert budget.take(60.0) == 0.0
    assert 0 < budget.take(61.0) <= 45.0
    assert budget.take(105.0) == 0.0


def test_a_probe_without_an_answer_is_followed_by_another() -> None:
    budget = paused()
    assert budget.take(60.0) == 0.0
    budget.unanswered(sent=60.0)
    assert budget.take(75.0) == 0.0
    assert budget.take(75.0) > 0


def test_answers_to_calls_that_went_before_the_throttle_open_nothing() -> None:
    budget = paused(1.0)
    budget.answered(2.0, sent=-0.1)
    assert budget.rate == 5.0
    assert budget.take(2.0) == 0.0
    assert budget.take(2.0) > 0, "the probe is still alone"


def test_calls_under_way_that_are_throttled_after_a_short_pause_count_with_the_first() -> None:
    budget = paused(1.0)
    budget.throttled(5.0, 1.0, sent=-0.1)
    assert budget.rate == 5.0


def test_a_call_that_was_not_made_is_given_back() -> None:
    budget = Budget(1, 1)
    assert budget.take(0.0) == 0.0
    budget.unused()
    assert budget.take(0.0) == 0.0


def test_calls_given_back_in_a_pause_make_no_burst_after_it() -> None:
    budget = Budget(1, 20)
    assert [budget.take(0.0) for _ in range(20)] == [0.0] * 20
    budget.throttled(0.1, 60.0, sent=0.0)
    for _ in range(19):
        budget.unused()
    assert budget.take(61.0) == 0.0
    budget.answered(61.1, sent=61.0)
    assert budget.take(61.1) > 0


def test_few_calls_are_under_way_at_first_more_with_each_answer_and_half_without_one() -> None:
    budget = Budget(10, 10)
    assert budget.in_flight == FIRST_IN_FLIGHT
    for _ in range(100):
        budget.answered(1.0, sent=0.5)
    assert budget.in_flight == MOST_IN_FLIGHT
    seen = []
    for _ in range(7):
        budget.unanswered(sent=0.0)
        seen.append(budget.in_flight)
    assert seen == [16, 8, 4, 2, 1, 1, 1]
    budget.answered(2.0, sent=1.5)
    assert budget.in_flight == 2


def test_after_a_throttle_few_calls_are_under_way_again() -> None:
    budget = Budget(10, 10)
    for _ in range(100):
        budget.answered(1.0, sent=0.5)
    budget.throttled(2.0, 1.0, sent=1.5)
    assert budget.in_flight == FIRST_IN_FLIGHT


def test_connections_of_one_endpoint_and_credential_share_a_bucket_and_others_do_not() -> None:
    budgets = Budgets()
    one = budgets.join("ns-1/default", ("https://evs", "key"), (5, 10), 0.0)
    two = budgets.join("ns-2/default", ("https://evs", "key"), (5, 10), 0.0)
    other = budgets.join("ns-3/default", ("https://evs", "another key"), (5, 10), 0.0)
    assert one is two
    assert one is not other
    one.throttled(0.0, 60.0, sent=0.0)
    assert two.take(1.0) > 0
    assert other.take(1.0) == 0.0


def test_the_lowest_ceiling_of_the_connections_holds_while_they_exist() -> None:
    budgets = Budgets()
    budget = budgets.join("a", "shared", (50, 100), 0.0)
    budgets.join("b", "shared", (5, 10), 0.0)
    assert take_all(budget, 0.0, 1e-6) == 10
    assert budget.ceiling == budget.rate == 5.0
    budgets.leave("b", 0.0)
    assert budget.ceiling == budget.rate == 50.0


def test_a_changed_rate_limit_holds_at_once_and_forgets_no_throttle() -> None:
    budgets = Budgets()
    budget = budgets.join("a", "shared", (50, 100), 0.0)
    budget.throttled(0.0, 60.0, sent=0.0)
    assert budgets.join("a", "shared", (4, 4), 1.0) is budget
    assert (budget.ceiling, budget.rate) == (4.0, 4.0)
    assert budget.take(1.0) == 59.0


def test_a_pause_outlives_the_connection_that_met_it() -> None:
    """Whoever deletes a throttled connection and applies it again does not go around the pause."""
    budgets = Budgets()
    budgets.join("a", "shared", (5, 5), 0.0).throttled(0.0, 60.0, sent=0.0)
    budgets.leave("a", 1.0)
    assert budgets.join("a", "shared", (5, 5), 2.0).take(2.0) == 58.0
    budgets.leave("a", 100.0)
    assert budgets.join("a", "shared", (5, 5), 100.0).rate == 5.0


def test_requests_that_go_in_any_case_are_waited_for_by_the_calls_after_them() -> None:
    budget = Budget(2, 4)
    assert [budget.take(0.0) for _ in range(2)] == [0.0, 0.0]
    for _ in range(6):
        budget.spend(0.0)
    assert budget.take(0.0) == pytest.approx(2.5)
    assert budget.take(2.5) == 0.0


@given(st.lists(st.booleans(), max_size=60))
def test_calls_and_requests_beside_them_together_keep_to_the_limit(beside: list[bool]) -> None:
    budget, now, made = Budget(5, 3), 0.0, 0
    for token in beside:
        now += budget.take(now)
        if budget.take(now) == 0.0:
            made += 1
        if token:
            budget.spend(now)
            made += 1
    assert made <= 3 + 5 * now + 3
