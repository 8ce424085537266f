"""The poll schedule as rules: what holds for every history and every learned state."""

from __future__ import annotations

import random
from dataclasses import replace
from heapq import heappop, heappush
from math import sqrt

import pytest

from evs_operator.core.schedule.durations import Durations
from evs_operator.core.schedule.next_poll import PollHistory, next_poll, patience, teach, urgency, work_began

JOB = PollHistory("c", "createVolume", first_seen=0.0, begin=0.0, last_poll=0.5, jitter_key="job")
WIDE = replace(JOB, min_interval=0.001, max_interval=1e9)


def lognormal(median: float, sigma: float, jobs: int = 400, seed: int = 1, kind: str = JOB.job_type) -> Durations:
    draw, learned = random.Random(seed), Durations()
    for _ in range(jobs):
        learned.learn("c", kind, median * draw.lognormvariate(0.0, sigma))
    return learned


def states() -> list[Durations]:
    mixed = lognormal(9, 0.2)
    for _ in range(30):
        mixed.learn("c", "createVolume", 26.0)
        mixed.watch("c", "createVolume", 0.0, 4000.0)
    return [Durations(), lognormal(9, 0.2), lognormal(900, 1.0), lognormal(0.3, 0.5), mixed]


def delay_at(age: float, learned: Durations, price: float = 0.3, job: PollHistory = WIDE) -> float:
    return next_poll(replace(job, last_poll=age), learned, age, price=price)


def mean_delay_at(age: float, learned: Durations, price: float = 0.3) -> float:
    keys = 200
    delays = [delay_at(age, learned, price, replace(WIDE, jitter_key=str(key))) for key in range(keys)]
    return sum(delays) / keys


AGES = (0.0, 0.4, 1.0, 5.0, 8.0, 9.0, 12.0, 30.0, 200.0, 1500.0, 20_000.0, 95_000.0, 500_000.0)


def test_a_job_never_polled_is_due_at_once() -> None:
    assert next_poll(replace(JOB, last_poll=None), Durations(), 77.0) == 0.0


def test_every_delay_stays_within_the_clamps() -> None:
    for learned in states():
        for age in AGES:
            for price in (0.001, 0.3, 50.0):
                assert 2.0 <= delay_at(age, learned, price, JOB) <= 60.0


def test_equal_clamps_give_a_fixed_interval() -> None:
    fixed = replace(JOB, min_interval=10.0, max_interval=10.0)
    for learned in states():
        assert [delay_at(age, learned, job=fixed) for age in (1.0, 50.0, 5000.0)] == [10.0] * 3


def test_a_higher_price_never_makes_polls_more_frequent() -> None:
    for learned in states():
        for age in AGES:
            delays = [delay_at(age, learned, price) for price in (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)]
            assert delays == sorted(delays)


def test_the_delay_is_the_one_at_which_a_wasted_call_is_worth_its_price() -> None:
    """The closed form against the definition, by numeric integration of the survival function."""
    for learned in states():
        law = learned.law("c", "createVolume")
        for age in (0.4, 5.0, 9.0, 30.0, 200.0, 1500.0):
            for price in (0.1, 0.3, 5.0):
                delay = law.delay(age, price)
                steps = 4000
                alive = law.survival(age)
                waited = sum(1.0 - law.survival(age + delay * (step + 0.5) / steps) / alive for step in range(steps))
                worth = waited * delay / steps
                assert worth == pytest.approx(price * law.survival(age + delay) / alive, rel=0.02, abs=1e-4)


def test_a_peak_of_ends_draws_the_poll_to_it() -> None:
    """Nothing ends before 20 s and nearly all does at 20 to 22 s: the first poll waits, later ones are dense."""
    draw, learned = random.Random(2), Durations()
    for _ in range(300):
        learned.learn("c", "createVolume", draw.uniform(20.0, 22.0))
    job = replace(JOB, min_interval=0.1)
    before = [delay_at(age, learned, job=job) + age for age in (10.0, 14.0, 17.0)]
    assert all(18.0 <= due <= 25.0 for due in before)
    assert delay_at(21.0, learned, job=job) < 1.5


def test_without_anything_learned_the_delay_grows_as_the_root_of_the_age() -> None:
    for age in (0.0, 10.0, 100.0, 1000.0, 10_000.0):
        assert mean_delay_at(age, Durations()) == pytest.approx(sqrt(2 * 0.3 * (age + 10.0)), rel=0.2)


def test_without_anything_learned_the_delay_is_proportional_when_the_price_is() -> None:
    """The prior has no scale beyond ten seconds."""
    shares = [mean_delay_at(age, Durations(), price=0.01 * age) / age for age in (300.0, 3000.0, 30_000.0)]
    assert max(shares) / min(shares) < 1.1


