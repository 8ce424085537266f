"""`docs/status-table.md`: what each tool makes of every state, from the tools themselves on the real API server.

Every golden EvsJob is stored with its status, read back, and shown to kstatus and Argo CD's scripts; `kubectl wait`
waits for each condition. All that a row holds must agree with each other and with the contract.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from controlplane import ControlPlane
from support.contract import CONTRACT, WAITS, Contract
from support.judges import ArgoCD, Kstatus
from support.operator_process import ROOT
from support.states import ROWS, GoldenState, golden_states

_TABLE = ROOT / "docs" / "status-table.md"
_STATES = list(golden_states())
_HEAD = """\
# What each tool makes of an EvsJob

Made by a test from the tools themselves: `kstatus` is the library with which Flux and Helm 4 wait, Argo CD is its Lua
interpreter with the [scripts of this repository](../argocd/README.md), `kubectl wait` is the real one against a real
kube-apiserver. Each row was tried with every EvsJob of that state in `tests/golden/states/`.

| state | kstatus (Flux, Helm 4) | Argo CD | `kubectl wait --for=condition=…` returns for | as a Job of `batch/v1` |
|---|---|---|---|---|
"""
_FOOT = """
- A suspended EvsJob is Healthy for Argo CD where it has the annotation `argocd.argoproj.io/sync-wave` or
  `argocd.argoproj.io/hook`: a sync would wait for ever, see [gitops.md](gitops.md).
- The last row lasts from the edit until the first answer for the new job id: no tool takes the old result for the new
  one's.
- The last column is what code sees that was written for a Job: the first of the conditions `Complete`, `Failed` and
  `Suspended` that is True, and otherwise a Job that is active.
"""


@pytest.fixture
def stored(crds: ControlPlane, namespace: str) -> dict[str, dict[str, Any]]:
    """Store every golden EvsJob, its generation and its status included; return what the API server gives, by name."""
    for number in range(max(_generation(state) for state in _STATES)):
        _apply(crds, namespace, [state for state in _STATES if _generation(state) > number], number)
    statuses = [_object(state, spec=_spec(state), status=state.manifest["status"]) for state in _STATES]
    arguments = ("apply", "--server-side", "--field-manager=test", "--subresource=status", "-n", namespace, "-f", "-")
    crds.kubectl(*arguments, input=json.dumps({"apiVersion": "v1", "kind": "List", "items": statuses}))
    items = json.loads(crds.kubectl("get", "evsjobs", "-n", namespace, "-o", "json").stdout)["items"]
    return {item["metadata"]["name"]: item for item in items}


def _apply(plane: ControlPlane, namespace: str, some: list[GoldenState], number: int) -> None:
    """Write the specs once more, changed, so that the API server counts a generation."""
    items = [
        _object(state, spec={**_spec(state), "deadlineSeconds": _generation(state) - number + 3600}) for state in some
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    plane.kubectl("apply", "--server-side", "-n", namespace, "-f", "-", input=listed)


def _spec(state: GoldenState) -> dict[str, Any]:
    return {"jobId": state.manifest["spec"]["jobId"], "suspend": state.manifest["spec"]["suspend"]}


def _object(state: GoldenState, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "evs-operator.dev/v1alpha1", "kind": "EvsJob", "metadata": {"name": state.name}, **fields}


def _generation(state: GoldenState) -> int:
    return int(state.manifest["metadata"]["generation"])


def _waits(plane: ControlPlane, namespace: str) -> dict[str, set[str]]:
    """Return for which conditions `kubectl wait` returns at once, by the name of the EvsJob."""

    def wait(condition: str) -> str:
        arguments = ("wait", "-n", namespace, f"--for=condition={condition}", "--timeout=0", "evsjobs", "--all")
        return plane.kubectl(*arguments, check=False).stdout

    met: dict[str, set[str]] = {}
    with ThreadPoolExecutor(len(WAITS)) as threads:
        for condition, said in zip(WAITS, threads.map(wait, WAITS), strict=True):
            for line in said.splitlines():
                met.setdefault(line.split()[0].split("/")[1], set()).add(condition)
    return met


def _as_job(live: Mapping[str, Any]) -> str:
    """Take the conditions as code does that was written for a Job of batch/v1."""
    true = {c["type"] for c in live["status"].get("conditions", []) if c["status"] == "True"}
    if live["status"].get("observedGeneration") != live["metadata"]["generation"]:
        true = set()
    return next((kind for kind in ("Complete", "Failed", "Suspended") if kind in true), "active")


def test_every_tool_says_of_every_state_what_the_contract_says_and_the_table_shows_it(
    stored: dict[str, dict[str, Any]], crds: ControlPlane, namespace: str, kstatus: Kstatus, argo: ArgoCD
) -> None:
    waits = _waits(crds, namespace)
    found: dict[str, dict[str, Contract]] = {row: {} for row in ROWS}
    for state in _STATES:
        live = stored[state.name]
        assert live["metadata"]["generation"] == _generation(state)
        found[state.row][state.name] = Contract(
            kstatus.judge(live).status,
            argo.health(live).status,
            frozenset(waits.get(state.name, set())),
            _as_job(live),
        )
    assert found == {row: dict.fromkeys(seen, CONTRACT[row]) for row, seen in found.items()}
    text = _HEAD + "".join(_line(row, next(iter(seen.values()))) for row, seen in found.items()) + _FOOT
    if os.environ.get("GOLDEN_UPDATE"):
        _TABLE.write_text(text, encoding="utf-8")
    assert text == _TABLE.read_text(encoding="utf-8"), "GOLDEN_UPDATE=1 writes it anew"


def _line(row: str, seen: Contract) -> str:
    waits = ", ".join(f"`{condition}`" for condition in WAITS if condition in seen.waits) or "none"
    return f"| {row} | {seen.kstatus} | {seen.argo} | {waits} | {seen.job} |\n"
