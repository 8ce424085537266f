"""The API server's own audit log tells what the operator did: one status write per change, two Events per job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from controlplane import ControlPlane
from support.jobs import body
from support.operator_process import ROOT, Objects, custom, eventually, operator_rules, start_operator
from support.scripted_cloud import ScriptedCloud, scripted_cloud

JOBS = 200
_ACCOUNT = "system:serviceaccount:evs-operator:evs-operator"
pytestmark = pytest.mark.controlplane


@pytest.fixture(scope="module")
def audited() -> Iterator[ControlPlane]:
    """Give a control plane of its own, with an audit log."""
    with ControlPlane.start(audit=True) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
        yield plane


def _requests(plane: ControlPlane) -> Counter[tuple[str, str, str]]:
    """Count the operator's requests on objects of our group by verb, resource and subresource."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for event in plane.audit_events():
        user, ref = event.get("user"), event.get("objectRef")
        if isinstance(user, dict) and isinstance(ref, dict) and user.get("username") == _ACCOUNT:
            counted[str(event["verb"]), str(ref.get("resource")), str(ref.get("subresource", ""))] += 1
    return counted


def _turn(cloud: ScriptedCloud, status: str, **fields: object) -> None:
    for number in range(JOBS):
        job_id = f"{number:032x}"
        cloud.put(job_id, {**body(status, **fields), "job_id": job_id})


def test_two_hundred_jobs_cost_three_status_writes_and_two_events_each_and_nothing_else(audited: ControlPlane) -> None:
    kubeconfig = audited.kubeconfig_for("evs-operator", "evs-operator", [], cluster_rules=operator_rules())
    audited.kubectl("create", "namespace", "audited")
    objects = Objects(audited, "audited")
    with scripted_cloud() as cloud, start_operator(kubeconfig, "--allow-endpoint", cloud.url):
        objects.connect(cloud.url)
        objects.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "evsconnection/default")
        _turn(cloud, "INIT", entities={})
        fast = {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}
        jobs = [custom("EvsJob", f"job-{n}", jobId=f"{n:032x}", polling=fast) for n in range(JOBS)]
        objects.apply(*jobs)

        def all_say(word: str) -> bool:
            said = Counter(job.get("status", {}).get("jobStatus") for job in objects.jobs().values())
            return said[word] == JOBS

        eventually(lambda: all_say("INIT"), 120)
        _turn(cloud, "RUNNING")
        eventually(lambda: all_say("RUNNING"), 120)
        _turn(cloud, "SUCCESS", end_time="2026-02-03T09:15:09.402Z")
        eventually(lambda: all_say("SUCCESS"), 120)
        accepted_started_ended = 1 + 2 * JOBS
        eventually(lambda: _requests(audited)["create", "events", ""] == accepted_started_ended, 120)
        done = _requests(audited)
        time.sleep(4)  # two polls' worth of silence
        calls = sum(cloud.calls[f"{n:032x}"] for n in range(JOBS))
        after = _requests(audited)
        assert calls == sum(cloud.calls[f"{n:032x}"] for n in range(JOBS))
    assert done["patch", "evsjobs", "status"] == 3 * JOBS
    writes = {key: n for key, n in done.items() if key[0] in ("create", "update", "patch", "delete")}
    asking = ("create", "selfsubjectaccessreviews", "")
    expected = {("patch", "evsjobs", "status"), ("patch", "evsconnections", "status"), asking, ("create", "events", "")}
    assert writes.keys() <= expected
    assert done["get", "evsjobs", ""] == 0

    # an idle connection's Secret is looked at every ten seconds, and a watch lives for half a minute;
    # all else is silent
    def asked(seen: Counter[tuple[str, str, str]]) -> dict[tuple[str, str, str], int]:
        return {key: n for key, n in seen.items() if key[0] != "watch" and key != ("get", "secrets", "")}

    assert asked(after) == asked(done)
    assert not any("metadata" in job and job["metadata"].get("finalizers") for job in objects.jobs().values())
