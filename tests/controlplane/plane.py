"""A real Kubernetes API server for tests and for the demo: etcd and kube-apiserver on free local ports.

`tests/conftest.py`, the demo and `python -m controlplane` start it. It stores, validates, defaults, authorises and
serves watches as a cluster does; there is no scheduler, no garbage collector and no namespace controller (a deleted
namespace stays Terminating). Nothing survives the process that started it, see `children`; what a killed process left
on disk is swept at the next start.
"""

import atexit
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from controlplane import access, launch, workspace
from controlplane.binaries import Binaries, binaries
from controlplane.children import clean_environment
from controlplane.gotools import Progress


class ControlPlaneError(RuntimeError):
    """A command against the control plane failed; the message carries its own words."""


class ControlPlane:
    """One running control plane; a context manager that stops it.

    `server` is its https origin, `ca_file` and `admin_kubeconfig` are what a client needs, `audit_log` is a file of
    JSON lines, one per answered request, where `audit` was asked for, `binaries` are the programs.
    """

    def __init__(
        self, binaries: Binaries, directory: workspace.Workspace, running: launch.Running, *, audit: bool
    ) -> None:
        """Take over what `start` started."""
        self.binaries = binaries
        self.server = running.server
        self.ca_file = running.ca_file
        self.admin_kubeconfig = directory.path / "admin.kubeconfig"
        self.audit_log = directory.path / "audit.log"
        self._directory = directory
        self._running = running
        self._audit = audit
        access.write_kubeconfig(self.admin_kubeconfig, self.server, self.ca_file, token=running.admin_token)
        atexit.register(self.stop)

    @classmethod
    def start(cls, *, directory: Path | None = None, audit: bool = False, progress: Progress | None = None) -> Self:
        """Start one and return when it is ready (3 to 10 s; minutes when the programs must be built first).

        `directory` is where it keeps everything, and stays; without it a temporary one goes with `stop`. `progress`
        gets the lines of a long build, stderr without it. Raises BinariesError, GoMissingError, LaunchError, and
        WorkspaceError where another control plane keeps its files in `directory`.
        """
        programs = binaries(progress or _to_stderr)
        place = workspace.Workspace(directory)
        try:
            running = launch.launch(programs, place.path, audit=audit)
        except BaseException:
            place.close()
            raise
        return cls(programs, place, running, audit=audit)

    def stop(self) -> None:
        """Stop both programs and remove what was temporary; twice is once."""
        atexit.unregister(self.stop)
        self._running.stop()
        self._directory.close()

    def __enter__(self) -> Self:
        """Return itself, running since `start`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def pids(self) -> tuple[int, int]:
        """Process ids of etcd and of the API server."""
        return self._running.etcd.pid, self._running.apiserver.pid

    @property
    def etcd_url(self) -> str:
        """The origin of etcd, for what would take the API server minutes."""
        return self._running.etcd_url

    def kubectl(
        self, *arguments: str, input: str | None = None, kubeconfig: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as admin unless `kubeconfig` says otherwise; a failure is an error unless `check` is off."""
        done = subprocess.run(
            [str(self.binaries.kubectl), "--kubeconfig", str(kubeconfig or self.admin_kubeconfig), *arguments],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            env={**clean_environment(), "KUBERC": "off", "KUBECACHEDIR": str(self._directory.path / "kubectl-cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise ControlPlaneError(f"kubectl {' '.join(arguments)} (exit {done.returncode}): {done.stderr.strip()}")
        return done

    def kubeconfig_for(
        self,
        namespace: str,
        service_account: str,
        rules: Sequence[Mapping[str, object]],
        *,
        cluster_rules: Sequence[Mapping[str, object]] = (),
    ) -> Path:
        """Create a ServiceAccount that may do exactly this, and return its kubeconfig (24 h); the rules hold on return.

        `rules` are PolicyRules within the namespace (made when it is not there), `cluster_rules` those of the whole
        cluster.
        """
        return access.grant(self, self._directory.path, namespace, service_account, rules, cluster_rules)

    def kubeconfig_of(self, namespace: str, service_account: str) -> Path:
        """Return the kubeconfig (24 h) of a ServiceAccount that somebody else made, for example a chart."""
        return access.kubeconfig_of(self, self._directory.path, namespace, service_account)

    def audit_events(self) -> list[dict[str, Any]]:
        """Return the audited requests so far, in the order of their answers, less a line that is half written."""
        lines = self.audit_log.read_text().split("\n") if self.audit_log.exists() else [""]
        return [json.loads(line) for line in lines[:-1]]

    def pause(self) -> None:
        """Freeze the API server: connections stay open and nothing answers."""
        self._running.apiserver.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen API server go on."""
        self._running.apiserver.signal(signal.SIGCONT)

    def stop_apiserver(self) -> None:
        """End the API server; its port refuses connections, etcd keeps the objects."""
        self._running.apiserver.stop()

    def start_apiserver(self) -> None:
        """Start an ended API server again, same port and same certificate; returns when it is ready."""
        self._running.apiserver = launch.again(self._running, self.binaries, self._directory.path, audit=self._audit)

    def restart_apiserver(self) -> None:
        """End it and start it again; every watch ends, resource versions go on."""
        self.stop_apiserver()
        self.start_apiserver()

    def save(self) -> None:
        """Copy the data of etcd as they are; both programs are started again, resource versions go on."""
        self._exchange_data(keep=True)

    def restore(self) -> None:
        """Put the copy in the place of the data: all objects are as they were then, and resource versions go back."""
        self._exchange_data(keep=False)

    def _exchange_data(self, *, keep: bool) -> None:
        data, copy = self._directory.path / "etcd", self._directory.path / "etcd-copy"
        self.stop_apiserver()
        self._running.etcd.stop()
        source, target = (data, copy) if keep else (copy, data)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        self._running.etcd = launch.etcd_again(self._running, self.binaries, self._directory.path)
        self.start_apiserver()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
