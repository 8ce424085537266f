"""Every command of the runbooks, of troubleshooting and of the install page is run, and prints what its page says.

They run in a shell, against the real API server, with what `deploy/` installs and an operator that works; pods, which
need nodes, are made here as a kubelet would leave them. What only a kubelet can answer is answered by
`support.kubectl_without_kubelet`, with the log of an operator that has the fault of the section. Queries are put to
the Prometheus that watches the faults.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from controlplane import ControlPlane
from evs_operator.observe.metrics import Metrics
from support.deployed import NAMESPACE, SERVICE_ACCOUNT, deployment
from support.documented_commands import Documented, commands, queries
from support.jobs import batch as batch_of
from support.jobs import body, sub
from support.operator_process import ROOT, Objects, eventually, start_operator
from support.scripted_cloud import ScriptedCloud, scripted_cloud
from support.watched_operators import WatchedWorld

RUNBOOKS, TROUBLE, INSTALL = "docs/runbooks/README.md", "docs/troubleshooting.md", "docs/install.md"
PAGES = (RUNBOOKS, TROUBLE, INSTALL)
COMMANDS = [c for page in PAGES for c in commands(page) if not c.text.startswith(("helm ", "docker "))]
"""All but those of helm, which tests/chart and test_helm_wait.py run, and of docker, for which see test_image.py."""
QUERIES = queries(RUNBOOKS)

_PROXIED = "localhost:8001/api/v1/namespaces/$NS/pods/POD:8080/proxy"
POD, TEAM = "evs-operator-7c9d", "team-a"
STUCK = "the scheduler does not advance"

PRINTS: Mapping[str, str] = {
    "kubectl -n $NS get deploy,pods": rf"(?s)pod/{POD}.*deployment\.apps/evs-operator|deployment.*{POD}",
    "kubectl -n $NS events": r"(?s)Unhealthy.*Liveness probe failed",
    "kubectl get servicemonitors,podmonitors": r"servicemonitor\S+/evs-operator",
    "kubectl -n $NS get pods -o wide": rf"{POD} +1/1 +Running",
    "kubectl -n $NS describe pod POD | sed": r"(?s)OOMKilled.*Conditions:.*Ready +True.*Liveness probe failed",
    "kubectl -n $NS describe pod POD | grep": r"(?s)Last State.*Reason: +OOMKilled.*Exit Code: +137",
    "kubectl -n $NS logs POD --previous": r'(?s)("msg": "synced: .*){2}',  # a start after another',
    "kubectl -n $NS get lease evs-operator -o yaml": r"(?s)holderIdentity: \S+.*renewTime:",
    "kubectl -n $NS get lease evs-operator -o jsonpath": rf"^{re.escape(socket.gethostname())}_",
    "kubectl -n $NS logs deploy/evs-operator | grep -i lease": "waiting: .*leases",
    "for verb in get create update": r"^(yes\n){3}$",
    "kubectl -n $NS logs deploy/evs-operator | grep waiting": "waiting: no permission to",
    "kubectl -n $NS exec deploy/evs-operator -- evs-operator check": r"(?s)ok +API server.*ok +CRD .*ok +permission",
    "kubectl exec -n evs-operator deploy/evs-operator -- evs-operator": r"(?s)ok +API server.*ok +CRD .*ok +permission",
    "kubectl -n $NS exec deploy/evs-operator -- /usr/bin/python3 -c": "readable",
    "kubectl get crd |": r"(?s)^clusterevsconnections.*\nevsconnections.*\nevsjobs",
    "kubectl proxy": f"{STUCK}$",
    "kubectl -n $NS logs POD | grep -E": '"level": "error", .*a defect',
    "kubectl -n $NS logs deploy/evs-operator | grep -E 'resync|watch'": "resync|watch",
    "kubectl get --raw '/apis/evs-operator.dev": "^lists work$",
    "kubectl get evsjobs -A -o jsonpath='{range .items[?": rf"^{TEAM}/seldom$",
    "kubectl get evsjobs -A -o jsonpath='{range .items[*]}": rf"(?m)^[^\t]*Secret[^\t]*\t{TEAM}/batch$",
    "kubectl -n $NS logs deploy/evs-operator | grep PATCH": "PATCH /apis/evs-operator.dev/.*: ",
    "for kind in": r"^(yes\n){2}$",
    "kubectl diff": "^$",
    "kubectl get validatingwebhookconfigurations": "evs-guard",
    "kubectl get evsconnections,clusterevsconnections -A": rf"(?s){TEAM} +\S*/main +False +Unauthorized",
    "kubectl -n NAMESPACE describe evsconnection NAME": r"(?s)Reason: +Unauthorized.*Events:",
    "kubectl -n NAMESPACE describe secret": r"(?m)^token: +24 bytes",
    "kubectl get evsjobs -A -o wide": rf"{TEAM} +seldom .*RateLimited.*HTTP 429",
    "kubectl -n NAMESPACE describe evsjob": r"(?s)Reason: +Unauthorized.*Events:",
    "kubectl -n NAMESPACE get evsjob NAME -o jsonpath='{.status.failure": r"(?s)^EVS\.5413: .+\n.*quota",
    "kubectl -n NAMESPACE get evsjob NAME -o jsonpath='{range .status.subJobs": r"(?m)^FAIL\t.*\tEVS\.5413$",
    "kubectl -n NAMESPACE get evsjob NAME -o jsonpath='{.status.conditions": "Secret",
    "kubectl describe evsjob NAME": r"(?s)Reason: +Unauthorized.*Events:",
    "kubectl get evsjob NAME -o wide": r"(?s)MESSAGE.*Secret",
    "kubectl -n $NS port-forward": "forwards 8080",
    "kubectl -n $NS delete pod": rf'pod "{POD}" deleted',
    "kubectl apply --server-side -f crds/": r"(?s)(\S+ serverside-applied\n){3}",
    "kubectl apply -f crds/": r"(?s)(\S+ (configured|unchanged)\n){3}",
    "kubectl apply --server-side -k deploy/": r"deployment\.apps/evs-operator serverside-applied",
    "kubectl -n $NS rollout restart": "restarted",
    "kubectl -n evs-operator rollout status": "observed: evs-operator",
    "evs-operator check --connection": "FAIL +credential",
    "evs-operator check": r"(?s)ok +CRD .*ok +permission.*EvsConnection team-a/main",
    "kubectl annotate evsjob NAME": "annotated",
    "kubectl get namespace NAME": "NamespaceContentRemaining",
    "kubectl delete crd evsjobs": r"(?s)(customresourcedefinition\S* \"\S+\" deleted.*\n?){3}",
    "kubectl delete -f deploy/operator.yaml": r'(?s)deployment\.apps "evs-operator" deleted.*clusterrole',
}
"""What each command prints, by how it begins."""

FAULT = {
    "EvsOperatorDown": "restarting",
    "EvsOperatorRestarting": "restarting",
    "EvsOperatorNoLeader": "leaderless",
    "EvsOperatorWaiting": "waiting",
    "EvsOperatorSchedulerStuck": "defect",
    "EvsOperatorWatchStalled": "watch",
    "EvsOperatorStatusWritesFailing": "writes",
}
"""Whose log a section reads."""


@dataclass
class Cluster:
    """The cluster of a user whose operator has troubles, and a shell there."""

    plane: ControlPlane
    environment: dict[str, str]
    stuck: str
    logs: dict[str, Path] = field(default_factory=dict)

    def run(self, command: Documented) -> subprocess.CompletedProcess[str]:
        """Run a command as its page says, with its words in capitals filled in."""
        text = command.text
        for word, value in (
            ("evsjob NAME", "evsjob broken" if command.section == "EvsJobFailed" else "evsjob batch"),
            ("evsconnection NAME", "evsconnection main"),
            ("namespace NAME", "namespace leaving"),
            ("NAMESPACE/NAME", f"{TEAM}/main"),
            ("NAMESPACE", TEAM),
            ("SECRET", "main-token"),
            (_PROXIED, self.stuck),
            ("POD", POD),
            ("8001", str(_free_port())),
        ):
            text = re.sub(rf"\b{re.escape(word)}\b", value, text)
        log = self.logs.get(FAULT.get(command.section, ""), self.logs["own"])
        environment = {**self.environment, "OPERATOR_LOG": str(log), "NS": NAMESPACE}
        return subprocess.run(
            ["sh", "-c", text], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture(scope="module")
def cluster(world: WatchedWorld, crds: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as stack:
        cloud = stack.enter_context(scripted_cloud())
        place = tmp_path_factory.mktemp("shell")
        for arguments in (("apply", "--server-side", "-k", "deploy/"), ("create", "namespace", TEAM)):
            crds.kubectl(*arguments)
        crds.kubectl("apply", "-f", "deploy/high-availability/leader-election.yaml")
        rights = crds.kubeconfig_of(NAMESPACE, SERVICE_ACCOUNT)
        flags = ("--namespace", TEAM, "--leader-elect", "--log-format", "json", "--allow-endpoint", cloud.url)
        operator = stack.enter_context(start_operator(rights, *flags))
        _make_troubles(Objects(crds, TEAM), cloud)
        _make_what_nodes_make(crds)
        stuck = stack.enter_context(_stuck_pod(crds))
        logs = {name: watched.process.log_file for name, watched in world.operators.items()}
        logs |= {"own": operator.log_file, "defect": _log_of_a_defect(place)}
        yield Cluster(crds, _shell(crds, place, rights, cloud), stuck, logs)


def _make_troubles(objects: Objects, cloud: ScriptedCloud) -> None:
    """Let one connection be refused and another be throttled, after a batch failed in part."""
    batch, seldom, broken = "a" * 32, "b" * 32, "c" * 32
    limited = {"error_msg": "The throttling threshold has been reached", "error_code": "APIGW.0308"}
    cloud.put(batch, body(job_id=batch))
    cloud.put(seldom, limited, 429, headers={"Retry-After": "600"})
    cloud.put(
        broken, {**batch_of("SUCCESS", sub(1, "FAIL", error_code="EVS.5413"), sub(2, "SUCCESS")), "job_id": broken}
    )
    objects.connect(cloud.url, "main", token="a-token-of-somebody-else")
    objects.connect(cloud.url, "limited")
    objects.add_job("broken", broken, connectionRef={"kind": "EvsConnection", "name": "limited"})
    objects.wait_reason("broken", "SubJobFailed")
    two_minutes = {"minIntervalSeconds": 120, "maxIntervalSeconds": 120}
    objects.add_job("batch", batch, connectionRef={"kind": "EvsConnection", "name": "main"})
    objects.add_job("seldom", seldom, connectionRef={"kind": "EvsConnection", "name": "limited"}, polling=two_minutes)
    objects.wait_reason("batch", "Unauthorized")
    objects.wait_reason("seldom", "RateLimited")


def _make_what_nodes_make(plane: ControlPlane) -> None:
    """Make the pod of the Deployment with its past, an Event of it, and what other programs bring."""
    template = deployment()["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": NAMESPACE, **template["metadata"]}}
    _apply(plane, {**pod, "spec": template["spec"]})
    uid = plane.kubectl("-n", NAMESPACE, "get", "pod", POD, "-o", "jsonpath={.metadata.uid}").stdout
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{POD}.1", "namespace": NAMESPACE},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": POD, "namespace": NAMESPACE, "uid": uid},
        "type": "Warning",
        "reason": "Unhealthy",
        "message": "Liveness probe failed: HTTP probe failed with statuscode: 503",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 3,
    }
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "evs-guard"},
    }
    monitors = [_monitor_crd(kind) for kind in ("ServiceMonitor", "PodMonitor")]
    leaving = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "leaving"}}
    _apply(plane, event, hook, leaving, *monitors)
    for crd in monitors:
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{crd['metadata']['name']}")
    where = {"name": "evs-operator", "namespace": NAMESPACE}
    _apply(plane, {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": where})
    remaining = {"type": "NamespaceContentRemaining", "status": "True", "reason": "x", "lastTransitionTime": now}
    _patch_status(plane, "namespace/leaving", {"conditions": [remaining]})
    ended = {"exitCode": 137, "reason": "OOMKilled", "startedAt": now, "finishedAt": now}
    container = {
        "name": "operator",
        "image": "evs-operator",
        "imageID": "",
        "ready": True,
        "restartCount": 3,
        "state": {"running": {"startedAt": now}},
        "lastState": {"terminated": ended},
    }
    ready = {"type": "Ready", "status": "True"}
    _patch_status(plane, f"pod/{POD}", {"phase": "Running", "conditions": [ready], "containerStatuses": [container]})


def _monitor_crd(kind: str) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


@contextmanager
def _stuck_pod(plane: ControlPlane) -> Iterator[str]:
    """Serve the health of a stuck operator as a pod; yield its address behind the API server's proxy.

    On a machine that has no address but 127.0.0.1, to which the API server proxies nothing, it is the pod's own.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(STUCK.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    address = _address() or "127.0.0.1"
    server = ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stuck", "namespace": NAMESPACE}}
    _apply(plane, {**pod, "spec": deployment()["spec"]["template"]["spec"]})
    _patch_status(plane, "pod/stuck", {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]})
    behind = _PROXIED.replace("POD:8080", f"stuck:{server.server_port}")
    yield f"{address}:{server.server_port}" if address == "127.0.0.1" else behind
    server.shutdown()
    server.server_close()
    thread.join(5)


