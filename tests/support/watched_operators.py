"""Operators that one Prometheus watches, each with a fault of its own, and one without: for tests of what is observed.

Every operator is a process of its own with its own namespace, and polls a job each second through a healthy connection
(`default`), so that it has work whatever its fault is. Faults come in through what surrounds it: a connection named
`faulty` to a cloud in the test's hand, a proxy in front of the API server, its rights, a signal; see `faulty_operator`
for the two that come from inside.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controlplane import ControlPlane, Fault, FaultProxy

from .alert_rules import shortened
from .jobs import batch, body, sub
from .operator_process import (
    ROOT,
    OperatorProcess,
    custom,
    eventually,
    leader_election_rules,
    operator_rules,
    start_operator,
)
from .prometheus import Prometheus, run_prometheus
from .scripted_cloud import PROJECT, TOKEN, ScriptedCloud, scripted_cloud
from .trace_receiver import TraceReceiver

EVERY_SECOND = {"minIntervalSeconds": 1, "maxIntervalSeconds": 1}
BEAT = "beef" * 8
_WAITING = 45
"""Jobs at the cloud that hangs: more than the workers that one connection may have."""


@dataclass
class Watched:
    """One operator, the cloud of its connection `faulty`, its way to the API server, and its flags."""

    name: str
    cloud: ScriptedCloud
    kubeconfig: Path
    fault: str = "none"
    flags: tuple[str, ...] = ()
    ready: bool = True
    proxy: FaultProxy | None = None
    environment: dict[str, str] = field(default_factory=dict)
    process: OperatorProcess = field(init=False)


class WatchedWorld:
    """All of them. `break_all` brings the faults about, `heal` takes away those that end while the operator runs."""

    def __init__(self, plane: ControlPlane, prometheus: Prometheus, healthy: ScriptedCloud) -> None:
        self.plane = plane
        self.prometheus = prometheus
        self.healthy = healthy
        self.operators: dict[str, Watched] = {}
        self.gate = threading.Event()
        self.traces = TraceReceiver()

    def apply(self, name: str, *objects: dict[str, Any]) -> None:
        """Apply objects in the namespace of an operator."""
        items = [{**o, "metadata": {"namespace": f"watched-{name}", **o["metadata"]}} for o in objects]
        self.plane.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def add_job(self, name: str, number: int, connection: str = "faulty", **spec: Any) -> str:
        """Apply an EvsJob that is polled every second; return the id of its job."""
        job_id = _id(number)
        ref = {"kind": "EvsConnection", "name": connection}
        spec = {"polling": EVERY_SECOND, "connectionRef": ref, **spec}
        self.apply(name, custom("EvsJob", f"job-{number}", jobId=job_id, **spec))
        return job_id

    def start(self, stack: ExitStack) -> None:
        """Start all operators side by side, and have them scraped once each works."""
        for watched in self.operators.values():
            flags = ["--namespace", f"watched-{watched.name}", "--log-format", "json", *watched.flags]
            for cloud in (self.healthy, watched.cloud):
                flags += ["--allow-endpoint", cloud.url]
            command = [sys.executable, "-m", "support.faulty_operator", watched.fault, "run"]
            command += ["--kubeconfig", str(watched.kubeconfig)]
            environment = {"PYTHONPATH": str(ROOT / "tests"), **watched.environment}
            running = start_operator(watched.kubeconfig, *flags, ready=False, command=command, **environment)
            watched.process = stack.enter_context(running)
        stack.callback(self._end_together)
        for watched in self.operators.values():
            if watched.ready:
                watched.process.wait_ready(90)
            else:
                eventually(lambda it=watched: it.process.http("/metrics")[0] == 200, 90)  # type: ignore[misc]
        self.prometheus.scrape({name: watched.process.port for name, watched in self.operators.items()})
        eventually(self._all_scraped, 60)

    def _all_scraped(self) -> bool:
        found = {series["metric"]["job"] for series in self.prometheus.query("evs_operator_build_info")}
        return found >= self.operators.keys() - {"restarting"}

    def _end_together(self) -> None:
        for watched in self.operators.values():
            if watched.process.process.poll() is None:
                watched.process.process.send_signal(signal.SIGTERM)
                watched.process.process.send_signal(signal.SIGCONT)

    def break_all(self) -> None:
        """Bring every fault about."""
        self.operators["hung"].process.process.send_signal(signal.SIGSTOP)
        self._cut_off("watch", Fault(verb="watch", path="evsjobs"), Fault(verb="list", path="evsjobs"))
        self._refuse_writes()
        self._lose_the_end()
        self._end_well_and_badly()

    def _end_well_and_badly(self) -> None:
        """Let jobs of the operator without a fault end while it is watched."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        failure = {"error_code": "EVS.5413", "fail_reason": "overLimit: VolumeSizeExceedsAvailableQuota"}
        cloud = self.operators["healthy"].cloud
        cloud.put(_id(1), body("SUCCESS", job_id=_id(1), end_time=now))
        cloud.put(_id(2), body("FAIL", job_id=_id(2), end_time=now, **failure))

    def _cut_off(self, name: str, *faults: Fault) -> None:
        proxy = self.operators[name].proxy
        assert proxy is not None
        for fault in faults:
            proxy.fail(Fault(verb=fault.verb, path=fault.path, status=503))
        proxy.cut_watches("evsjobs")

    def _refuse_writes(self) -> None:
        proxy = self.operators["writes"].proxy
        assert proxy is not None
        proxy.fail(Fault(verb="patch", path="evsjobs/.*/status", status=500))
        proxy.mute_watches("evsjobs")  # the EvsJob that comes now is found by the comparison with a list
        cloud = self.operators["writes"].cloud
        job_id = self.add_job("writes", 1)
        cloud.put(job_id, body(job_id=job_id))

    def _lose_the_end(self) -> None:
        """Let a job end while the cloud answers 503."""
        cloud = self.operators["late"].cloud
        self.ended_at = datetime.now(UTC)
        cloud.put(_id(1), {"error_msg": "Backend unavailable.", "error_code": "APIGW.0202"}, 503)

    def end_the_outage(self) -> None:
        """Let the cloud of `late` tell that its job had ended meanwhile."""
        end = self.ended_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        self.operators["late"].cloud.put(_id(1), body("SUCCESS", job_id=_id(1), end_time=end))

    def heal(self) -> None:
        """Take the faults away, as the runbooks say."""
        self.gate.set()
        self.operators["hung"].process.process.send_signal(signal.SIGCONT)
        for watched in self.operators.values():
            if watched.proxy is not None:
                watched.proxy.heal()
        self.apply("credential", secret("faulty", TOKEN))
        self.plane.kubeconfig_for(
            "watched-leaderless", "operator", leader_election_rules(), cluster_rules=operator_rules()
        )
        self.plane.kubeconfig_for("watched-waiting", "operator", [], cluster_rules=operator_rules())


