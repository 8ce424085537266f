"""`kubectl evsjob` against a real API server: what it makes and changes, with which rights, and what it says else."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane import ControlPlane
from support.operator_process import eventually
from support.plugin import PROGRAM, Plugin

pytestmark = pytest.mark.controlplane
_ROOT = Path(__file__).parents[2]
_STATES = _ROOT / "tests" / "golden" / "states"
_PIPELINE = _ROOT / "examples" / "plugin"
_ID = "ff80808292ab11f50193d0c1a5e40b17"


def status(name: str) -> dict[str, Any]:
    """Return the status of a golden state."""
    return dict(json.loads((_STATES / f"{name}.json").read_text())["status"])


@pytest.fixture
def plugin(crds: ControlPlane, namespace: str) -> Plugin:
    """Give the plugin in a namespace of the test's own."""
    return Plugin(crds, namespace)


def test_made_twice_it_is_one_evsjob_and_another_job_does_not_take_its_name(plugin: Plugin) -> None:
    answer = json.dumps({"job_id": _ID.upper()})
    assert plugin.run("create", "-f", "-", input=answer).stdout == f"evsjob.evs-operator.dev/{_ID} created\n"
    assert plugin.run("create", "-f", "-", input=answer).stdout == f"evsjob.evs-operator.dev/{_ID} unchanged\n"
    other = plugin.run("create", _ID, "--job-id", "another-job")
    assert (other.returncode, other.stdout) == (2, "")
    assert "is there already, with another job id" in other.stderr


def test_a_dry_run_is_what_kubectl_applies(plugin: Plugin) -> None:
    flags = ["--connection", "cluster/shared", "--deadline", "15m", "--label", "app=db"]
    manifest = plugin.run("create", "data", "--job-id", _ID, *flags, "--dry-run").stdout
    assert plugin.run("get").stderr == f"no EvsJobs found in the namespace {plugin.namespace}\n"
    plugin.plane.kubectl("apply", "-n", plugin.namespace, "-f", "-", input=manifest)
    assert plugin.run("create", "data", "--job-id", _ID, *flags).stdout.endswith("unchanged\n")


def test_get_reads_names_labels_states_and_all_namespaces(plugin: Plugin) -> None:
    for name, state in (("good", "job-succeeded"), ("bad", "job-failed"), ("stuck", "unauthorized")):
        plugin.create(name, labels={"app": name})
        plugin.write(name, status(state))

    def names(*words: str) -> list[str]:
        return [line.rpartition("/")[2] for line in plugin.run("get", *words, "-o", "name").stdout.splitlines()]

    assert names() == ["bad", "good", "stuck"]
    assert names("good", "evsjob.evs-operator.dev/bad") == ["good", "bad"]
    assert names("-l", "app in (good, stuck)") == ["good", "stuck"]
    assert names("--state", "failed,ActionRequired") == ["bad", "stuck"]
    assert {"bad", "good", "stuck"} <= set(names("-A"))
    partly = plugin.run("get", "good", "missing")
    assert partly.returncode == 4
    assert partly.stdout.splitlines()[1].startswith("good ")
    assert partly.stderr == f"error: there is no EvsJob missing in the namespace {plugin.namespace}\n"
    assert yaml.safe_load(plugin.run("get", "bad", "-o", "yaml").stdout) == json.loads(
        plugin.run("get", "bad", "-o", "json").stdout
    )
    wide = plugin.run("get", "good", "-o", "wide", "--no-headers").stdout
    assert _ID in wide
    assert "NAME" not in wide


def test_suspend_resume_and_reconcile_change_what_they_say(plugin: Plugin) -> None:
    plugin.create("job")
    name = "evsjob.evs-operator.dev/job"
    assert plugin.run("suspend", "job").stdout == f"{name} suspended\n"
    assert plugin.run("suspend", "job").stdout == f"{name} is suspended already\n"
    done = plugin.run("reconcile", "job")
    assert (done.stdout, done.stderr) == (
        f"{name} reconcile requested\n",
        "job is suspended and will be asked for once it is resumed\n",
    )
    assert plugin.run("resume", "-l", "no=such").returncode == 4
    assert plugin.run("resume", "job").stdout == f"{name} resumed\n"
    obj = json.loads(plugin.run("get", "job", "-o", "json").stdout)
    assert obj["spec"]["suspend"] is False
    assert obj["metadata"]["annotations"]["evs-operator.dev/requestedAt"]


