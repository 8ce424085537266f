"""A connection that never reached its endpoint is most likely written wrong; one that did has an outage."""

from __future__ import annotations

import pytest

from evs_operator.api.conditions import Condition
from evs_operator.api.stored import StoredConnectionStatus
from evs_operator.connections.reachability import Reach
from evs_operator.evs import errors


def mistake() -> errors.Unreachable:
    error = errors.Unreachable("evs is not reachable: its name is not known to DNS")
    error.mistaken = True
    return error


def test_a_mistake_is_one_after_three_minutes_and_heals_with_the_first_answer() -> None:
    reach = Reach()
    for now in (0.0, 60.0, 179.0):
        reach.failed(mistake(), now)
        assert not reach.is_mistaken(now)
        assert reach.is_undecided
    assert reach.is_mistaken(180.0)
    assert not reach.is_outage_to_tell(180.0)
    reach.got_through()
    assert not reach.is_mistaken(181.0)


@pytest.mark.parametrize(
    "error",
    [errors.PollTimeout("slow"), errors.Unreachable("connection refused"), errors.InvalidResponse("no HTTP")],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_mistake_begins_the_three_minutes_anew(error: errors.CloudError) -> None:
    reach = Reach()
    reach.failed(mistake(), 0.0)
    reach.failed(error, 100.0)
    reach.failed(mistake(), 101.0)
    assert not reach.is_mistaken(200.0)
    assert reach.is_mistaken(281.0)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_any_answer_of_the_endpoint_shows_that_it_was_reached(status: int) -> None:
    reach = Reach()
    reach.failed(errors.Rejected("no", http_status=status), 0.0)
    reach.failed(mistake(), 1.0)
    assert not reach.is_mistaken(1000.0)
    assert reach.is_outage_to_tell(181.0)


def test_an_answer_of_iam_shows_nothing_about_the_endpoint_of_evs() -> None:
    reach, refused = Reach(), errors.Unauthorized("no", http_status=401)
    refused.signing_in = True
    reach.failed(refused, 0.0)
    assert not reach.reached


def status(*conditions: tuple[str, str, str, str], generation: int = 1) -> StoredConnectionStatus:
    found: list[Condition] = [
        {"type": kind, "status": value, "reason": reason, "message": "", "lastTransitionTime": since}  # type: ignore[typeddict-item]
        for kind, value, reason, since in conditions
    ]
    return {"observedGeneration": generation, "conditions": found}


@pytest.mark.parametrize(
    ("stored", "reached", "mistaken"),
    [
        (status(("Ready", "True", "CredentialsValid", "1")), True, False),
        (status(("Ready", "False", "Unauthorized", "1")), True, False),
        (status(("Ready", "True", "CredentialsValid", "1"), generation=0), False, False),
        (status(("Ready", "Unknown", "NotYetVerified", "1")), False, False),
        (status(("Ready", "False", "SecretNotFound", "1")), False, False),
        (status(("Ready", "False", "Unreachable", "2"), ("Reconciling", "True", "Unreachable", "2")), True, False),
        (status(("Ready", "False", "Unreachable", "2"), ("Reconciling", "True", "Unreachable", "1")), False, False),
        (status(("Ready", "False", "Unreachable", "2"), ("Stalled", "True", "Unreachable", "3")), False, True),
        (status(), False, False),
        ({}, False, False),
    ],
)
def test_what_an_earlier_process_found_out_is_recalled(
    stored: StoredConnectionStatus, reached: bool, mistaken: bool
) -> None:
    reach = Reach.recalled(stored, 1)
    assert (reach.reached, reach.is_mistaken(0.0)) == (reached, mistaken)
