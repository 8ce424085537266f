"""etcd restored from a copy: what was written since is written again, what was deleted since is followed again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controlplane import ControlPlane
from support.deployed import DEPLOY, NAMESPACE, SERVICE_ACCOUNT
from support.jobs import body
from support.operator_process import Objects, condition, eventually, install_crds, start_operator
from support.scripted_cloud import ScriptedCloud

pytestmark = pytest.mark.controlplane


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    """Give a control plane of the test's own: its etcd is put back in time."""
    with ControlPlane.start() as plane:
        install_crds(plane)
        yield plane


def job_id(name: str) -> str:
    return name.encode().hex().ljust(32, "0")


def test_every_result_is_told_again_and_new_objects_are_seen_at_once(plane: ControlPlane, cloud: ScriptedCloud) -> None:
    for name in ("namespace.yaml", "rbac.yaml"):
        plane.kubectl("apply", "-f", str(DEPLOY / name))
    kubeconfig = plane.kubeconfig_of(NAMESPACE, SERVICE_ACCOUNT)
    plane.kubectl("create", "namespace", "team-a")
    objects = Objects(plane, "team-a")
    fast = {"minIntervalSeconds": 1, "maxIntervalSeconds": 2}

    def answer(name: str, status: str) -> None:
        cloud.put(job_id(name), {**body(status), "job_id": job_id(name)})

    def add(name: str, status: str) -> None:
        answer(name, status)
        objects.add_job(name, job_id(name), polling=fast)

    with start_operator(kubeconfig, "--namespace", "team-a", "--allow-endpoint", cloud.url) as operator:
        objects.connect(cloud.url)
        for name in ("ends-after-the-copy", "runs-on", "deleted-after-the-copy"):
            add(name, "RUNNING")
        add("ended-before", "SUCCESS")
        objects.wait_reason("ended-before", "JobSucceeded")
        for name in ("ends-after-the-copy", "runs-on", "deleted-after-the-copy"):
            objects.wait_reason(name, "JobRunning")
        plane.save()
        answer("ends-after-the-copy", "SUCCESS")
        objects.wait_reason("ends-after-the-copy", "JobSucceeded", 60)
        objects.kubectl("delete", "evsjob", "deleted-after-the-copy")
        for number in range(60):  # so that the lost versions are many
            objects.kubectl("annotate", "evsjob", "runs-on", f"example.com/n={number}", "--overwrite")
        add("created-after-the-copy", "SUCCESS")
        objects.wait_reason("created-after-the-copy", "JobSucceeded")
        plane.restore()
        answer("runs-on", "SUCCESS")
        answer("deleted-after-the-copy", "SUCCESS")
        add("created-after-the-restore", "SUCCESS")
        objects.wait_reason("created-after-the-restore", "JobSucceeded", 45)
        for name in ("ends-after-the-copy", "runs-on", "deleted-after-the-copy"):
            objects.wait_reason(name, "JobSucceeded", 60)
        assert condition(objects.get("evsjob", "ended-before")["status"], "Ready")["reason"] == "JobSucceeded"
        eventually(lambda: operator.http("/readyz")[0] == 200, 40)
        assert "overwritten" not in operator.log
