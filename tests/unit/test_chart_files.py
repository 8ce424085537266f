"""The files of the chart agree with each other and with the rest of the repository; no helm is needed to see that."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from evs_operator import __version__
from support.chart import CHART, DEFAULTS, SCHEMA, resolved, schema_leaves
from support.deployed import ROOT

Schema = dict[str, Any]
_VALIDATOR = Draft7Validator(SCHEMA)

# What a value must be for an object inside a list or a map to be looked at.
_ENTRIES: dict[str, Any] = {
    "connections": {
        "default": {"endpoint": "https://evs.example.com", "auth": {"token": {"secretRef": {"name": "t"}}}}
    },
    "imagePullSecrets": [{"name": "registry"}],
    "tolerations": [{"key": "a"}],
    "extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "a"}}}],
    "extraEnvFrom": [{"secretRef": {"name": "a"}}],
    "extraVolumes": [{"name": "a", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "a", "mountPath": "/a"}],
    "networkPolicy.metricsFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {"matchLabels": {"a": "b"}}}],
    "metrics.prometheusRule.alerts": {"EvsJobFailed": {"severity": "info", "for": "5m", "enabled": True}},
    "networkPolicy.extraEgress": [{"to": [{"namespaceSelector": {}}]}],
}


def test_the_crds_of_the_chart_are_those_of_the_repository_byte_for_byte() -> None:
    ours = {path.name: path.read_bytes() for path in (ROOT / "crds").glob("*.yaml")}
    assert ours == {path.name: path.read_bytes() for path in (CHART / "files" / "crds").glob("*.yaml")}


def test_chart_and_application_have_the_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_default_values_are_allowed() -> None:
    _VALIDATOR.validate(DEFAULTS)


def test_every_value_that_the_schema_knows_is_in_values_yaml_with_its_default() -> None:
    for path in schema_leaves():
        value: Any = DEFAULTS
        for key in path.split("."):
            assert key in value, f"values.yaml lacks {path}"
            value = value[key]


def test_every_value_is_in_the_table_of_the_readme() -> None:
    named = set(re.findall(r"(?m)^\| `([^`]+)` \|", (CHART / "README.md").read_text()))
    assert {path for path in schema_leaves() if not any(path == n or path.startswith(f"{n}.") for n in named)} == set()


def _closed_objects(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    node = resolved(node)
    if "properties" in node:
        yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _closed_objects(child, f"{path}.{name}" if path else name)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from _closed_objects(node[key], f"{path}[]")


def test_every_object_of_the_schema_refuses_keys_that_it_does_not_know() -> None:
    objects = dict(_closed_objects(SCHEMA))
    assert len(objects) > 40
    assert [path for path, node in objects.items() if node.get("additionalProperties") is not False] == []


def _with_typos(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values with one more key, once for each object in them."""
    if isinstance(value, dict):
        yield path, {**value, "typo": 1}
        for key, child in value.items():
            for where, changed in _with_typos(child, f"{path}.{key}" if path else key):
                yield where, {**value, key: changed}
    elif isinstance(value, list):
        for index, child in enumerate(value):
            for where, changed in _with_typos(child, f"{path}[{index}]"):
                yield where, [*value[:index], changed, *value[index + 1 :]]


def _filled() -> dict[str, Any]:
    values: dict[str, Any] = copy.deepcopy(DEFAULTS)
    for path, entry in _ENTRIES.items():
        *parents, last = path.split(".")
        place = values
        for key in parents:
            place = place[key]
        place[last] = entry
    return values


# Objects whose keys are the user's own.
_FREE = re.compile(
    r"(.*([lL]abels|[aA]nnotations)|nodeSelector|connections|.*\.(requests|limits)|.*\.(secretKeyRef|secretRef|emptyDir)"
    r"|.*matchLabels)$"
)


@pytest.mark.parametrize(
    ("path", "values"), [one for one in _with_typos(_filled()) if not (_FREE.match(one[0]) and "auth" not in one[0])]
)
def test_a_key_with_a_typo_is_refused(path: str, values: dict[str, Any]) -> None:
    problems = [error.message for error in _VALIDATOR.iter_errors(values)]
    assert any("'typo'" in problem or "typo" in problem for problem in problems), path


def test_without_a_typo_the_same_values_are_allowed() -> None:
    _VALIDATOR.validate(_filled())
