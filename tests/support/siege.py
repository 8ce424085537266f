"""A tenant who attacks, one who must not notice, and what the attack may cost: memory, work and the victim's time.

`Siege` is a running operator over both namespaces, a cloud for the victim, and an allowed endpoint that answers what
the attacker likes. `others_go_on` is the rule that every attack is held against: the process is the same afterwards,
stayed within its memory, and polled the victim's job all the time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from controlplane import ControlPlane

from .account import Account, is_told, job, ours, secret, token_connection
from .evil import Evil, evil_host
from .jobs import body
from .operator_process import OperatorProcess, eventually, start_operator
from .scripted_cloud import PROJECT, ScriptedCloud, scripted_cloud

LIMIT = 512.0
"""MiB that the chart gives the operator."""
NOTICED = 8.0
"""Seconds without a poll of a job that is polled every second: the victim would notice. The machine may be busy."""
VICTIM_TOKEN = "Vk4QmZ8wLx2RtY7uPbN5cJ9sHdG3fE6aKiTo1Xq0"
SHARED_TOKEN = "MIIEowYJKoZIhvcNAQcCoIIElDCCBJACAQExDTALBglghkgBZQMEAgEwggLxBgkqhkiG9w0BBwGg"
"""A token of the platform, as IAM writes them."""
PULSE = "abcdef0123456789" * 2
_ALL = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
_RULES = [
    {"apiGroups": ["evs-operator.dev"], "resources": ["evsjobs", "evsconnections"], "verbs": _ALL},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": _ALL},
]


class Gauge:
    """What a process takes, as the kernel tells it."""

    def __init__(self, pid: int) -> None:
        self._proc = Path("/proc") / str(pid)

    def memory(self) -> float:
        """Return the resident memory in MiB."""
        return self._status("VmRSS")

    def peak(self) -> float:
        """Return the most resident memory since `forget_peak`, in MiB; 0 where the process is gone."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Have the kernel measure the peak anew."""
        (self._proc / "clear_refs").write_text("5", encoding="ascii")

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        fields = (self._proc / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sockets(self) -> int:
        """Return how many sockets are open."""
        names = list((self._proc / "fd").iterdir())
        return sum(_link(name).startswith("socket:") for name in names)

    def _status(self, name: str) -> float:
        try:
            lines = (self._proc / "status").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return 0.0
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0.0)


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


