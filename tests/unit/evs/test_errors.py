"""What each error of the tree means, held against one table: a class that is new here has to say what it means."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import get_annotations
from typing import Any

import pytest

from evs_operator.api.reasons import Reason
from evs_operator.core.observation import trouble_of
from evs_operator.evs import errors
from evs_operator.evs.errors import MetBy

MEANING: dict[type[errors.CloudError], dict[str, Any]] = {
    errors.CloudError: {},
    errors.PassingError: {"heals": True},
    errors.RateLimited: {"heals": True, "throttles": True, "met_by": MetBy.SAME_CREDENTIAL},
    errors.PollTimeout: {
        "heals": True,
        "unanswered": True,
        "of_connection": True,
        "met_by": MetBy.SAME_PROJECT,
        "counted_as": "timeout",
    },
    errors.Unreachable: {
        "heals": True,
        "unanswered": True,
        "of_connection": True,
        "met_by": MetBy.SAME_CONNECTION,
        "counted_as": "unreachable",
    },
    errors.ServerError: {"heals": True, "of_connection": True},
    errors.InvalidResponse: {"heals": True},
    errors.JobMissing: {"accepts": True},
    errors.ActionRequired: {"needs_person": True},
    errors.Unauthorized: {"needs_person": True, "about_credential": True, "met_by": MetBy.REFUSED},
    errors.AccessKeyLocked: {"needs_person": True, "about_credential": True, "locks": True, "met_by": MetBy.REFUSED},
    errors.Forbidden: {"needs_person": True, "accepts": True},
    errors.WrongProject: {"needs_person": True, "accepts": True},
    errors.EndpointInvalid: {"needs_person": True, "of_connection": True, "met_by": MetBy.SAME_PROJECT},
    errors.EndpointRefused: {"needs_person": True, "met_by": MetBy.REFUSED, "counted_as": ""},
    errors.Rejected: {"needs_person": True, "accepts": True},
}
USUAL = {
    "heals": False,
    "needs_person": False,
    "about_credential": False,
    "locks": False,
    "accepts": False,
    "throttles": False,
    "unanswered": False,
    "of_connection": False,
    "met_by": MetBy.NOBODY,
    "counted_as": "invalid",
}


def family(kind: type[errors.CloudError]) -> Iterator[type[errors.CloudError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


KINDS = list(family(errors.CloudError))
MET = [kind for kind in KINDS if kind not in (errors.CloudError, errors.PassingError, errors.ActionRequired)]
"""What a call meets; the others only draw the tree."""


def test_every_class_and_every_question_is_in_the_table() -> None:
    assert set(KINDS) == set(MEANING)
    asked = {name for name, kind in get_annotations(errors.CloudError).items() if str(kind).startswith("ClassVar")}
    assert asked == set(USUAL)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_means_what_the_table_says(kind: type[errors.CloudError]) -> None:
    assert {name: getattr(kind, name) for name in USUAL} == USUAL | MEANING[kind]


@pytest.mark.parametrize("kind", MET, ids=lambda kind: kind.__name__)
def test_what_is_declared_of_an_error_does_not_contradict_itself(kind: type[errors.CloudError]) -> None:
    assert kind.heals == issubclass(kind, errors.PassingError)
    assert kind.needs_person == issubclass(kind, errors.ActionRequired)
    assert not (kind.accepts and (kind.about_credential or kind.heals))
    assert not kind.locks or kind.about_credential
    assert not kind.unanswered or kind.of_connection


@pytest.mark.parametrize("kind", MET, ids=lambda kind: kind.__name__)
def test_a_status_says_of_each_error_what_it_is_and_whether_it_heals(kind: type[errors.CloudError]) -> None:
    trouble = trouble_of(kind("what happened"), str)
    assert trouble.passing == kind.heals
    assert (trouble.reason is Reason.REJECTED) == (kind is errors.Rejected)


@pytest.mark.parametrize(("shared", "signing_in"), [(False, False), (True, False), (False, True), (True, True)])
def test_an_error_is_by_evs_only_if_this_call_asked_it(shared: bool, signing_in: bool) -> None:
    error = errors.ServerError("trouble")
    error.shared, error.signing_in = shared, signing_in
    assert error.by_evs == (not shared and not signing_in)
