"""Where the demo runs: on a control plane of its own, or on the cluster of a kubeconfig.

`__main__` calls `a_cluster` and gets kubectl as admin, a kubeconfig of the operator's ServiceAccount, and the flags
that go with its rights. On a cluster that is there nothing is built, and all is made in the namespace of the demo but
for the CRDs; what stays behind is told at the end, whatever the end was. Nothing that is somebody else's is deleted.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controlplane import ControlPlane
from support import deployed

CRDS = deployed.ROOT / "crds"
NAMESPACE = "demo"
_ACCOUNT = "evs-operator"
_OF_THE_CLUSTER = {"namespaces", "clusterevsconnections", "clusterevsconnections/status"}
_LACKS = """\
  kube-apiserver and etcd alone: no nodes, no kubelet, no controllers. Pods do not run, Deployments and Jobs make none,
  a namespace that is deleted stays in Terminating, and owned objects are not collected."""


class Cluster:
    """kubectl as admin, and what the operator is started with."""

    def __init__(self, admin: Path, kubectl: str) -> None:
        self.admin = admin
        self.program = kubectl
        self.operator = admin
        self.flags: list[str] = []
        self.rights = ""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return what it prints; end with its own words where it fails."""
        command = [self.program, "--kubeconfig", str(self.admin), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"demo: kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def install_crds(self) -> None:
        """Apply the CRDs, and return once they are served."""
        self.kubectl("apply", "--server-side", "-f", str(CRDS))
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))

    def shell(self) -> str:
        """Return what makes a shell speak to this cluster."""
        lines = [f"export KUBECONFIG={self.admin}"]
        if shutil.which("kubectl") != self.program:
            lines.append(
                f'export PATH="{Path(self.program).parent}:$PATH"    # has the kubectl of this cluster\'s version'
            )
        return "\n".join(f"  {line}" for line in lines)


@contextlib.contextmanager
def a_cluster() -> Iterator[Cluster]:
    """Give the cluster that DEMO_KUBECONFIG names, else one of our own."""
    named = os.environ.get("DEMO_KUBECONFIG")
    with _theirs(Path(named).expanduser().resolve()) if named else _ours() as cluster:
        yield cluster


@contextlib.contextmanager
def _ours() -> Iterator[Cluster]:
    print("==> kube-apiserver and etcd", flush=True)
    plane = ControlPlane.start()
    try:
        cluster = Cluster(plane.admin_kubeconfig, str(plane.binaries.kubectl))
        print(f"  {plane.server}\n{_LACKS}", flush=True)
        cluster.kubectl("apply", "--server-side", "-k", str(deployed.DEPLOY))
        cluster.operator = plane.kubeconfig_of(deployed.NAMESPACE, deployed.SERVICE_ACCOUNT)
        cluster.rights = (
            f"ServiceAccount {deployed.NAMESPACE}/{deployed.SERVICE_ACCOUNT}, the rights of deploy/ and no other"
        )
        cluster.install_crds()
        yield cluster
    finally:
        plane.stop()


@contextlib.contextmanager
def _theirs(kubeconfig: Path) -> Iterator[Cluster]:
    program = shutil.which("kubectl")
    if program is None:
        raise SystemExit("demo: DEMO_KUBECONFIG needs a kubectl on the PATH that fits the cluster; nothing was done")
    cluster = Cluster(kubeconfig, program)
    print(f"==> the cluster of {kubeconfig}", flush=True)
    missing = "evsjobs.evs-operator.dev" not in cluster.kubectl("get", "crd", "-o", "name")
    print(f"  {program}; CRDs: {'applied' if missing else 'left as they are there'}", flush=True)
    try:
        if missing:
            cluster.install_crds()
        cluster.kubectl("apply", "-f", "-", stdin=_account())
        with tempfile.TemporaryDirectory(prefix="evs-demo-") as place:
            cluster.operator = _kubeconfig_of_account(cluster, Path(place))
            cluster.flags = ["--namespace", NAMESPACE]
            cluster.rights = f"ServiceAccount {NAMESPACE}/{_ACCOUNT}, a Role in that namespace and no other right"
            yield cluster
    finally:
        print(_left_behind(crds=missing), flush=True)


def _account() -> str:
    rules = [
        {**rule, "resources": resources}
        for rule in deployed.operator_rules()
        if (resources := [one for one in rule["resources"] if one not in _OF_THE_CLUSTER])
    ]
    place = {"name": _ACCOUNT, "namespace": NAMESPACE}
    rbac = "rbac.authorization.k8s.io"
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": place, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": place,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": _ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", **place}],
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def _kubeconfig_of_account(cluster: Cluster, place: Path) -> Path:
    """Write the kubeconfig of the user with the ServiceAccount's token in the place of the user's own credential."""
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    token = cluster.kubectl("create", "token", _ACCOUNT, "-n", NAMESPACE, "--duration=2h").strip()
    config["users"] = [{"name": _ACCOUNT, "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = _ACCOUNT
    path = place / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def _left_behind(*, crds: bool) -> str:
    removal = [f"kubectl delete namespace {NAMESPACE}"]
    if crds:
        removal.append("kubectl delete -f crds/")
    what = f"namespace {NAMESPACE}" + (" and the CRDs, with every EvsJob of the cluster" if crds else "")
    return f"Left behind in your cluster: {what}. To remove it:\n" + "\n".join(f"  {line}" for line in removal)