@dataclass
class Siege:
    """All that an attack needs; `mallory` attacks `victim`, `platform` is the administrator in its own namespace."""

    plane: ControlPlane
    kubeconfig: Path
    mallory: Account
    victim: Account
    platform: Account
    cloud: ScriptedCloud
    evil: Evil
    directory: Path
    flags: tuple[str, ...]
    running: ExitStack = field(default_factory=ExitStack)
    _numbers: Iterator[int] = field(default_factory=count)
    _operator: OperatorProcess | None = None

    @property
    def operator(self) -> OperatorProcess:
        """The operator; one that fell is started anew, for the fall that one test found is no fault of the next."""
        if self._operator is None or self._operator.process.poll() is not None:
            started = start_operator(self.kubeconfig, *self.flags, PYTHONPATH=str(self.directory))
            self._operator = self.running.enter_context(started)
        return self._operator

    @property
    def gauge(self) -> Gauge:
        """The measure of the operator that runs now."""
        return Gauge(self.operator.process.pid)

    def unique(self, word: str) -> str:
        """Return a word that no other test uses: what the operator knows of a credential outlives its connection."""
        return f"{word}-{next(self._numbers)}"

    def stop(self) -> None:
        """End the operator."""
        if self._operator is not None and self.operator_runs():
            self._operator.stop()

    def share(self, name: str, **spec: object) -> None:
        """Create a ClusterEvsConnection for both tenants, with the platform's token unless `auth` says otherwise."""
        self.platform.create(secret("shared-cloud", token=SHARED_TOKEN))
        auth = {"token": {"secretRef": {"name": "shared-cloud"}}}
        both = {"names": [self.mallory.namespace, self.victim.namespace]}
        given = {"endpoint": self.cloud.url, "projectId": PROJECT, "auth": auth, "allowedNamespaces": both, **spec}
        self.platform.create(ours("ClusterEvsConnection", name, **given))

    def start_pulse(self) -> None:
        """Have the victim follow a job that is polled every second; return once it is."""
        self.cloud.put(PULSE, {**body("RUNNING"), "job_id": PULSE})
        self.victim.create(secret("own", token=VICTIM_TOKEN), token_connection("default", self.cloud.url))
        self.victim.create(job("pulse", PULSE))
        seen = len(self.cloud.times.get(PULSE, []))
        eventually(lambda: len(self.cloud.times.get(PULSE, [])) > seen + 1, 30)

    @contextmanager
    def others_go_on(self, *, noticed: float = NOTICED, most: float = LIMIT) -> Iterator[None]:
        """Hold what happens in the block against the rule; `most` is in MiB, `noticed` in seconds."""
        process, gauge = self.operator.process, self.gauge
        gauge.forget_peak()
        began = time.monotonic()
        yield
        ended = time.monotonic()
        assert process.poll() is None, f"the operator ended with {process.poll()}:\n{self.operator_log(process.pid)}"
        polls = [at for at in self.cloud.times.get(PULSE, []) if began - NOTICED < at <= ended]
        gap = max((b - a for a, b in zip([began, *polls], [*polls, ended], strict=True)), default=ended - began)
        assert gap < noticed, f"the victim's job was not polled for {gap:.1f} s"
        assert gauge.peak() < most, f"the operator took {gauge.peak():.0f} MiB, more than {most:.0f}"
        assert self.operator.http("/healthz")[0] == 200

    @contextmanager
    def bounded(self, *, memory: float, cpu: float, blocked: float = 3.0) -> Iterator[None]:
        """Hold a block against its bounds: MiB more than before, CPU seconds, and seconds that /healthz waited."""
        gauge = self.gauge
        before, used = gauge.memory(), gauge.cpu()
        with self.others_go_on(most=min(LIMIT, before + memory)), Slowest(self.operator) as slowest:
            yield
            if self.operator_runs():
                spent = gauge.cpu() - used
                print(f"{gauge.peak() - before:.0f} MiB, {spent:.1f} s of CPU, /healthz {slowest.seconds:.2f} s")
                assert spent < cpu, f"{spent:.1f} s of CPU"
        assert slowest.seconds < blocked, f"/healthz took {slowest.seconds:.1f} s"

    def operator_runs(self) -> bool:
        """Tell whether the operator that was started last still runs."""
        return self._operator is not None and self._operator.process.poll() is None

    def told(self, kind: str, prefix: str = "") -> bool:
        """Tell whether each of mallory's objects has a status by now."""
        found = self.mallory.list(kind).items()
        return all(is_told(one) for name, one in found if name.startswith(prefix))

    def operator_log(self, pid: int) -> str:
        """Return the end of the log of an operator."""
        operator = self._operator
        return operator.log[-2000:] if operator is not None and operator.process.pid == pid else ""

    def clear(self) -> None:
        """Take away what the attacker made, and the shared connections."""
        self.mallory.clear()
        for name in self.platform.list("ClusterEvsConnection"):
            self.platform.delete("ClusterEvsConnection", name)
        self.evil.answers.clear()


@contextmanager
def siege(
    plane: ControlPlane, kubeconfig: Path, platform: str, label: str, directory: Path, *flags: str, names: str = ""
) -> Iterator[Siege]:
    """Set up both tenants and the operator.

    PORT in a flag becomes that of the victim's cloud; `names` is code that has the process resolve names as a test
    wants.
    """
    tenants = (f"mallory-{label}", f"victim-{label}")
    mallory, victim = (Account(plane.kubeconfig_for(name, "tenant", _RULES), name) for name in tenants)
    (directory / "sitecustomize.py").write_text(names, encoding="utf-8")
    with scripted_cloud() as cloud, evil_host() as evil, ExitStack() as running:
        cloud.tokens = {VICTIM_TOKEN, SHARED_TOKEN}
        where = ("--namespace", tenants[0], "--namespace", tenants[1], "--operator-namespace", platform)
        port = cloud.url.rpartition(":")[2]
        more = [flag.replace("PORT", port) for flag in flags]
        allowed = ("--allow-endpoint", cloud.url, "--allow-endpoint", evil.url, *more)
        admin = Account(plane.admin_kubeconfig, platform)
        it = Siege(plane, kubeconfig, mallory, victim, admin, cloud, evil, directory, (*where, *allowed), running)
        it.operator.wait_ready()
        it.start_pulse()
        try:
            yield it
        finally:
            it.clear()
            for account in (mallory, victim, admin):
                account.close()


class Slowest:
    """The longest time that /healthz took, asked again and again by a thread until the block ends."""

    def __init__(self, operator: OperatorProcess) -> None:
        self.seconds = 0.0
        self._operator = operator
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Slowest:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End with the answer to the last question."""
        self._over.set()
        self._thread.join(10)

    def _ask(self) -> None:
        while not self._over.wait(0.05):
            began = time.monotonic()
            self._operator.http("/healthz")
            self.seconds = max(self.seconds, time.monotonic() - began)


def named(message: str, *quoted: str) -> str:
    """Return a message with what it quotes taken out, whole or cut, so that two of them can be compared."""
    for text in sorted(quoted, key=len, reverse=True):
        for end in range(len(text), min(len(text), 16) - 1, -1):
            if text[:end] in message:
                message = message.replace(text[:end], "<it>")
                break
    return message
