"""The rights that `check` asks about are those of the manifest that users apply, no more and no fewer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from evs_operator.kube.access import CLUSTER_RIGHTS, LEASE_RIGHTS, RIGHTS, Right
from support.operator_process import leader_election_rules, operator_rules


def told(rights: Iterable[Right]) -> set[tuple[str, str, str]]:
    return {(r.verb, r.group, f"{r.resource}/{r.subresource}" if r.subresource else r.resource) for r in rights}


def granted(rules: Iterable[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (verb, group, resource)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_check_asks_about_every_right_that_users_grant_and_about_no_other() -> None:
    assert told((*RIGHTS, *CLUSTER_RIGHTS)) == granted(operator_rules())


def test_check_asks_about_the_lease_as_leader_election_uses_it() -> None:
    assert told(LEASE_RIGHTS) == granted(leader_election_rules())