def test_explain_and_timeline_read_events_and_the_connection(plugin: Plugin) -> None:
    obj = plugin.create("job")
    plugin.write("job", status("unauthorized"))
    connection = {
        "apiVersion": "evs-operator.dev/v1alpha1",
        "kind": "EvsConnection",
        "metadata": {"name": "default", "namespace": plugin.namespace},
        "spec": {"endpoint": "https://evs.eu-de.otc.t-systems.com", "auth": {"token": {"secretRef": {"name": "x"}}}},
    }
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "job.1", "namespace": plugin.namespace},
        "eventTime": "2026-02-03T09:15:02.000000Z",
        "reportingController": "evs-operator.dev/evs-operator",
        "reportingInstance": "test",
        "action": "ActionRequired",
        "reason": "Unauthorized",
        "type": "Warning",
        "note": "the credential is refused",
        "regarding": {
            "apiVersion": "evs-operator.dev/v1alpha1",
            "kind": "EvsJob",
            "name": "job",
            "namespace": plugin.namespace,
            "uid": obj["metadata"]["uid"],
        },
    }
    plugin.plane.kubectl("create", "-f", "-", input=json.dumps(connection))
    plugin.plane.kubectl("create", "-f", "-", input=json.dumps(event))
    text = plugin.run("explain", "job").stdout
    assert "▲ job needs a person; the job itself may go on" in text
    assert "EvsConnection default: not ready" in text
    assert "Unauthorized: the credential is refused" in text
    assert f"    kubectl describe evsconnection default -n {plugin.namespace}" in text
    assert "Unauthorized: the credential is refused" in plugin.run("timeline", "job").stdout
    plugin.delete("job")
    plugin.create("job")  # the Events of a namesake are not its own
    assert "the credential is refused" not in plugin.run("explain", "job").stdout


def test_a_pipeline_needs_the_three_verbs_of_the_example_and_no_more(plugin: Plugin) -> None:
    manifests = (_PIPELINE / "rbac.yaml").read_text()
    rules = next(each["rules"] for each in yaml.safe_load_all(manifests) if each["kind"] == "Role")
    assert rules == [{"apiGroups": ["evs-operator.dev"], "resources": ["evsjobs"], "verbs": ["create", "get", "watch"]}]
    plugin.create("there")
    for left_out in ("", *rules[0]["verbs"]):
        allowed = [{**rules[0], "verbs": [verb for verb in rules[0]["verbs"] if verb != left_out]}]
        account = f"without-{left_out}" if left_out else "pipeline"
        kubeconfig = plugin.plane.kubeconfig_for(plugin.namespace, account, allowed)
        limited = Plugin(plugin.plane, plugin.namespace, kubeconfig)
        name = f"job-{account}"
        threading.Thread(target=_succeed, args=(plugin, name), daemon=True).start()
        done = limited.run("create", name, "--job-id", _ID, "--wait", "--timeout", "60s")
        if not left_out:
            assert (done.returncode, done.stderr.count("permission")) == (0, 0), done.stderr
            assert limited.run("create", name, "--job-id", _ID).stdout.endswith("unchanged\n")
        elif left_out == "watch":  # it asks again and again instead, and says so: see the next test
            assert done.returncode == 0
        else:
            assert f"may not {left_out} evsjobs in the namespace {plugin.namespace}" in done.stderr
            assert done.returncode == 2


def _succeed(plugin: Plugin, name: str) -> None:
    """Write the end of a job once it is there; one that may not be made never is."""

    def there() -> bool:
        return plugin.plane.kubectl("get", "evsjob", name, "-n", plugin.namespace, check=False).returncode == 0

    try:
        eventually(there, 15)
    except AssertionError:
        return
    plugin.write(name, status("job-succeeded"))


def test_where_the_watch_is_forbidden_a_wait_asks_again_and_says_so(plugin: Plugin) -> None:
    rules = [{"apiGroups": ["evs-operator.dev"], "resources": ["evsjobs"], "verbs": ["get"]}]
    kubeconfig = plugin.plane.kubeconfig_for(plugin.namespace, "reader", rules)
    plugin.create("job")
    process = Plugin(plugin.plane, plugin.namespace, kubeconfig).start("wait", "job")
    assert process.stderr is not None
    assert "Pending" in process.stderr.readline()
    assert "may not watch evsjobs in the namespace" in process.stderr.readline()
    plugin.write("job", status("job-succeeded"))
    _, err = process.communicate(timeout=30)
    assert (process.returncode, "permission" in err) == (0, False)


def test_kubectl_itself_finds_the_plugin_and_hands_its_exit_code_on(plugin: Plugin, tmp_path: Path) -> None:
    script = tmp_path / "kubectl-evsjob"
    script.write_text(f'#!/bin/sh\nexec {" ".join(PROGRAM)} "$@"\n')
    script.chmod(0o755)
    world = {**plugin.environment, "PATH": f"{tmp_path}{os.pathsep}{plugin.environment['PATH']}"}
    command = [str(plugin.plane.binaries.kubectl), "evsjob", "wait", "missing", "-n", plugin.namespace]
    done = subprocess.run(command, env=world, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("error: there is no EvsJob missing")
