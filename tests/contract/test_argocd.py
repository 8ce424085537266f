"""Argo CD shows every EvsJob as the contract says, by the scripts of `argocd/` in the interpreter that Argo CD runs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from support import argocd
from support.contract import CONTRACT, history
from support.histories import STEPS, Step
from support.judges import ArgoCD, Verdict
from support.states import SUSPENDED, GoldenState, golden_states

_KINDS = sorted(path.parent for path in argocd.GROUP.glob("*/health_test.yaml"))
_STATES = list(golden_states())


@pytest.fixture(scope="module", autouse=True)
def _updated() -> None:
    """Write the files that follow from others anew where GOLDEN_UPDATE is set; read them before they are committed."""
    if os.environ.get("GOLDEN_UPDATE"):
        for path, text in argocd.generated().items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _cases(kind: Path, file: str, key: str) -> list[Any]:
    return [pytest.param(kind, case, id=f"{kind.name}-{case['inputPath']}") for case in _read(kind / file)[key]]


@pytest.mark.parametrize(
    ("kind", "case"), [case for kind in _KINDS for case in _cases(kind, "health_test.yaml", "tests")]
)
def test_health_is_what_the_test_file_of_argo_cd_says(argo: ArgoCD, kind: Path, case: dict[str, Any]) -> None:
    assert argo.health(_read(kind / case["inputPath"])) == Verdict(**case["healthStatus"])


@pytest.mark.parametrize(
    ("kind", "case"), _cases(argocd.GROUP / "EvsJob" / "actions", "action_test.yaml", "discoveryTests")
)
def test_actions_are_offered_as_the_test_file_of_argo_cd_says(argo: ArgoCD, kind: Path, case: dict[str, Any]) -> None:
    wanted = {action.pop("name"): action for action in case["result"]}
    assert argo.actions(_read(kind / case["inputPath"])) == wanted


@pytest.mark.parametrize(
    ("kind", "case"), _cases(argocd.GROUP / "EvsJob" / "actions", "action_test.yaml", "actionTests")
)
def test_an_action_changes_what_the_test_file_of_argo_cd_says(argo: ArgoCD, kind: Path, case: dict[str, Any]) -> None:
    made = argo.act(case["action"], _read(kind / case["inputPath"]))
    annotations = made["metadata"].get("annotations", {})
    if case["action"] == "reconcile":
        text = annotations["evs-operator.dev/requestedAt"]
        assert re.fullmatch(r"By Argo CD at: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)
        annotations["evs-operator.dev/requestedAt"] = f"By Argo CD at: {argocd.POLLED_AT}"
    assert made == _read(kind / case["expectedOutputPath"])


def test_an_action_leaves_an_empty_object_of_the_spec_an_object(argo: ArgoCD) -> None:
    running = next(state for state in _STATES if state.name == "job-running").manifest
    with_empty = {**running, "spec": {**running["spec"], "polling": {}}}
    assert argo.act("suspend", with_empty)["spec"] == {**with_empty["spec"], "suspend": True}


@pytest.mark.parametrize("state", _STATES, ids=lambda state: state.name)
def test_argo_cd_says_of_a_golden_state_what_the_contract_says(argo: ArgoCD, state: GoldenState) -> None:
    found = argo.health(state.manifest)
    assert found.status == CONTRACT[state.row].argo
    assert argo.health(state.manifest, built_in=True) == found


@pytest.mark.parametrize("annotation", ["sync-wave", "hook"])
@pytest.mark.parametrize("state", _STATES, ids=lambda state: state.name)
def test_only_a_suspended_job_counts_otherwise_where_a_sync_waits(
    argo: ArgoCD, state: GoldenState, annotation: str
) -> None:
    """A sync goes on from a wave when all in it are Healthy, and fails when one is Degraded: Suspended is neither."""
    metadata = {**state.manifest["metadata"], "annotations": {f"argocd.argoproj.io/{annotation}": "1"}}
    health = argo.health({**state.manifest, "metadata": metadata}).status
    assert health == ("Healthy" if state.row == SUSPENDED else CONTRACT[state.row].argo)


@settings(
    max_examples=100,
    suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture],
)
@given(STEPS)
def test_argo_cd_is_right_after_every_step_of_any_history(argo: ArgoCD, steps: list[Step]) -> None:
    for manifest, row in history(steps):
        assert argo.health(manifest).status == CONTRACT[row].argo, row


@pytest.mark.parametrize("script", ["string.upper('a')", "math.floor(1.5)", "io.open('/etc/passwd')", "os.getenv('A')"])
def test_the_scripts_are_tried_without_the_libraries_that_argo_cd_does_not_open(argo: ArgoCD, script: str) -> None:
    with pytest.raises(AssertionError, match="attempt to index a non-table object"):
        argo.run(f"return {{ {script} }}", {})


@pytest.mark.parametrize(
    "path", list(argocd.generated()), ids=lambda path: str(path.relative_to(argocd.GROUP.parents[1]))
)
def test_a_file_that_follows_from_others_is_as_they_say(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == argocd.generated()[path], "GOLDEN_UPDATE=1 writes it anew"


def test_the_config_map_holds_the_scripts_where_argo_cd_looks_for_them() -> None:
    data = _read(argocd.CONFIG_MAP)["data"]
    for kind in _KINDS:
        health = data.pop(f"resource.customizations.health.evs-operator.dev_{kind.name}")
        assert health == (kind / "health.lua").read_text(encoding="utf-8")
    actions = yaml.safe_load(data.pop("resource.customizations.actions.evs-operator.dev_EvsJob"))
    place = argocd.GROUP / "EvsJob" / "actions"
    assert actions["discovery.lua"] == (place / "discovery.lua").read_text(encoding="utf-8")
    assert {action["name"]: action["action.lua"] for action in actions["definitions"]} == {
        path.parent.name: path.read_text(encoding="utf-8") for path in place.glob("*/action.lua")
    }
    assert data == {}
