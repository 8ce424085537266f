"""The files of `argocd/` that follow from others: what Argo CD's own tests read, and the patch of `argocd-cm`.

`argocd/resource_customizations` has Argo CD's own layout, so that it can be offered there as it is. Its `testdata` are
golden EvsJobs, and `argocd-cm.yaml` is its scripts in one ConfigMap: `generated` returns what those files have to
hold, and GOLDEN_UPDATE=1 makes the test write it.
"""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from evs_operator.api.reasons import ConnectionReason
from evs_operator.core.connection_status import connection_status

from .contract import CONTRACT
from .crds import default_status
from .histories import T0
from .judges import CUSTOMIZATIONS
from .states import CREATED, OUTDATED, golden_states

ROOT: Final = CUSTOMIZATIONS.parent
GROUP: Final = CUSTOMIZATIONS / "evs-operator.dev"
CONFIG_MAP: Final = ROOT / "argocd-cm.yaml"
POLLED_AT: Final = "2026-02-03T09:16:00Z"
"""Stands in the expected output of the action `reconcile` for the time of the click."""

_HEALTH: Final = (
    "created",
    "job-running",
    "server-error",
    "unauthorized",
    "deadline-exceeded",
    "job-succeeded",
    "succeeded-then-job-id-changed",
    "job-succeeded-then-suspended",
    "job-failed-batch",
    "sub-job-failed",
    "suspended",
)
_CONNECTIONS: Final = {
    "not-yet-verified": (ConnectionReason.NOT_YET_VERIFIED, "no call was made yet"),
    "credentials-valid": (ConnectionReason.CREDENTIALS_VALID, "the cloud accepted the credential"),
    "secret-not-found": (ConnectionReason.SECRET_NOT_FOUND, "Secret team-a/evs-credentials does not exist: create it"),
    "unreachable": (ConnectionReason.UNREACHABLE, "evs.eu-de.otc.t-systems.com: connection refused"),
}
_HEAD: Final = """\
# Argo CD shows EvsJobs and connections as they are, and offers to poll, suspend and resume an EvsJob:
#   kubectl patch configmap argocd-cm -n argocd --patch-file argocd/argocd-cm.yaml
# Made from the scripts in resource_customizations/; edit those.
data:
"""


@cache
def generated() -> dict[Path, str]:
    """Return what every file that follows from others has to hold."""
    return {CONFIG_MAP: config_map(), **dict(_job_data()), **dict(_connection_data())}


def config_map() -> str:
    """Return the patch of Argo CD's ConfigMap that holds the scripts."""
    text = _HEAD
    for script in sorted(GROUP.glob("*/health.lua")):
        text += _block(f"resource.customizations.health.{GROUP.name}_{script.parent.name}", script.read_text(), 2)
    for discovery in sorted(GROUP.glob("*/actions/discovery.lua")):
        actions = _block("discovery.lua", discovery.read_text(), 0) + "definitions:\n"
        for script in sorted(discovery.parent.glob("*/action.lua")):
            actions += f"  - name: {script.parent.name}\n" + _block("action.lua", script.read_text(), 4)
        kind = discovery.parents[1].name
        text += _block(f"resource.customizations.actions.{GROUP.name}_{kind}", actions, 2)
    return text


def _block(key: str, text: str, indent: int) -> str:
    return textwrap.indent(f"{key}: |\n" + textwrap.indent(text, "  "), " " * indent)


def _job_data() -> Iterator[tuple[Path, str]]:
    states = {state.name: state.manifest for state in golden_states()}
    health, actions = GROUP / "EvsJob" / "testdata", GROUP / "EvsJob" / "actions" / "testdata"
    for name in _HEALTH:
        yield health / f"{name}.yaml", _dump(states[name])
    waved = _with(states["suspended"], "metadata", annotations={"argocd.argoproj.io/sync-wave": "1"})
    yield health / "suspended-in-a-wave.yaml", _dump(waved)
    yield health.parent / "health_test.yaml", _dump({"tests": _job_tests()})
    polled = {"evs-operator.dev/requestedAt": f"By Argo CD at: {POLLED_AT}"}
    for name, manifest in {
        "running": states["job-running"],
        "running-polled": _with(states["job-running"], "metadata", annotations=polled),
        "running-suspended": _with(states["job-running"], "spec", suspend=True),
        "suspended": states["suspended"],
        "suspended-resumed": _with(states["suspended"], "spec", suspend=False),
        "succeeded": states["job-succeeded"],
    }.items():
        yield actions / f"{name}.yaml", _dump(manifest)


def _job_tests() -> list[dict[str, Any]]:
    rows = {state.name: (state.row, state.manifest["status"]) for state in golden_states()}
    expected = {name: (CONTRACT[rows[name][0]].argo, _message(*rows[name])) for name in _HEALTH}
    expected["suspended-in-a-wave"] = ("Healthy", expected["suspended"][1])
    return [
        {"healthStatus": {"status": status, "message": message}, "inputPath": f"testdata/{name}.yaml"}
        for name, (status, message) in expected.items()
    ]


def _message(row: str, status: Mapping[str, Any]) -> str:
    if row in (CREATED, OUTDATED):
        return "Waiting for evs-operator to look at the job"
    return next(str(c["message"]) for c in status["conditions"] if c["type"] == "Ready")


def _connection_data() -> Iterator[tuple[Path, str]]:
    auth = {"token": {"secretRef": {"name": "evs-credentials"}}}
    spec = {"endpoint": "https://evs.eu-de.otc.t-systems.com", "auth": auth}
    for kind in ("EvsConnection", "ClusterEvsConnection"):
        place = {"namespace": "team-a"} if kind == "EvsConnection" else {}
        metadata = {"name": "default", **place, "generation": 1}
        base = {"apiVersion": "evs-operator.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        created = {**base, "status": default_status(kind)}
        yield GROUP / kind / "testdata" / "created.yaml", _dump(created)
        for name, (reason, message) in _CONNECTIONS.items():
            now = T0 + timedelta(seconds=1)
            status = connection_status(reason, message, generation=1, previous=[], now=now)
            yield GROUP / kind / "testdata" / f"{name}.yaml", _dump({**base, "status": dict(status)})


def _with(manifest: Mapping[str, Any], part: str, **fields: Any) -> dict[str, Any]:
    changed = copy.deepcopy(dict(manifest))
    changed[part].update(fields)
    return changed


def _dump(manifest: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(copy.deepcopy(dict(manifest)), sort_keys=False, width=120, allow_unicode=True))