def test_a_cloud_ten_times_slower_at_ten_times_the_price_gets_delays_ten_times_as_long() -> None:
    fast, slow = lognormal(30, 0.3), lognormal(300, 0.3)
    for age in (20.0, 30.0, 40.0):
        ten = mean_delay_at(10 * age, slow, price=3.0)
        assert ten == pytest.approx(10 * mean_delay_at(age, fast, price=0.3), rel=0.25)


def test_jitter_keeps_the_mean_and_stays_within_ten_percent() -> None:
    learned = lognormal(900, 1.0)
    delays = [delay_at(500.0, learned, job=replace(WIDE, jitter_key=f"uid-{n}")) for n in range(2000)]
    plain = patience(replace(WIDE, last_poll=500.0), learned)
    assert 0.9 * plain <= min(delays) <= 0.91 * plain
    assert 1.09 * plain <= max(delays) <= 1.1 * plain
    # The mean of an even 0.9 .. 1.1 over 2000 keys has a standard error of 0.13 %.
    assert sum(delays) / len(delays) == pytest.approx(plain, rel=0.006)


def test_jobs_that_begin_together_are_spread() -> None:
    delays = {delay_at(500.0, Durations(), job=replace(WIDE, jitter_key=str(n))) for n in range(100)}
    assert len(delays) == 100


def test_how_many_jobs_run_says_nothing_about_the_ages_that_none_has_reached() -> None:
    """A thousand jobs that began together and still run: ahead of them the prior alone holds."""
    ratios = []
    for step in range(120):
        age = 3.0 * 1.06**step
        learned = Durations()
        for _ in range(1000):
            learned.watch("c", JOB.job_type, 0.0, age)
        ratios.append(learned.law("c", JOB.job_type).delay(age, 0.3) / Durations().law("c", "").delay(age, 0.3))
    assert max(ratios) < 2.5
    assert sum(ratios) / len(ratios) < 1.5


def burst(jobs: int, duration: float) -> list[float]:
    """Follow equal jobs that begin together, with nothing learned before; return how late each end is seen."""
    learned, late = Durations(), []
    due = [(0.1 + number / jobs / 10.0, number, 0.0) for number in range(jobs)]
    while due:
        now, number, previous = heappop(due)
        job = replace(JOB, first_seen=0.1, last_poll=now, jitter_key=f"uid-{number}")
        teach(learned, job, previous or None, duration if now >= duration else None)
        if now >= duration:
            late.append(now - duration)
        else:
            heappush(due, (now + next_poll(job, learned, now), number, now))
    return late


def test_the_end_of_many_equal_jobs_is_seen_as_soon_as_that_of_one_alone() -> None:
    alone = [burst(1, 20.0 * 1.04**step)[0] for step in range(100)]
    together = [late for step in range(4, 100, 8) for late in burst(100, 20.0 * 1.04**step)]
    assert sum(together) / len(together) < 1.25 * sum(alone) / len(alone)


def test_a_job_past_every_learned_duration_is_asked_at_least_every_maximum() -> None:
    learned = lognormal(9, 0.2)
    for age in (100.0, 3600.0, 86_400.0, 1e6):
        assert delay_at(age, learned, job=JOB) <= 60.0


def test_a_few_jobs_make_no_delay_longer_than_some_times_what_the_prior_alone_would_wait() -> None:
    """One end at one hour is no reason to sleep for an hour; ten let it sleep a little longer, not much."""
    for jobs, most in ((0, 4.0), (1, 4.2), (10, 5.7)):
        learned = lognormal(3600, 0.01, jobs=jobs)
        for age in (0.0, 1.0, 100.0):
            assert delay_at(age, learned) <= 1.1 * most * sqrt(2 * 0.3 * (age + 10.0))


def test_many_jobs_that_all_took_long_spare_a_new_one_the_early_polls() -> None:
    known, asked, age = lognormal(900, 0.3, jobs=300), 0, 0.5
    while age < 300.0:
        age += delay_at(age, known)
        asked += 1
    assert asked <= 5


def test_the_same_history_gives_the_same_delay() -> None:
    for learned in states():
        assert delay_at(7.0, learned) == delay_at(7.0, learned)


def test_asking_later_gives_the_same_instant() -> None:
    """The due time is a function of the last poll; a process that was asleep finds the poll overdue."""
    due = next_poll(JOB, Durations(), 0.5) + 0.5
    assert next_poll(JOB, Durations(), 1.5) + 1.5 == pytest.approx(due)
    assert next_poll(JOB, Durations(), 500.0) == 0.0


