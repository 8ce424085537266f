"""The control plane that the other tests and the demo stand on, held to what it promises."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from controlplane import BinariesError, ControlPlane, ControlPlaneError, WorkspaceError, binaries
from controlplane.workspace import sweep

_ROOT = Path(__file__).parents[2]


def _alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def _eventually(condition: Callable[[], bool], within: float = 20.0) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.controlplane
def test_two_control_planes_run_side_by_side_and_share_nothing_but_the_programs(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    with ControlPlane.start(directory=tmp_path / "second", audit=True) as second:
        second.kubectl("create", "namespace", "only-here")
        assert control_plane.kubectl("get", "namespace", "only-here", check=False).returncode != 0
        assert second.server != control_plane.server
        stranger = second.kubectl("get", "namespaces", "--server", control_plane.server, check=False)
        assert stranger.returncode != 0  # neither its certificate nor its token is good there

        created = [event for event in second.audit_events() if event["verb"] == "create"]
        assert any(event["objectRef"]["name"] == "only-here" for event in created if "objectRef" in event)
        pids = second.pids

    assert not any(_alive(pid) for pid in pids)
    assert (tmp_path / "second" / "audit.log").exists(), "a directory of the caller's stays"


def test_a_service_account_is_held_to_its_rules(control_plane: ControlPlane, namespace: str) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get"]}]
    everywhere = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}]
    kubeconfig = control_plane.kubeconfig_for(namespace, "worker", rules, cluster_rules=everywhere)

    control_plane.kubectl("create", "configmap", "mine", kubeconfig=kubeconfig)
    control_plane.kubectl("get", "namespaces", kubeconfig=kubeconfig)
    for forbidden in (["delete", "configmap", "mine"], ["get", "secrets"], ["get", "configmap", "-n", "default", "x"]):
        with pytest.raises(ControlPlaneError, match="forbidden"):
            control_plane.kubectl(*forbidden, kubeconfig=kubeconfig)


def test_nothing_of_the_users_settings_reaches_kubectl(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "of-the-user"))
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", "/does/not/exist")
    monkeypatch.setenv("SSL_CERT_FILE", "/does/not/exist")
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    shown = control_plane.kubectl("diff", "-f", "-", input=json.dumps(item), check=False)
    assert (shown.returncode, shown.stderr) == (1, "")  # 1: they differ, and diff itself could be run
    assert not (tmp_path / "of-the-user").exists()


@pytest.mark.controlplane
def test_two_control_planes_in_one_directory_are_refused(tmp_path: Path) -> None:
    with ControlPlane.start(directory=tmp_path) as first:
        with pytest.raises(WorkspaceError, match="is in use"):
            ControlPlane.start(directory=tmp_path)
        first.kubectl("get", "namespaces")
    with ControlPlane.start(directory=tmp_path) as again:
        again.kubectl("get", "namespaces")


@pytest.mark.controlplane
def test_an_api_server_that_was_restarted_knows_its_objects_and_its_tokens() -> None:
    with ControlPlane.start() as plane:
        kubeconfig = plane.kubeconfig_for(
            "n", "worker", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
        )
        address = plane.server
        plane.stop_apiserver()
        assert "refused" in plane.kubectl("get", "namespaces", check=False).stderr
        plane.start_apiserver()
        assert plane.server == address
        plane.kubectl("get", "pods", kubeconfig=kubeconfig)

        plane.pause()
        assert plane.kubectl("get", "namespaces", "--request-timeout=1s", check=False).returncode != 0
        plane.resume()
        plane.kubectl("get", "namespaces")


@pytest.mark.controlplane
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a process that was killed")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_one_that_started_the_control_plane(number: signal.Signals, tmp_path: Path) -> None:
    pids_file = tmp_path / "pids"
    script = (
        "import json, pathlib, time, controlplane\n"
        f"plane = controlplane.ControlPlane.start(directory=pathlib.Path({str(tmp_path / 'plane')!r}))\n"
        f"pathlib.Path({str(pids_file)!r}).write_text(json.dumps(plane.pids))\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(_ROOT / "tests")}
    parent = subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL)
    pids: list[int] = []
    try:
        assert _eventually(lambda: pids_file.exists() and pids_file.read_text() != "", within=120.0)
        pids = json.loads(pids_file.read_text())
        assert all(_alive(pid) for pid in pids)
        parent.send_signal(number)
        parent.wait(30)
        assert _eventually(lambda: not any(_alive(pid) for pid in pids))
    finally:
        parent.kill()
        parent.wait()
        for pid in filter(_alive, pids):  # where the rule is broken
            os.kill(pid, signal.SIGKILL)


def test_the_directory_of_a_killed_process_is_swept_and_that_of_a_live_one_is_not(tmp_path: Path) -> None:
    holder = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    for name in ("held", "left"):
        (tmp_path / f"evs-controlplane-{name}").mkdir()
        (tmp_path / f"evs-controlplane-{name}" / "lock").touch()
        os.utime(tmp_path / f"evs-controlplane-{name}", (0, 0))
    (tmp_path / "evs-controlplane-young").mkdir()
    (tmp_path / "evs-controlplane-young" / "lock").touch()
    lock = str(tmp_path / "evs-controlplane-held" / "lock")
    with subprocess.Popen(
        [sys.executable, "-c", holder, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        sweep(tmp_path)
        process.kill()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evs-controlplane-held", "evs-controlplane-young"]


def test_assets_that_lack_a_program_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubectl").touch(mode=0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(BinariesError, match="kube-apiserver, etcd"):
        binaries(print)
