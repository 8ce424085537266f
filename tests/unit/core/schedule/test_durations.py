"""What is learned from jobs: the rules that the poll schedule and the estimate rest on."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from evs_operator.core.schedule.durations import BORROWED_JOBS, Durations, Histogram
from evs_operator.core.schedule.law import BINS, EDGES, Law, bin_of, part_of
from support.memory import traced


def taught(*durations: float, connection: str = "c", kind: str = "createVolume") -> Durations:
    learned = Durations()
    for duration in durations:
        learned.learn(connection, kind, duration)
    return learned


def test_each_duration_falls_into_the_bin_whose_edges_enclose_it() -> None:
    for duration in (0.0, 0.1, 0.25, 0.3, 1.0, 9.0, 900.0, 90_000.0):
        k = bin_of(duration)
        assert EDGES[k] <= duration * (1 + 1e-9)
        assert duration <= EDGES[k + 1] * (1 + 1e-9)
        assert 0.0 <= part_of(k, duration) <= 1.0 + 1e-9


def test_durations_beyond_the_last_bin_share_it() -> None:
    assert bin_of(1e9) == BINS - 1


def test_survival_starts_at_one_and_never_grows() -> None:
    law = taught(*[5.0] * 20, *[60.0] * 20).law("c", "createVolume")
    survival = [law.survival(edge) for edge in EDGES]
    assert survival[0] == 1.0
    assert all(late <= early for early, late in pairwise(survival))


def test_the_estimate_is_withheld_until_three_jobs_of_the_kind_have_ended() -> None:
    assert Durations().estimate("c", "createVolume", 1.0) is None
    assert taught(9.0, 9.0).estimate("c", "createVolume", 1.0) is None
    assert taught(9.0, 9.0, 9.0, 9.0).estimate("c", "createVolume", 1.0) is not None


def test_the_estimate_is_the_median_of_what_remains() -> None:
    draw = random.Random(5)
    learned = taught(*[draw.uniform(80, 120) for _ in range(400)])
    assert learned.estimate("c", "createVolume", 0.0) == pytest.approx(100, rel=0.1)
    assert learned.estimate("c", "createVolume", 60.0) == pytest.approx(40, rel=0.2)


def test_a_job_older_than_all_that_ended_has_no_estimate() -> None:
    assert taught(*[9.0] * 50).estimate("c", "createVolume", 500.0) is None


def test_old_jobs_are_forgotten_by_one_percent_per_finished_job() -> None:
    learned = taught(*[1000.0] * 100, *[10.0] * 400)
    assert learned.law("c", "createVolume").survival(100.0) < 0.05


def test_the_weight_of_a_kind_never_exceeds_a_hundred_jobs() -> None:
    assert taught(*[9.0] * 5000).law("c", "createVolume").jobs == pytest.approx(100, rel=0.01)


def test_a_new_connection_borrows_five_jobs_of_the_type_from_the_others() -> None:
    learned = taught(*[9.0] * 200, connection="old")
    assert learned.law("new", "createVolume").jobs == pytest.approx(5.0)
    learned.learn("new", "createVolume", 9.0)
    assert learned.law("new", "createVolume").jobs == pytest.approx(5.0 * 0.99 + 1.0, rel=0.01)
    assert learned.law("new", "deleteVolume").jobs == 0.0


def test_what_one_connection_learns_later_leaves_another_alone() -> None:
    learned = taught(*[9.0] * 50, connection="slow")
    learned.learn("fast", "createVolume", 9.0)
    before = learned.law("fast", "createVolume").survival(20.0)
    for _ in range(50):
        learned.learn("slow", "createVolume", 90.0)
    assert learned.law("fast", "createVolume").survival(20.0) == before


def test_jobs_of_unknown_type_are_a_kind_of_their_own() -> None:
    assert taught(*[9.0] * 10, kind="").law("c", "").jobs > 9.0


def test_jobs_first_seen_when_old_do_not_hide_the_short_ones() -> None:
    """Beside a backlog of long jobs only their ends are seen; the law of young jobs must not stretch."""
    learned = taught(*[10.0] * 50)
    for _ in range(50):
        learned.learn("c", "createVolume", 5010.0, since_s=5000.0)
    young = learned.law("c", "createVolume").survival(20.0)
    misled = taught(*[10.0] * 50, *[5010.0] * 50).law("c", "createVolume").survival(20.0)
    assert young < 0.15
    assert misled > 0.5


def test_jobs_seen_running_count_before_any_of_them_ends() -> None:
    """100 ends within 10 s among 1,000 jobs are a hazard of one percent a second, not of certainty."""
    ends = Durations()
    for _ in range(100):
        ends.learn("c", "retypeVolume", 505.0, since_s=500.0)
    both = Durations()
    for _ in range(900):
        both.watch("c", "retypeVolume", 500.0, 510.0)
    for _ in range(100):
        both.learn("c", "retypeVolume", 505.0, since_s=500.0)
    assert both.law("c", "retypeVolume").delay(500.0, 0.3) > ends.law("c", "retypeVolume").delay(500.0, 0.3)


def test_watching_in_many_steps_tells_the_same_as_in_one() -> None:
    once, often = Durations(), Durations()
    for _ in range(20):
        once.learn("c", "t", 40.0)
        for step in range(39):
            often.watch("c", "t", float(step), step + 1.0)
        often.learn("c", "t", 40.0, since_s=39.0)
    for age in (5.0, 30.0, 38.0, 45.0, 100.0):
        assert often.law("c", "t").survival(age) == pytest.approx(once.law("c", "t").survival(age), rel=0.15)


def test_a_job_that_had_ended_when_first_seen_tells_nothing() -> None:
    learned = Durations()
    learned.learn("c", "t", 10.0, since_s=300.0)
    assert learned.law("c", "t").jobs == 0.0


def test_clocks_that_disagree_count_as_no_time() -> None:
    learned = Durations()
    learned.learn("c", "t", -3.0, closing_s=-1.0, since_s=-2.0)
    assert learned.law("c", "t").jobs == pytest.approx(1.0)
    assert learned.closing_law("c", "t").jobs == pytest.approx(1.0)


def test_only_jobs_with_sub_jobs_teach_lead_and_closing() -> None:
    learned = taught(9.0)
    assert learned.closing_law("c", "createVolume").jobs == 0.0
    learned.learn("c", "batchCreateVolume", 30.0, closing_s=6.0)
    assert learned.closing_law("c", "batchCreateVolume").jobs == pytest.approx(1.0)
    assert learned.lead_law("c", "batchCreateVolume").jobs == pytest.approx(1.0)


def test_the_number_of_kinds_kept_is_bounded_and_the_least_used_goes_first() -> None:
    learned = Durations(max_keys=3)
    for name in ("a", "b", "c"):
        learned.learn("x", name, 5.0)
    learned.learn("x", "a", 5.0)
    learned.learn("x", "d", 5.0)
    assert len(learned) == 3
    assert learned.law("x", "a").jobs > 1.0
    assert learned.law("x", "b").jobs == 0.0


def test_weights_stay_exact_over_a_million_jobs_worth_of_growth() -> None:
    """The unit that jobs are counted in grows and is reset; the law must not notice."""
    learned = taught(*[9.0] * 3000)
    reference = taught(*[9.0] * 1000)
    for age in (1.0, 8.0, 9.0, 12.0):
        expected = reference.law("c", "createVolume").survival(age)
        assert learned.law("c", "createVolume").survival(age) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_the_prior_alone_is_ten_over_ten_plus_t() -> None:
    law = Law()
    for edge in EDGES:
        assert law.survival(edge) == pytest.approx(10.0 / (10.0 + edge))


def learn_and_ask(learned: Durations, kind: str, *durations: float) -> None:
    """Learn durations as an operator does, that asks the law before each end."""
    for duration in durations:
        learned.law("c", kind)
        learned.learn("c", kind, duration)


def spread(median: float, jobs: int, seed: int = 11) -> list[float]:
    draw = random.Random(seed)
    return [median * draw.lognormvariate(0.0, 0.2) for _ in range(jobs)]


def test_a_cloud_ten_times_faster_is_believed_after_fifteen_jobs_where_decay_alone_takes_seventy() -> None:
    learned = Durations()
    learn_and_ask(learned, "t", *spread(90.0, 300))
    learn_and_ask(learned, "t", *spread(9.0, 15))
    assert learned.law("c", "t").quantile(0.5) < 15.0


def test_a_cloud_that_becomes_faster_makes_what_is_known_of_rarer_jobs_doubtful_too() -> None:
    learned = Durations()
    learn_and_ask(learned, "rare", *spread(900.0, 300))
    learn_and_ask(learned, "often", *spread(90.0, 300))
    known = learned.law("c", "rare").jobs
    learn_and_ask(learned, "often", *spread(9.0, 15))
    assert known > 90.0
    assert learned.law("c", "rare").jobs <= BORROWED_JOBS + 0.01


def test_another_connection_keeps_what_it_knows() -> None:
    learned = Durations()
    for connection in ("c", "other"):
        for duration in spread(90.0, 300):
            learned.law(connection, "t")
            learned.learn(connection, "t", duration)
    learn_and_ask(learned, "t", *spread(9.0, 15))
    assert learned.law("other", "t").jobs > 90.0


def test_chance_alone_makes_nobody_forget() -> None:
    """2,000 jobs of an unchanged law: the weight of what was learned stays that of its decay, nearly always."""
    learned, full = Durations(), 0
    for duration in spread(9.0, 2000, seed=12):
        learn_and_ask(learned, "t", duration)
        full += learned.law("c", "t").jobs > 50.0
    assert full > 1700


def test_the_rank_of_an_end_is_the_share_of_shorter_durations() -> None:
    histogram = Histogram()
    assert histogram.rank(5.0) == 0.5, "nothing was asked yet"
    for duration in spread(9.0, 400):
        histogram.law()
        histogram.add(duration, 0.0)
    histogram.law()
    ranks = [histogram.rank(duration) for duration in spread(9.0, 400, seed=13)]
    assert sum(ranks) / len(ranks) == pytest.approx(0.5, abs=0.06)


def test_a_kind_of_job_costs_less_than_five_kilobytes() -> None:
    """Two histograms, of the connection and of the type over all connections, each with its law."""
    kinds = 20
    with traced() as held:
        learned = Durations()
        for number in range(kinds):
            for duration in spread(9.0, 20):
                learned.watch("c", f"t{number}", 0.0, 3.0)
                learn_and_ask(learned, f"t{number}", duration)
            learned.law("c", f"t{number}")
        assert 2000 < held() / kinds < 4700
