"""`make demo`: a real kube-apiserver, the simulator and the operator, and EvsJobs from created to their end.

Run with `tests/` on the path, for the control plane that the tests use too. The operator runs as a ServiceAccount with
the rights and the flags of `deploy/`. `DEMO_KUBECONFIG` uses a cluster that is there (see `cluster`); `DEMO_KEEP=1`
leaves everything running until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import yaml
from examples.demo.cluster import NAMESPACE, Cluster, a_cluster

from support import deployed

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
ENDED_WITHIN = 120.0
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> int:
    """Run the demo; 0 where every EvsJob ended as it should."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        workdir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evs-demo-")))
        cluster = stack.enter_context(a_cluster())
        say("simulator of the cloud")
        cloud = stack.enter_context(_simulator())
        say(f"  {cloud}")
        say("namespace, connections")
        cluster.kubectl("apply", "-f", "-", stdin=_connections(cloud))
        say(f"operator, with its own {cluster.rights}")
        stack.enter_context(_operator(cluster, cloud, workdir))
        cluster.kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=60s", "evsconnection/default")
        say("disk operations at the cloud, and an EvsJob for the job id of each answer")
        cluster.kubectl("apply", "-f", "-", stdin=_evs_jobs(cloud))
        print(flush=True)
        good = _follow(cluster)
        _explain(cluster, workdir, cloud)
        if os.environ.get("DEMO_KEEP"):
            print(f"Left running until Ctrl-C. Look around with:\n{cluster.shell()}\n", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    return 0 if good else 1


def say(text: str) -> None:
    """Show a step."""
    print(text if text.startswith(" ") else f"==> {text}", flush=True)


@contextlib.contextmanager
def _simulator() -> Iterator[str]:
    command = [sys.executable, "-m", "evs_simulator", "--address", "127.0.0.1:0"]
    with _process(command, stdout=subprocess.PIPE) as process:
        first = process.stdout.readline().decode() if process.stdout else ""
        if " on " not in first:
            raise SystemExit(f"demo: the simulator did not start: {first.strip()}")
        yield first.split(" on ")[1].strip()


@contextlib.contextmanager
def _operator(cluster: Cluster, cloud: str, workdir: Path) -> Iterator[None]:
    arguments = deployed.local_arguments(deployed.deployment(), "127.0.0.1:0")
    command = [sys.executable, "-m", "evs_operator", *arguments, "--kubeconfig", str(cluster.operator)]
    command += [*cluster.flags, "--allow-endpoint", cloud, "--log-format", "text"]
    with (workdir / "operator.log").open("wb") as log, _process(command, stderr=log):
        yield


@contextlib.contextmanager
def _process(command: list[str], **streams: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, start_new_session=True, **streams)  # type: ignore[call-overload]  # streams only
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _connections(cloud: str) -> str:
    def secret(name: str, token: str) -> dict[str, object]:
        return _object("v1", "Secret", name, stringData={"token": token})

    def connection(name: str, secret_name: str) -> dict[str, object]:
        auth = {"token": {"secretRef": {"name": secret_name}}}
        return _object(
            "evs-operator.dev/v1alpha1",
            "EvsConnection",
            name,
            spec={"endpoint": cloud, "projectId": PROJECT, "auth": auth},
        )

    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    objects = [
        namespace,
        secret("evs-credentials", "demo-token"),
        connection("default", "evs-credentials"),
        secret("old-credentials", "a-token-that-has-expired"),
        connection("outdated", "old-credentials"),
    ]
    return yaml.safe_dump_all(objects)


def _evs_jobs(cloud: str) -> str:
    volumes = f"/v2/{PROJECT}/cloudvolumes"

    def volume(name: str, count: int = 1, **more: object) -> dict[str, object]:
        size = {"name": name, "size": 40, "volume_type": "SSD", "availability_zone": "eu-de-01", "count": count}
        return {"volume": {**size, **more}}

    failing = {"metadata": {"__sim_fail": "EVS.5413"}}
    created = {
        "create": _call(cloud, "POST", volumes, volume("data")),
        "create-batch": _call(cloud, "POST", volumes, volume("shard", 3)),
        "create-fails": _call(cloud, "POST", volumes, volume("broken", **failing)),
        "batch-half-fails": _call(
            cloud, "POST", volumes, volume("partly", 3, metadata={"__sim_fail_some": "EVS.5413"})
        ),
    }
    jobs = [_evs_job(name, job_id) for name, job_id in created.items()]
    jobs.append(_evs_job("wrong-credentials", created["create"], connectionRef={"name": "outdated"}))
    return yaml.safe_dump_all(jobs)


def _evs_job(name: str, job_id: str, **more: object) -> dict[str, object]:
    return _object("evs-operator.dev/v1alpha1", "EvsJob", name, spec={"jobId": job_id, **more})


def _object(api_version: str, kind: str, name: str, **fields: object) -> dict[str, object]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **fields}


