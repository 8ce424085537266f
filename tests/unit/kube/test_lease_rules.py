"""What one process may do about the Lease it sees."""

from __future__ import annotations

from typing import Any

import pytest

from evs_operator.kube.lease_rules import LEASE_SECONDS, Seen, Step, look, next_step


def lease(holder: str, version: str = "7", **spec: Any) -> dict[str, Any]:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z", **spec}
    return {"metadata": {"name": "evs-operator", "resourceVersion": version}, "spec": spec}


def step_after(seconds: float, holder: str, version: str = "7") -> Step:
    return next_step(Seen(version, holder, 15, since=100.0), "me", 100.0 + seconds)


def test_a_lease_that_is_not_there_may_be_created() -> None:
    assert next_step(look(None, None, 100.0), "me", 100.0) is Step.CREATE


def test_a_released_lease_may_be_taken_at_once() -> None:
    assert step_after(0, "") is Step.TAKE


def test_a_lease_of_ones_own_may_be_renewed_however_old_it_is() -> None:
    assert step_after(0, "me") is Step.RENEW
    assert step_after(3600, "me") is Step.RENEW


@pytest.mark.parametrize(("seconds", "step"), [(0, Step.WAIT), (14.9, Step.WAIT), (15, Step.TAKE)])
def test_the_lease_of_another_may_be_taken_after_its_whole_duration_was_watched(seconds: float, step: Step) -> None:
    assert step_after(seconds, "other") is step


def test_a_lease_seen_unchanged_keeps_the_time_at_which_it_was_first_seen() -> None:
    first = look(None, lease("other"), 100.0)
    assert look(first, lease("other"), 110.0) == first


def test_any_change_of_the_lease_starts_the_wait_anew() -> None:
    first = look(None, lease("other"), 100.0)
    assert look(first, lease("other", version="8"), 110.0).since == 110.0


def test_times_in_the_lease_mean_nothing() -> None:
    old = lease("other", renewTime="1999-01-01T00:00:00.000000Z", acquireTime="1999-01-01T00:00:00.000000Z")
    assert look(None, old, 100.0) == look(None, lease("other"), 100.0)


def test_a_longer_duration_of_another_holder_is_waited_for() -> None:
    seen = look(None, lease("other", leaseDurationSeconds=60), 100.0)
    assert next_step(seen, "me", 159.0) is Step.WAIT
    assert next_step(seen, "me", 160.0) is Step.TAKE


@pytest.mark.parametrize("duration", [1, 0, None, "15"])
def test_no_duration_in_a_lease_makes_the_wait_shorter_than_our_own(duration: object) -> None:
    assert look(None, lease("other", leaseDurationSeconds=duration), 0.0).duration == LEASE_SECONDS


def test_a_lease_deleted_under_its_holder_is_waited_for_as_if_it_were_there() -> None:
    gone = look(look(None, lease("other"), 100.0), None, 110.0)
    assert next_step(gone, "me", 114.0) is Step.WAIT
    assert next_step(gone, "me", 115.0) is Step.CREATE


@pytest.mark.parametrize("body", [{}, {"metadata": None, "spec": None}, {"metadata": {"resourceVersion": "7"}}])
def test_a_lease_without_a_spec_is_held_by_nobody(body: dict[str, object]) -> None:
    assert look(None, body, 0.0).holder == ""
