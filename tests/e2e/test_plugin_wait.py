"""`kubectl evsjob wait` against a real API server: exit codes, lost streams, deletions; statuses are written here."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from controlplane import ControlPlane, FaultProxy
from support.operator_process import eventually
from support.plugin import Plugin

pytestmark = pytest.mark.controlplane
_STATES = Path(__file__).parents[1] / "golden" / "states"


def status(name: str, **fields: Any) -> dict[str, Any]:
    """Return the status of a golden state."""
    return {**json.loads((_STATES / f"{name}.json").read_text())["status"], **fields}


@pytest.fixture
def plugin(crds: ControlPlane, namespace: str) -> Plugin:
    """Give the plugin in a namespace of the test's own."""
    return Plugin(crds, namespace)


def test_the_exit_code_says_how_it_ended_and_the_last_line_why(plugin: Plugin) -> None:
    ways: list[tuple[list[str], tuple[str, ...], int, str]] = [
        (["job-succeeded"], (), 0, r"good Complete createVolume succeeded in 31.1s$"),
        (["job-failed"], (), 1, r"^failed: bad; to see why: kubectl evsjob explain bad --namespace test-\d+$"),
        (["job-succeeded", "sub-job-failed"], (), 1, r"^failed: half; "),
        (["job-succeeded", "job-succeeded-batch"], (), 0, r"Complete"),
        (["job-succeeded", "unauthorized"], (), 3, r"^a person must act for stuck: HTTP 401 "),
        (["unauthorized"], ("--keep-waiting", "--timeout", "12s"), 124, r"^time over after 12s: stuck has not ended"),
        (
            ["job-succeeded", "job-running"],
            ("--timeout", "1s"),
            124,
            r"^time over after 1s: runs has not ended",
        ),
        (["suspended"], ("--timeout", "1s"), 124, r"^time over after 1s: still "),
    ]
    names = {
        "job-succeeded": "good",
        "job-failed": "bad",
        "sub-job-failed": "half",
        "job-succeeded-batch": "batch",
        "unauthorized": "stuck",
        "job-running": "runs",
        "suspended": "still",
    }
    for state, name in names.items():
        plugin.create(name)
        plugin.write(name, status(state))
    started = [plugin.start("wait", *(names[state] for state in states), *flags) for states, flags, _, _ in ways]
    for process, (states, _, code, cause) in zip(started, ways, strict=True):
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, err
        assert re.search(cause, err.splitlines()[-1])
        roots = [line.split()[1] for line in out.splitlines() if "─" not in line]
        assert roots == [names[state] for state in states]


def test_usage_is_two_and_not_found_is_four(plugin: Plugin) -> None:
    for arguments, code, words in [
        (("wait",), 2, "error: name at least one EvsJob, or a --selector\n"),
        (("wait", "x", "-l", "a=b"), 2, "error: name EvsJobs or a --selector, not both\n"),
        (("wait", "x", "--timeout", "soon"), 2, "'soon' is no duration: write 90s, 10m or 1h30m"),
        (("wait", "x"), 4, f"error: there is no EvsJob x in the namespace {plugin.namespace}\n"),
        (("wait", "-l", "a=b"), 4, f"error: no EvsJob matches a=b in the namespace {plugin.namespace}\n"),
    ]:
        done = plugin.run(*arguments)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)
        assert words in done.stderr


def test_ctrl_c_is_130_and_leaves_the_job_alone(plugin: Plugin) -> None:
    plugin.create("job")
    process = plugin.start("wait", "job", "-o", "json")
    assert process.stderr is not None
    assert "job Pending waiting for the operator" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "interrupted: nobody waits any more, the jobs go on\n")
    assert json.loads(out)["metadata"]["name"] == "job"


def test_an_evsjob_that_is_deleted_and_made_anew_ends_the_wait_at_once(plugin: Plugin) -> None:
    plugin.create("job")
    process = plugin.start("wait", "job")
    assert process.stderr is not None
    process.stderr.readline()
    plugin.delete("job")
    plugin.create("job")
    plugin.write("job", status("job-succeeded"))
    began = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (4, "deleted before it ended: job\n")
    assert time.monotonic() - began < 5


def test_a_wait_by_label_does_not_lose_a_job_that_loses_its_label(plugin: Plugin) -> None:
    plugin.create("one", labels={"app": "db"})
    plugin.create("two", labels={"app": "db"})
    process = plugin.start("wait", "-l", "app=db", "-o", "name")
    assert process.stderr is not None
    process.stderr.readline()
    plugin.plane.kubectl("label", "evsjob", "one", "app-", "-n", plugin.namespace)
    plugin.create("three", labels={"app": "db"})  # came later: nobody waits for it
    plugin.write("two", status("job-succeeded"))
    plugin.write("one", status("job-succeeded"))
    out, err = process.communicate(timeout=45)
    assert process.returncode == 0, err
    assert out == "evsjob.evs-operator.dev/one\nevsjob.evs-operator.dev/two\n"


def test_a_wait_survives_ten_ends_of_its_stream(plugin: Plugin) -> None:
    plugin.create("job")
    with FaultProxy.start(plugin.plane) as proxy:
        kubeconfig = proxy.kubeconfig(plugin.plane.admin_kubeconfig)
        process = Plugin(plugin.plane, plugin.namespace, kubeconfig).start("wait", "job")
        for _ in range(10):
            eventually(lambda: proxy.cut_watches() > 0, 30)
        plugin.write("job", status("job-succeeded"))
        _, err = process.communicate(timeout=45)
    assert process.returncode == 0, err
    assert err.count("Complete") == 1


def test_reconcile_waits_for_the_echo_and_no_longer(plugin: Plugin) -> None:
    plugin.create("job")
    plugin.write("job", status("job-running"))
    process = plugin.start("reconcile", "job", "--wait", "--timeout", "60s")

    def requested() -> str:
        obj = json.loads(plugin.plane.kubectl("get", "evsjob", "job", "-n", plugin.namespace, "-o", "json").stdout)
        return str(obj["metadata"].get("annotations", {}).get("evs-operator.dev/requestedAt", ""))

    eventually(lambda: bool(requested()), 20)
    plugin.write("job", status("job-running", lastHandledReconcileAt="another"))
    with pytest.raises(Exception, match="timed out"):
        process.wait(timeout=2)
    plugin.write("job", status("job-running", lastHandledReconcileAt=requested()))
    assert process.wait(timeout=20) == 0
    process.communicate()