def test_init_restarts_the_clock_of_a_job_that_waits() -> None:
    waiting = replace(JOB, begin=0.0, last_poll=100.0, init_seen=100.0)
    assert work_began(waiting) == 100.0
    learned = lognormal(9, 0.2)
    assert next_poll(waiting, learned, 100.0) == pytest.approx(delay_at(0.0, learned, job=JOB), rel=0.25)


def test_a_first_answer_of_init_is_no_waiting() -> None:
    assert work_began(replace(JOB, begin=0.0, last_poll=1.0, init_seen=1.0)) == 0.0


def test_a_job_without_begin_time_counts_from_when_it_was_first_seen() -> None:
    assert work_began(replace(JOB, begin=None, first_seen=40.0)) == 40.0


def batch(learned: Durations, jobs: int = 100) -> Durations:
    draw = random.Random(3)
    for _ in range(jobs):
        lead, closing = draw.uniform(20.0, 40.0), draw.uniform(5.5, 6.5)
        learned.learn("c", "createVolume", lead + closing, closing)
    return learned


def test_finished_sub_jobs_tell_when_the_job_closes() -> None:
    job = replace(JOB, last_poll=26.0, sub_jobs_open=0, last_sub_job_end=25.0)
    assert 27.0 + 3.0 <= 26.0 + next_poll(job, batch(Durations()), 26.0) <= 32.5


def test_a_job_whose_sub_jobs_run_is_not_asked_before_it_can_have_closed() -> None:
    learned = batch(Durations())
    running = replace(JOB, last_poll=30.0, sub_jobs_open=2, last_sub_job_end=20.0)
    assert next_poll(running, learned, 30.0) >= 4.5


def test_teaching_an_end_and_a_running_job_reaches_the_law() -> None:
    learned = Durations()
    teach(learned, replace(JOB, last_poll=5.0), None, None)
    assert learned.law("c", "createVolume").jobs == 0.0
    teach(learned, replace(JOB, last_poll=12.0), 5.0, 9.0)
    assert learned.law("c", "createVolume").jobs == pytest.approx(1.0)


def test_teaching_takes_the_closing_from_the_last_sub_job() -> None:
    learned = Durations()
    teach(learned, replace(JOB, last_poll=40.0, last_sub_job_end=30.0), 20.0, 36.0)
    assert learned.closing_law("c", "createVolume").jobs == pytest.approx(1.0)
    assert learned.closing_law("c", "createVolume").survival(4.0) > 0.5


def test_a_job_that_is_surely_over_has_less_patience_at_a_high_price_than_an_uncertain_one() -> None:
    """When calls are scarce they go where an end is likeliest."""
    learned = lognormal(9, 0.15)
    for _ in range(200):
        learned.learn("c", "retypeVolume", random.Random(_).lognormvariate(6.8, 1.0))
    short = replace(JOB, last_poll=7.0)
    long = replace(JOB, job_type="retypeVolume", begin=-900.0, first_seen=-900.0, last_poll=7.0)
    assert patience(short, learned, price=100.0) < 0.3 * patience(short, learned)
    assert patience(long, learned, price=100.0) > 0.5 * patience(long, learned)
    now = 47.0
    assert urgency(now, 7.0, patience(short, learned, price=100.0)) > 5 * urgency(
        now, 7.0, patience(long, learned, price=100.0)
    )


def test_whatever_was_learned_every_delay_is_a_positive_number() -> None:
    """Late entries, single bins and ends without observation must not divide by zero or cancel out."""
    draw = random.Random(9)
    for _ in range(60):
        learned = Durations()
        for _ in range(draw.choice((1, 5, 50))):
            duration = 10 ** draw.uniform(-2.0, 5.5)
            since = duration * draw.choice((0.0, 0.5, 0.99))
            learned.watch("c", "t", since / 2, since)
            for _ in range(draw.choice((1, 30))):
                learned.learn("c", "t", duration, draw.choice((None, 0.0, duration / 2)), since)
        for law in (learned.law("c", "t"), learned.closing_law("c", "t"), learned.lead_law("new", "t")):
            for _ in range(20):
                age, price = draw.choice((0.0, 10 ** draw.uniform(-3.0, 6.0))), 10 ** draw.uniform(-3.0, 4.0)
                assert 0.0 < law.delay(age, price) < 1e6
                remaining = law.remaining(age)
                assert remaining is None or 0.0 <= remaining < 2e5
                assert 0.0 <= law.quantile(draw.random()) < 2e5


def test_urgency_grows_for_every_job_that_waits() -> None:
    assert urgency(20.0, 0.0, 7.0) > urgency(10.0, 0.0, 7.0) > urgency(10.0, 5.0, 7.0)
