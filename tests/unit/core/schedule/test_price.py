"""The queue of due jobs and the price of a call while the budget is short."""

from __future__ import annotations

import pytest

from evs_operator.core.schedule.next_poll import PRICE
from evs_operator.core.schedule.price import DueQueue, Price


def drained(queue: DueQueue[str], now: float) -> list[str]:
    items = []
    while (served := queue.pop(now)) is not None:
        items.append(served.item)
    return items


def test_an_empty_queue_serves_nobody() -> None:
    assert DueQueue[str]().pop(1.0) is None


def test_the_most_overdue_job_is_served_first_whatever_its_patience() -> None:
    queue = DueQueue[str]()
    queue.push("patient", last=0.0, patience=60.0)
    queue.push("impatient", last=40.0, patience=2.0)
    queue.push("middling", last=20.0, patience=20.0)
    assert drained(queue, now=50.0) == ["impatient", "middling", "patient"]


def test_among_jobs_of_like_patience_the_one_that_waits_longest_is_first() -> None:
    queue = DueQueue[str]()
    for number in range(20):
        queue.push(str(number), last=float(number), patience=5.0)
    assert drained(queue, now=100.0) == [str(number) for number in range(20)]


def test_first_polls_go_first_and_leave_every_sixteenth_turn_to_the_others() -> None:
    queue = DueQueue[str]()
    for number in range(100):
        queue.push_first(f"new {number}")
        queue.push(f"old {number}", last=0.0, patience=5.0)
    served = [queue.pop(1000.0) for _ in range(80)]
    new = [it.item for it in served if it is not None and it.urgency is None]
    assert len(new) == 75
    assert new == [f"new {number}" for number in range(75)]


@pytest.mark.parametrize("patience", [1e-9, 0.01, 2.0])
def test_a_job_with_m_waiting_before_it_is_served_within_16_turns_for_each_whatever_comes_after(
    patience: float,
) -> None:
    """New and more urgent jobs arrive at every turn, so that they alone would fill the budget for ever."""
    before = 10
    queue, now, turns = DueQueue[str](), 0.0, 0
    for number in range(before):
        queue.push(f"before {number}", last=0.0, patience=60.0)
    queue.push("patient", last=0.0, patience=1e6)
    while True:
        now, turns = now + 1.0, turns + 1
        queue.push_first(f"new {turns}")
        queue.push(f"urgent {turns}", last=now - 60.0, patience=patience)
        served = queue.pop(now)
        assert served is not None
        if served.item == "patient":
            break
    assert turns <= 16 * (before + 1)


def test_no_job_starves_beside_any_stream_of_more_urgent_ones() -> None:
    """A job of patience 60 s beside so many of patience 2 s that they alone fill the budget.

    Whoever overtakes it must have waited at least 2/60 of its own wait, so it is served in bounded time:
    with n such rivals and one call a second, within n * 60/2 seconds.
    """
    queue, rivals, now = DueQueue[str](), 10, 0.0
    queue.push("patient", last=0.0, patience=60.0)
    for number in range(rivals):
        queue.push(str(number), last=0.0, patience=2.0)
    while True:
        now += 1.0
        served = queue.pop(now)
        assert served is not None
        if served.item == "patient":
            break
        queue.push(served.item, last=now, patience=2.0)
    assert now <= rivals * 60.0 / 2.0 + rivals


def test_length_counts_first_polls_and_others() -> None:
    queue = DueQueue[str]()
    queue.push_first("a")
    queue.push("b", last=0.0, patience=0.0)
    assert len(queue) == 2


def test_the_price_is_normal_while_jobs_are_served_on_time() -> None:
    price = Price()
    for _ in range(1000):
        price.served(1.0)
    assert price.value == pytest.approx(PRICE)


def test_the_price_follows_the_square_of_the_urgency_served_and_comes_back() -> None:
    price = Price()
    for _ in range(1000):
        price.served(10.0)
    assert price.value == pytest.approx(100 * PRICE, rel=0.01)
    for _ in range(1000):
        price.served(1.0)
    assert price.value == pytest.approx(PRICE, rel=0.01)


def test_a_price_has_a_ceiling() -> None:
    price = Price()
    for _ in range(10_000):
        price.served(1e9)
    assert price.value <= 10_001 * PRICE
