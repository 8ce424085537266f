"""kstatus and Argo CD are right about a live EvsJob at every moment of a long life, with nothing configured."""

from __future__ import annotations

import threading
from pathlib import Path

from support import states
from support.contract import CONTRACT
from support.jobs import batch, body, sub
from support.judges import ArgoCD, Kstatus
from support.operator_process import Objects, start_operator
from support.scripted_cloud import ScriptedCloud

A, B, C = "a" * 32, "b" * 32, "c" * 32
FAST = {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}


class _Readers:
    """Both tools, asked of the object that the API server gives."""

    def __init__(self, objects: Objects, kstatus: Kstatus, argo: ArgoCD) -> None:
        self._objects, self._kstatus, self._argo = objects, kstatus, argo

    def agree_on(self, row: str) -> None:
        """Compare with the row of the contract."""
        live = self._objects.get("evsjob", "job")
        seen = (self._kstatus.judge(live).status, self._argo.health(live).status)
        assert seen == (CONTRACT[row].kstatus, CONTRACT[row].argo), live


def test_readers_are_right_from_before_the_operator_runs_until_after_the_job_id_changed(
    operator_kubeconfig: Path, cloud: ScriptedCloud, objects: Objects, kstatus: Kstatus, argo: ArgoCD
) -> None:
    readers = _Readers(objects, kstatus, argo)
    cloud.put(A, {**body("INIT"), "job_id": A})
    objects.connect(cloud.url)
    objects.add_job("job", A, polling=FAST)
    readers.agree_on(states.CREATED)

    with start_operator(operator_kubeconfig, "--namespace", objects.namespace, "--allow-endpoint", cloud.url):
        objects.wait_reason("job", "JobInitializing")
        readers.agree_on(states.IN_PROGRESS)
        cloud.put(A, {**body("RUNNING"), "job_id": A})
        objects.wait_reason("job", "JobRunning")
        readers.agree_on(states.IN_PROGRESS)
        cloud.put(A, b'{"error":{"message":"busy","code":"EVS.5503"}}', 503)
        objects.wait_reason("job", "ServerError")
        readers.agree_on(states.UNSEEN)
        cloud.put(A, {**body("RUNNING"), "job_id": A})
        objects.wait_reason("job", "JobRunning", timeout=60)

        cloud.tokens = {"a-new-token"}
        objects.wait_reason("job", "Unauthorized")
        readers.agree_on(states.ACTION_REQUIRED)
        objects.connect(cloud.url, token="a-new-token")
        objects.wait_reason("job", "JobRunning")
        readers.agree_on(states.IN_PROGRESS)

        objects.add_job("job", A, polling=FAST, suspend=True)
        objects.wait_reason("job", "Suspended")
        readers.agree_on(states.SUSPENDED)
        cloud.put(A, {**body("SUCCESS"), "job_id": A})
        objects.add_job("job", A, polling=FAST, suspend=False)
        objects.wait_reason("job", "JobSucceeded")
        readers.agree_on(states.SUCCEEDED)

        gate = threading.Event()
        cloud.put(B, {**body("FAIL"), "job_id": B}, gate=gate)
        objects.add_job("job", B, polling=FAST)
        cloud.wait_for_call(B)
        readers.agree_on(states.OUTDATED)
        gate.set()
        objects.wait_reason("job", "JobFailed")
        readers.agree_on(states.FAILED)
        cloud.put(C, {**batch("SUCCESS", sub(1, "SUCCESS"), sub(2, "FAIL")), "job_id": C})
        objects.add_job("job", C, polling=FAST)
        objects.wait_reason("job", "SubJobFailed")
        readers.agree_on(states.FAILED)
