"""Starts etcd and kube-apiserver and says when they are ready.

`plane` calls `launch` once and `again` for an API server that was ended on purpose. Ports are asked of the kernel and
taken a moment later; where another process was faster, the start is repeated with other ports. The API server makes
its own certificate, and its key signs the ServiceAccount tokens too: one key fewer to make, and no tool needed to
make it.
"""

import http.client
import json
import secrets
import shutil
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from controlplane.binaries import Binaries
from controlplane.children import Child, clean_environment

_ATTEMPTS = 5
_READY_WITHIN = 120.0
_HOST = "127.0.0.1"

T = TypeVar("T")

_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "RequestResponse", "resources": [{"group": "evs-operator.dev"}]},
        {"level": "Metadata"},
    ],
}


class LaunchError(RuntimeError):
    """A program ended or did not become ready; the message carries the end of its log."""


class _PortTakenError(LaunchError):
    """Another process took the port in between."""


@dataclass(slots=True)
class Running:
    """The two programs and what a client of theirs must know; `apiserver` is replaced when it is started again."""

    etcd: Child
    etcd_url: str
    apiserver: Child
    port: int
    ca_file: Path
    admin_token: str

    @property
    def server(self) -> str:
        """The https origin of the API server."""
        return f"https://{_HOST}:{self.port}"

    def stop(self) -> None:
        """End both, the API server first; it gets little time, for it would wait for its clients."""
        self.apiserver.stop(timeout=5.0)
        self.etcd.stop()


def launch(programs: Binaries, directory: Path, *, audit: bool) -> Running:
    """Start both programs with their files in `directory`; returns when /readyz is ok, raises LaunchError."""
    token = secrets.token_urlsafe(24)
    (directory / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    (directory / "tokens.csv").chmod(0o600)
    (directory / "audit-policy.json").write_text(json.dumps(_AUDIT_POLICY))
    etcd, etcd_url = _with_free_ports(lambda: _start_etcd(programs, directory))
    try:
        apiserver, port = _with_free_ports(lambda: _start_apiserver(programs, directory, etcd_url, _free_port(), audit))
    except BaseException:
        etcd.stop()
        raise
    return Running(etcd, etcd_url, apiserver, port, _certificate(directory), token)


def again(running: Running, programs: Binaries, directory: Path, *, audit: bool) -> Child:
    """Start the API server anew at the same address; clients find the same certificate and the same objects."""
    return _start_apiserver(programs, directory, running.etcd_url, running.port, audit)[0]


def etcd_again(running: Running, programs: Binaries, directory: Path) -> Child:
    """Start etcd anew at the same address, with the data that lies in its directory."""
    port = int(running.etcd_url.rpartition(":")[2])
    return _run_etcd(programs, directory, port)


def _certificate(directory: Path) -> Path:
    return directory / "certificates" / "apiserver.crt"


def _with_free_ports(start: Callable[[], tuple[Child, T]]) -> tuple[Child, T]:
    for _ in range(_ATTEMPTS - 1):
        try:
            return start()
        except _PortTakenError:
            continue
    return start()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _start_etcd(programs: Binaries, directory: Path) -> tuple[Child, str]:
    port = _free_port()
    shutil.rmtree(directory / "etcd", ignore_errors=True)  # of an attempt before: it remembers its ports
    return _run_etcd(programs, directory, port), f"http://{_HOST}:{port}"


def _run_etcd(programs: Binaries, directory: Path, port: int) -> Child:
    data, url = directory / "etcd", f"http://{_HOST}:{port}"
    arguments = [
        str(programs.etcd),
        f"--data-dir={data}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls=http://{_HOST}:0",
        "--unsafe-no-fsync=true",
        "--log-level=warn",
    ]
    child = Child(arguments, log=directory / "etcd.log", cwd=directory, env=clean_environment())
    _wait(child, "etcd", lambda: http.client.HTTPConnection(_HOST, port, timeout=5), "/health", {})
    return child


def _start_apiserver(programs: Binaries, directory: Path, etcd_url: str, port: int, audit: bool) -> tuple[Child, int]:
    certificate = _certificate(directory)
    key = certificate.with_suffix(".key")
    arguments = [
        str(programs.kube_apiserver),
        f"--etcd-servers={etcd_url}",
        f"--bind-address={_HOST}",
        f"--advertise-address={_HOST}",
        f"--secure-port={port}",
        f"--cert-dir={certificate.parent}",
        f"--token-auth-file={directory / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer=https://{_HOST}:{port}/",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins=ServiceAccount",  # no controller makes the default ServiceAccount that it asks for
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        "--profiling=false",
    ]
    if audit:
        arguments += [
            f"--audit-policy-file={directory / 'audit-policy.json'}",
            f"--audit-log-path={directory / 'audit.log'}",
            "--audit-log-mode=blocking-strict",
            "--audit-log-maxsize=0",
        ]
    token = (directory / "tokens.csv").read_text().split(",", 1)[0]

    def connect() -> http.client.HTTPConnection:
        trust = ssl.create_default_context(cafile=certificate)  # not there before the first start made it
        return http.client.HTTPSConnection(_HOST, port, timeout=5, context=trust)

    child = Child(arguments, log=directory / "kube-apiserver.log", cwd=directory, env=clean_environment())
    _wait(child, "kube-apiserver", connect, "/readyz", {"Authorization": f"Bearer {token}"})
    return child, port


def _wait(
    child: Child, name: str, connect: Callable[[], http.client.HTTPConnection], path: str, headers: dict[str, str]
) -> None:
    """Return when `path` answers 200; end the child and raise when it does not come to that."""
    deadline = time.monotonic() + _READY_WITHIN
    try:
        while child.exit_code is None:
            if _answers(connect, path, headers):
                return
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"{name} is not ready after {_READY_WITHIN:.0f} s; its log ends:\n{child.last_words()}"
                )
            time.sleep(0.05)
    except BaseException:
        child.stop()
        raise
    words = child.last_words()
    taken = "address already in use" in words
    raise (_PortTakenError if taken else LaunchError)(f"{name} ended (exit {child.exit_code}); its log ends:\n{words}")


def _answers(connect: Callable[[], http.client.HTTPConnection], path: str, headers: dict[str, str]) -> bool:
    try:
        connection = connect()
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status == http.client.OK
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):  # not listening yet, or no certificate yet
        return False