def _log_of_a_defect(place: Path) -> Path:
    """Return a log in which the operator tells of a fault of its own, which no fault from outside brings about."""
    told = "logs.configure('json', 'info', str); logging.getLogger('evs_operator').error('a defect')"
    program = f"import logging; from evs_operator.observe import logs; {told}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    (place / "defect").write_text(done.stderr, encoding="utf-8")
    return place / "defect"


def _address() -> str | None:
    """Return an address of this machine that others may know; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return None


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _apply(plane: ControlPlane, *objects: Mapping[str, Any]) -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": objects}
    plane.kubectl("apply", "-f", "-", input=json.dumps(items))


def _patch_status(plane: ControlPlane, target: str, status: Mapping[str, Any]) -> None:
    arguments = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    plane.kubectl("-n", NAMESPACE, "patch", target, *arguments)


def _shell(plane: ControlPlane, place: Path, rights: Path, cloud: ScriptedCloud) -> dict[str, str]:
    """Return the environment of a user's shell, whose namespace is the team's."""
    kubeconfig = place / "kubeconfig"
    kubeconfig.write_bytes(plane.admin_kubeconfig.read_bytes())
    plane.kubectl("config", "set-context", "--current", f"--namespace={TEAM}", kubeconfig=kubeconfig)
    programs = {"kubectl": "support.kubectl_without_kubelet", "evs-operator": "evs_operator"}
    if shutil.which("curl") is None:
        programs["curl"] = "support.curl"
    for name, module in programs.items():
        program = place / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{place}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'operator'}",
        "KUBECTL": str(plane.binaries.kubectl),
        "KUBECONFIG": str(kubeconfig),
        "OPERATOR_KUBECONFIG": str(rights),
        "EVS_OPERATOR_ALLOW_ENDPOINT": cloud.url,
        "NO_PROXY": "*",
    }


def _expected(command: Documented) -> str:
    (found,) = {PRINTS[start] for start in PRINTS if command.text.startswith(start) and not _longer(command, start)}
    return found


def _longer(command: Documented, start: str) -> bool:
    return any(other != start and other.startswith(start) and command.text.startswith(other) for other in PRINTS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_command_prints_what_its_page_says(cluster: Cluster, command: Documented) -> None:
    done = cluster.run(command)
    shown = f"{command.text}\n{done.stdout}\n{done.stderr}"
    assert re.search(_expected(command), done.stdout), shown
    assert not re.search(r"(?i)\b(error|unknown|invalid|not found|no resources)\b", done.stderr), shown


def test_nothing_is_expected_of_a_command_that_no_page_has() -> None:
    texts = [command.text for command in COMMANDS]
    assert [start for start in PRINTS if not any(text.startswith(start) for text in texts)] == []
    assert len(texts) > 50


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_the_query_finds_something_while_there_are_faults(world: WatchedWorld, query: Documented) -> None:
    eventually(lambda: bool(world.prometheus.query(query.text)), 30, lambda: query.text)


@pytest.mark.parametrize("page", [RUNBOOKS, TROUBLE, "docs/faq.md", INSTALL, "docs/polling.md"])
def test_a_page_names_no_metric_that_is_not_there(page: str) -> None:
    served = Metrics().render().decode()
    named = set(re.findall(r"\bevs_operator_[a-z_]+", (ROOT / page).read_text(encoding="utf-8")))
    rules = {name for name in named if f":{name}:" in (ROOT / page).read_text(encoding="utf-8")}
    stems = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named - rules - {"evs_operator_"}}
    assert [name for name in stems if f"# TYPE {name} " not in served] == []
