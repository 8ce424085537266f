"""What kube-state-metrics is told of our kinds: fields that are there, and words that the alerts compare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from evs_operator.api import JobState
from support.alert_rules import STATE_METRICS, alerts
from support.deployed import ROOT

_KINDS = {"EvsJob": "evsjobs", "EvsConnection": "evsconnections", "ClusterEvsConnection": "clusterevsconnections"}


def _schema(kind: str) -> dict[str, Any]:
    crd = yaml.safe_load((ROOT / "crds" / f"evs-operator.dev_{_KINDS[kind]}.yaml").read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    names = {"type": "object", "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}}}
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = names
    return schema


def _paths() -> Iterator[tuple[str, str, list[str]]]:
    for resource in yaml.safe_load(STATE_METRICS.read_text(encoding="utf-8"))["spec"]["resources"]:
        kind = resource["groupVersionKind"]["kind"]
        labels = dict(resource["labelsFromPath"])
        for metric in resource["metrics"]:
            labels.update(metric["each"]["info"]["labelsFromPath"])
        for label, path in labels.items():
            yield kind, label, path


@pytest.mark.parametrize(("kind", "label", "path"), list(_paths()))
def test_every_label_is_taken_from_a_field_that_the_kind_has(kind: str, label: str, path: list[str]) -> None:
    place = _schema(kind)
    for step in path:
        if match := re.fullmatch(r"\[(\w+)=\w+\]", step):
            place = place["items"]
            assert match[1] in place["properties"]
        else:
            assert step in place["properties"], label
            place = place["properties"][step]
    assert place["type"] == "string"


def test_each_kind_is_told_once() -> None:
    assert {kind for kind, _, _ in _paths()} == set(_KINDS)


def test_the_alerts_compare_with_states_that_there_are() -> None:
    compared = {word for rule in alerts() for word in re.findall(r'evsjob_state\{state="(\w+)"', rule["expr"])}
    assert compared == {"Failed", "ActionRequired"}
    assert compared <= set(JobState)