def _id(number: int) -> str:
    return f"{number:04x}" * 8


def secret(connection: str, token: str) -> dict[str, Any]:
    """Return the Secret of a connection."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{connection}-token"},
        "stringData": {"token": token},
    }


def connection(name: str, url: str) -> dict[str, Any]:
    """Return a connection that uses that Secret."""
    auth = {"token": {"secretRef": {"name": f"{name}-token"}}}
    return custom("EvsConnection", name, endpoint=url, projectId=PROJECT, auth=auth)


@contextmanager
def watched_world(plane: ControlPlane, before: Callable[[Prometheus], None]) -> Iterator[WatchedWorld]:
    """Build and start the world; `before` is called while Prometheus has no target yet."""
    with ExitStack() as stack:
        prometheus = stack.enter_context(run_prometheus(shortened()))
        healthy = stack.enter_context(scripted_cloud())
        world = WatchedWorld(plane, prometheus, healthy)
        healthy.put(BEAT, body(job_id=BEAT))
        right = plane.kubeconfig_for("evs-operator", "evs-operator", [], cluster_rules=operator_rules())
        for name in ("healthy", "hung", "overdue", "late", "credential", "throttled"):
            world.operators[name] = Watched(name, stack.enter_context(scripted_cloud()), right)
        for fault in ("stuck-scheduler", "restarting"):
            ready = fault != "restarting"
            world.operators[fault] = Watched(fault, stack.enter_context(scripted_cloud()), right, fault, ready=ready)
        for name in ("watch", "writes"):
            proxy = stack.enter_context(FaultProxy.start(plane))
            behind = proxy.kubeconfig(right)
            world.operators[name] = Watched(name, stack.enter_context(scripted_cloud()), behind, proxy=proxy)
        rules = {"leaderless": operator_rules(), "waiting": []}
        for name, rights in rules.items():
            account = plane.kubeconfig_for(f"watched-{name}", "operator", [], cluster_rules=rights)
            flags = ("--leader-elect", "--operator-namespace", f"watched-{name}") if name == "leaderless" else ()
            cloud = stack.enter_context(scripted_cloud())
            world.operators[name] = Watched(name, cloud, account, flags=flags, ready=False)
        stack.enter_context(world.traces.serve())
        world.operators["healthy"].environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": world.traces.url,
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }
        _populate(world)
        before(prometheus)
        world.start(stack)
        yield world


def _populate(world: WatchedWorld) -> None:
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"watched-{name}"}} for name in world.operators
    ]
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": namespaces})
    world.plane.kubectl("apply", "-f", "-", input=objects)
    items: list[dict[str, Any]] = []
    for name, watched in world.operators.items():
        here = {"namespace": f"watched-{name}"}
        made = [
            secret("default", TOKEN),
            connection("default", world.healthy.url),
            custom("EvsJob", "beat", jobId=BEAT, polling=EVERY_SECOND),
        ]
        if name in ("healthy", "overdue", "late", "credential", "throttled", "writes"):
            token = "a-token-of-somebody-else" if name == "credential" else TOKEN
            made += [secret("faulty", token), connection("faulty", watched.cloud.url)]
            made += _jobs(name, watched.cloud, world.gate)
        items += [{**o, "metadata": {**here, **o["metadata"]}} for o in made]
    world.plane.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def _jobs(name: str, cloud: ScriptedCloud, gate: threading.Event) -> Sequence[dict[str, Any]]:
    """Return the EvsJobs of an operator's connection `faulty`, with what its cloud answers."""
    numbers = {"healthy": range(1, 5), "overdue": range(1, _WAITING + 1), "writes": range(0)}.get(name, range(1, 2))
    answers: dict[int, dict[str, Any]] = {}
    if name == "healthy":
        answers[3] = batch("RUNNING", sub(1, "SUCCESS"), sub(2, "RUNNING"))
    for number in numbers:
        job_id = _id(number)
        if name == "throttled":
            limited = {"error_msg": "The throttling threshold has been reached", "error_code": "APIGW.0308"}
            cloud.put(job_id, limited, 429, headers={"Retry-After": "60"})
        elif name == "overdue":
            cloud.put(job_id, body(job_id=job_id), gate=gate)
        else:
            cloud.put(job_id, {**answers.get(number, body()), "job_id": job_id})
    ref = {"kind": "EvsConnection", "name": "faulty"}
    return [
        custom("EvsJob", f"job-{number}", jobId=_id(number), polling=EVERY_SECOND, connectionRef=ref)
        for number in numbers
    ]
