"""What an API server does on its bad days, and what of it a user may see: nothing lost, nothing forgotten, no storm."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controlplane import ControlPlane, Fault, FaultProxy
from support.jobs import body
from support.operator_process import Objects, OperatorProcess, custom, eventually, start_operator
from support.scripted_cloud import ScriptedCloud

pytestmark = pytest.mark.controlplane
_FAST = {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}
_JOBS = 20


@pytest.fixture
def proxy(crds: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy.start(crds) as proxy:
        yield proxy


@pytest.fixture
def operator(
    operator_kubeconfig: Path, namespace: str, cloud: ScriptedCloud, proxy: FaultProxy, objects: Objects
) -> Iterator[OperatorProcess]:
    """Give an operator that reaches the API server through the proxy, and its connection."""
    objects.connect(cloud.url)
    config = proxy.kubeconfig(operator_kubeconfig)
    with start_operator(config, "--namespace", namespace, "--allow-endpoint", cloud.url) as operator:
        yield operator


def _job_id(number: int) -> str:
    return f"{number:032x}"


def _turn(cloud: ScriptedCloud, status: str, **fields: object) -> None:
    for number in range(_JOBS):
        cloud.put(_job_id(number), {**body(status, **fields), "job_id": _job_id(number)})


def _add_jobs(objects: Objects) -> None:
    objects.apply(*(custom("EvsJob", f"job-{n}", jobId=_job_id(n), polling=_FAST) for n in range(_JOBS)))


def _all_say(objects: Objects, word: str, timeout: float) -> None:
    eventually(
        lambda: all(job.get("status", {}).get("jobStatus") == word for job in objects.jobs().values()),
        timeout,
        lambda: json.dumps({name: job.get("status", {}).get("jobStatus") for name, job in objects.jobs().items()}),
    )


@pytest.mark.parametrize("status", [404, 503])
def test_jobs_that_end_while_statuses_are_refused_for_ten_seconds_are_all_told(
    operator: OperatorProcess, objects: Objects, cloud: ScriptedCloud, proxy: FaultProxy, status: int
) -> None:
    _turn(cloud, "RUNNING")
    _add_jobs(objects)
    _all_say(objects, "RUNNING", 30)
    proxy.fail(Fault(verb="patch", path="/status", status=status))
    proxy.fail(Fault(verb="get", path="/evsjobs/", status=status))
    _turn(cloud, "SUCCESS", end_time="2026-02-03T09:15:09.402Z")
    time.sleep(10)
    proxy.heal()
    _all_say(objects, "SUCCESS", 60)
    refusals = [line for line in operator.log.splitlines() if "WARNING" in line.upper() and "EvsJob" in line]
    assert len(refusals) <= 5, refusals


def test_a_watch_that_is_answered_and_ends_at_once_makes_no_storm_and_is_told(
    operator: OperatorProcess, objects: Objects, cloud: ScriptedCloud, proxy: FaultProxy
) -> None:
    proxy.fail(Fault(verb="watch", path="/evsjobs", status=204))
    proxy.cut_watches("/evsjobs")
    before = len(proxy.journal)
    time.sleep(10)
    asked = [seen for seen in proxy.journal[before:] if seen.verb == "watch" and "/evsjobs" in seen.path]
    assert 2 <= len(asked) <= 10
    assert "watch of evsjobs" in operator.log
    assert "evs_operator_watch_restarts_total 0.0" not in operator.http("/metrics")[1]
    proxy.heal()
    cloud.put(_job_id(0), {**body("RUNNING"), "job_id": _job_id(0)})
    objects.add_job("later", _job_id(0))
    objects.wait_job("later", lambda status: status.get("jobStatus") == "RUNNING", 20)


def test_a_list_that_is_answered_with_something_else_forgets_no_job(
    operator: OperatorProcess, objects: Objects, cloud: ScriptedCloud, proxy: FaultProxy
) -> None:
    _turn(cloud, "RUNNING")
    _add_jobs(objects)
    _all_say(objects, "RUNNING", 30)
    proxy.fail(Fault(verb="list", path="/evsjobs", status=200))
    proxy.expire_watches("/evsjobs")
    proxy.wait_for(lambda journal: sum(1 for s in journal if s.verb == "list" and "/evsjobs" in s.path) > 3)
    proxy.heal()
    _turn(cloud, "SUCCESS", end_time="2026-02-03T09:15:09.402Z")
    _all_say(objects, "SUCCESS", 60)


@pytest.mark.parametrize("what", ["evs-operator.dev/requestedAt", "label"])
def test_the_end_of_an_evsjob_that_somebody_changes_all_the_time_is_told_within_ten_seconds(
    operator: OperatorProcess, objects: Objects, cloud: ScriptedCloud, crds: ControlPlane, what: str
) -> None:
    cloud.put(_job_id(0), {**body("RUNNING"), "job_id": _job_id(0)})
    objects.add_job("busy", _job_id(0), polling=_FAST)
    objects.wait_job("busy", lambda status: status.get("jobStatus") == "RUNNING")
    rate, field = (12, "annotations") if what != "label" else (47, "labels")
    with _changing(crds, objects.namespace, "busy", field, what, rate):
        time.sleep(3)
        done = {**body("SUCCESS", end_time="2026-02-03T09:15:09.402Z"), "job_id": _job_id(0)}
        cloud.put(_job_id(0), done)
        objects.wait_job("busy", lambda status: status.get("jobStatus") == "SUCCESS", 10)


_CHANGER = """
import http.client, json, ssl, sys, time
host, port, ca, authorization, path, field, name, rate = sys.argv[1:]
link = http.client.HTTPSConnection(host, int(port), context=ssl.create_default_context(cafile=ca))
headers = {"Authorization": authorization, "Content-Type": "application/merge-patch+json"}
start, number = time.monotonic(), 0
while True:
    number += 1
    body = json.dumps({"metadata": {field: {name: f"v{number}"}}})
    link.request("PATCH", path, body, headers)
    link.getresponse().read()
    time.sleep(max(start + number / float(rate) - time.monotonic(), 0))
"""


@contextmanager
def _changing(plane: ControlPlane, namespace: str, name: str, field: str, key: str, rate: int) -> Iterator[None]:
    """Change an object so often a second until the end of the block."""
    config = json.loads(plane.admin_kubeconfig.read_text())
    host, _, port = plane.server.removeprefix("https://").partition(":")
    token = config["users"][0]["user"]["token"]
    path = f"/apis/evs-operator.dev/v1alpha1/namespaces/{namespace}/evsjobs/{name}"
    words = [host, port, str(plane.ca_file), f"Bearer {token}", path, field, key, str(rate)]
    with subprocess.Popen([sys.executable, "-c", _CHANGER, *words]) as process:
        try:
            yield
            assert process.poll() is None, "it ended by itself"
        finally:
            process.kill()
