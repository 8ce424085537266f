"""kstatus, the library that Flux and Helm 4 wait with, judges every EvsJob right with nothing configured."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from evs_operator.api.reasons import ConnectionReason
from evs_operator.core.connection_status import connection_status
from support.contract import CONTRACT, history
from support.histories import STEPS, T0, Step
from support.judges import ArgoCD, Kstatus
from support.states import GoldenState, golden_states

_STATES = list(golden_states())


@pytest.mark.parametrize("state", _STATES, ids=lambda state: state.name)
def test_kstatus_says_of_a_golden_state_what_the_contract_says(kstatus: Kstatus, state: GoldenState) -> None:
    assert kstatus.judge(state.manifest).status == CONTRACT[state.row].kstatus


def test_kstatus_gives_the_message_that_a_person_needs(kstatus: Kstatus) -> None:
    """Helm and Flux print it where they give up."""
    failed = next(state for state in _STATES if state.name == "job-failed-batch")
    ready = next(c for c in failed.manifest["status"]["conditions"] if c["type"] == "Ready")
    assert kstatus.judge(failed.manifest).message == ready["message"]


@settings(
    max_examples=100,
    suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture],
)
@given(STEPS)
def test_kstatus_is_right_after_every_step_of_any_history(kstatus: Kstatus, steps: list[Step]) -> None:
    for manifest, row in history(steps):
        assert kstatus.judge(manifest).status == CONTRACT[row].kstatus, row


@pytest.mark.parametrize("reason", ConnectionReason)
def test_a_connection_is_current_once_the_cloud_accepted_its_credential(
    kstatus: Kstatus, argo: ArgoCD, reason: ConnectionReason
) -> None:
    """One that heals by itself is waited for; one that needs a person fails at once. Argo CD says the same."""
    status = connection_status(reason, "so it is", generation=2, previous=[], now=T0)
    true = {condition["type"] for condition in status["conditions"] if condition["status"] == "True"}
    wanted = ("InProgress", "Progressing")
    if true & {"Ready", "Stalled"}:
        wanted = ("Current", "Healthy") if "Ready" in true else ("Failed", "Degraded")
    for generation, expected in ((2, wanted), (3, ("InProgress", "Progressing"))):
        manifest = {
            "apiVersion": "evs-operator.dev/v1alpha1",
            "kind": "EvsConnection",
            "metadata": {"name": "default", "namespace": "ns", "generation": generation},
            "spec": {"endpoint": "https://evs.eu-de.otc.t-systems.com"},
            "status": dict(status),
        }
        assert (kstatus.judge(manifest).status, argo.health(manifest).status) == expected