def _call(cloud: str, method: str, path: str, body: object) -> str:
    request = urllib.request.Request(  # the simulator's own address
        cloud + path,
        data=json.dumps(body).encode(),
        method=method,
        headers={"X-Auth-Token": "demo-token", "Content-Type": "application/json"},
    )
    with _NO_PROXY.open(request, timeout=10) as answer:
        return str(json.load(answer)["job_id"])


def _follow(cluster: Cluster) -> bool:
    """Show the EvsJobs whenever their table changes, until all have ended or need a person."""
    started, last = time.monotonic(), ""
    while time.monotonic() - started < ENDED_WITHIN:
        jobs = json.loads(cluster.kubectl("get", "evsjobs", "-n", NAMESPACE, "-o", "json"))["items"]
        ended = bool(jobs) and all(_has_ended(job) for job in jobs)
        table = cluster.kubectl("get", "evsjobs", "-n", NAMESPACE)  # after that, so that the last table shows the end
        shown = [line.rsplit(None, 1)[0] for line in table.splitlines()]  # AGE changes by itself
        if "\n".join(shown) != last:
            last = "\n".join(shown)
            print(f"[{time.monotonic() - started:5.1f} s] kubectl get evsjobs -n {NAMESPACE}\n{table}", flush=True)
        if ended:
            return True
        time.sleep(0.4)
    print(f"demo: not all EvsJobs ended within {ENDED_WITHIN:.0f} s", file=sys.stderr)
    return False


def _has_ended(job: dict) -> bool:  # type: ignore[type-arg]  # an object as kubectl prints it
    conditions = {c["type"]: c["status"] for c in job.get("status", {}).get("conditions", [])}
    return "True" in (conditions.get("Complete"), conditions.get("Stalled"))


def _explain(cluster: Cluster, workdir: Path, cloud: str) -> None:
    get = f"kubectl get evsjob -n {NAMESPACE}"
    print("Why a job failed, and the volumes of one that did not:\n")
    for name, path in (
        ("batch-half-fails", "{.status.failure}"),
        ("create-batch", "{.status.volumeIds}"),
        ("wrong-credentials", '{.status.conditions[?(@.type=="Ready")].message}'),
    ):
        print(f"$ {get} {name} -o jsonpath='{path}'")
        print(cluster.kubectl("get", "evsjob", "-n", NAMESPACE, name, "-o", f"jsonpath={path}"), end="\n\n")
    lines = (workdir / "operator.log").read_text().splitlines()
    print("The operator's log:\n")
    print("\n".join(lines[-14:]), end="\n\n")
    print("What next: DEMO_KEEP=1 make demo leaves all of it running and prints KUBECONFIG and PATH, so that you can")
    print(f"  kubectl describe evsjob -n {NAMESPACE} create-batch")
    print(f"  kubectl wait -n {NAMESPACE} --for=condition=Complete evsjob/create --timeout=60s")
    print(f"  curl {cloud}/_sim/health    # the cloud: README of the simulator in operator/evs_simulator/", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
