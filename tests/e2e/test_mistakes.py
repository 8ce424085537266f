"""Mistakes that people make, one by one: what `kubectl get -o wide` and `describe` say is enough to mend them.

All mistakes are made at once, each with objects of its own name, in front of one operator, a real API server and the
simulator. What kubectl refuses before anything is stored is here too: its words are all that a person gets.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from controlplane import ControlPlane
from support.certificates import make_authority, make_certificate
from support.operator_process import Objects, custom, eventually, start_operator
from support.simulator import PROJECT, TOKEN, SimulatorProcess, run_simulator

KEY = {"access_key": "AKOFTHEMISTAKES", "secret_key": "the-secret-key-of-the-mistakes"}
HOST = "evs.eu-xx-77.otc.t-systems.com"
"""A public region that does not exist; no DNS of a test machine knows it."""
HOST_OF_NOBODY = "127.0.0.1"
_AT_ONCE = 30.0


@dataclass(frozen=True)
class Mistake:
    """What is applied under one name, and what has to be read: the reason of `Ready` and parts of its message.

    `secret` None makes no Secret; `auth` has no secretRef yet. `warns`: `describe` shows a Warning.
    """

    reason: str
    says: tuple[str, ...]
    secret: dict[str, str] | None = field(default_factory=lambda: {"token": TOKEN})
    auth: str = "token"
    auth_more: dict[str, Any] = field(default_factory=dict)
    connection: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)
    warns: bool = True


MISTAKES = {
    "secret-missing": Mistake("CredentialsInvalid", ("Secret NS/NAME does not exist: create it",), secret=None),
    "wrong-key-names": Mistake(
        "CredentialsInvalid",
        ("Secret NS/NAME lacks accessKey, secretKey for auth.accessKey",),
        {"ak": "A", "sk": "B"},
        "accessKey",
    ),
    "domain-name-missing": Mistake(
        "CredentialsInvalid",
        ("Secret NS/NAME lacks domainName for auth.password",),
        {"username": "demo", "password": "demo-password"},
        "password",
        {"iamEndpoint": "SIMULATOR"},
    ),
    "header-pasted": Mistake(
        "Unauthorized",
        ("EvsConnection NS/NAME", "Secret NS/NAME", "is it complete, of this cloud, and on one line?"),
        {"token": f"X-Subject-Token {TOKEN}"},
    ),
    "base64-twice": Mistake(
        "Unauthorized",
        ("EvsConnection NS/NAME", "Secret NS/NAME", "is it complete, of this cloud, and on one line?"),
        {"token": base64.b64encode(TOKEN.encode()).decode()},
    ),
    "secret-key-wrong": Mistake(
        "Unauthorized",
        ("EvsConnection NS/NAME", "the secret key does not belong to the access key", "Secret NS/NAME"),
        {"accessKey": KEY["access_key"], "secretKey": "another-secret-key"},
        "accessKey",
    ),
    "access-key-unknown": Mistake(
        "Unauthorized",
        ("EvsConnection NS/NAME", "the access key is unknown to this cloud or region", "Secret NS/NAME"),
        {"accessKey": "AKNOBODYKNOWS", "secretKey": "another-secret-key"},
        "accessKey",
    ),
    "password-wrong": Mistake(
        "Unauthorized",
        ("EvsConnection NS/NAME", "the user name, the password or domainName is wrong", "Secret NS/NAME"),
        {"username": "demo", "password": "no", "domainName": "demo-domain"},
        "password",
        {"iamEndpoint": "SIMULATOR"},
    ),
    "iam-not-allowed": Mistake(
        "EndpointNotAllowed",
        ("endpoint https://iam.example.com is not allowed", "have whoever runs the operator name it"),
        {"username": "demo", "password": "no", "domainName": "demo-domain"},
        "password",
        {"iamEndpoint": "https://iam.example.com"},
    ),
    "endpoint-not-allowed": Mistake(
        "EndpointNotAllowed",
        ("endpoint https://evs.example.com is not allowed", "have whoever runs the operator name it"),
        connection={"endpoint": "https://evs.example.com"},
    ),
    "host-name-mistyped": Mistake(
        "Unreachable", ("its name is not known to DNS",), connection={"endpoint": f"https://{HOST}"}, warns=False
    ),
    "port-wrong": Mistake("Unreachable", ("connection refused",), connection={"endpoint": "CLOSED"}, warns=False),
    "self-signed": Mistake(
        "Unreachable",
        ("its TLS certificate is not trusted", "spec.tls"),
        connection={"endpoint": "SELF_SIGNED"},
        warns=False,
    ),
    "ca-secret-missing": Mistake(
        "CredentialsInvalid",
        ("Secret NS/nope does not exist: create it",),
        connection={"tls": {"caSecretRef": {"name": "nope"}}},
    ),
    "ca-key-wrong": Mistake(
        "CredentialsInvalid",
        ("Secret NS/NAME lacks ca.crt for tls.caSecretRef",),
        connection={"tls": {"caSecretRef": {"name": "NAME"}}},
    ),
    "ca-no-certificate": Mistake(
        "CredentialsInvalid",
        ("key ca.crt of Secret NS/NAME", "CA"),
        {"token": TOKEN, "ca.crt": "# für\nno certificate at all"},
        connection={"tls": {"caSecretRef": {"name": "NAME"}}},
    ),
    "project-wrong": Mistake(
        "WrongProject",
        ("Set spec.projectId to the project that the credential belongs to",),
        connection={"projectId": "f" * 32},
    ),
    "no-project": Mistake(
        "InvalidSpec",
        ("no project: write spec.projectId here or in EvsConnection NS/NAME",),
        connection={"projectId": None},
    ),
    "connection-of-nobody": Mistake(
        "ConnectionNotFound",
        ("EvsConnection NS/nobody does not exist: create it, or correct spec.connectionRef",),
        job={"connectionRef": {"name": "nobody"}},
    ),
    "kind-left-out": Mistake(
        "ConnectionNotFound",
        ("EvsConnection NS/SHARED does not exist", "ClusterEvsConnection", "connectionRef.kind"),
        job={"connectionRef": {"name": "SHARED"}},
    ),
    "namespace-not-named": Mistake(
        "ConnectionNotAllowed",
        ("ClusterEvsConnection SHARED does not allow namespace 'NS'", "spec.allowedNamespaces"),
        job={"connectionRef": {"kind": "ClusterEvsConnection", "name": "SHARED"}},
    ),
    "no-default-connection": Mistake(
        "ConnectionNotFound",
        ("no connection: create EvsConnection NS/default, or name one in spec.connectionRef",),
        job={"connectionRef": None},
    ),
    "suspended": Mistake(
        "Suspended", ("spec.suspend is true: the job is not polled",), job={"suspend": True}, warns=False
    ),
    "job-id-wrong-and-late": Mistake(
        "DeadlineExceeded",
        ("no answer showed the job within 2 s", "query job fail"),
        job={"jobId": "ff80808292ab11f50193d0c1a5e40b99", "deadlineSeconds": 2},
    ),
    "job-id-wrong": Mistake(
        "JobNotFound",
        ("query job fail", "Check spec.jobId, the project and the region"),
        job={"jobId": "ff80808292ab11f50193d0c1a5e40b98"},
        warns=False,
    ),
}

REFUSED = {
    "kind of the plural": ({"kind": "EvsJobs"}, {}, "no matches for kind"),
    "jobID": ({}, {"jobID": "x"}, 'unknown field "spec.jobID"'),
    "polling.interval": ({}, {"polling": {"interval": 5}}, 'unknown field "spec.polling.interval"'),
    "connectionRef.namespace": (
        {},
        {"connectionRef": {"name": "a", "namespace": "b"}},
        'unknown field "spec.connectionRef.namespace"',
    ),
    "an empty job id": ({}, {"jobId": ""}, "jobId must be the job_id of the EVS answer"),
    "a job id of digits": ({}, {"jobId": 12345678}, "must be of type string"),
    "the name of a project": ({}, {"projectId": "eu-de_project"}, "projectId must be the id of a project"),
    "a deadline of nothing": ({}, {"deadlineSeconds": 0}, "greater than or equal to 1"),
    "a deadline with a unit": ({}, {"deadlineSeconds": "10m"}, "must be of type integer"),
    "a minimum above the maximum": (
        {},
        {"polling": {"minIntervalSeconds": 60, "maxIntervalSeconds": 2}},
        "minIntervalSeconds",
    ),
    "a name with capitals": ({"metadata": {"name": "Data_Volumes"}}, {}, "RFC 1123"),
}


@pytest.fixture(scope="module")
def namespace_of_mistakes(crds: ControlPlane) -> str:
    crds.kubectl("create", "namespace", "mistakes")
    return "mistakes"


@pytest.fixture(scope="module")
def made(
    crds: ControlPlane, operator_kubeconfig: Path, namespace_of_mistakes: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Objects]:
    """Make every mistake; give the namespace."""
    objects = Objects(crds, namespace_of_mistakes)
    with run_simulator() as simulator, _self_signed(tmp_path_factory.mktemp("tls")) as self_signed:
        simulator.admin("POST", "access_keys", KEY)
        places = {
            "SIMULATOR": simulator.url,
            "SELF_SIGNED": self_signed,
            "CLOSED": f"https://{HOST_OF_NOBODY}:{_closed_port()}",
            "SHARED": "shared-by-mistake",
            "NS": namespace_of_mistakes,
        }
        allowed = (simulator.url, self_signed, places["CLOSED"])
        flags = [word for url in allowed for word in ("--allow-endpoint", url)]
        shared = custom(
            "ClusterEvsConnection",
            places["SHARED"],
            endpoint=simulator.url,
            auth={"token": {"secretRef": {"name": "nobody"}}},
        )
        crds.kubectl("apply", "-f", "-", input=json.dumps(shared))
        with start_operator(operator_kubeconfig, *flags):
            objects.apply(*(thing for name, one in MISTAKES.items() for thing in _things(name, one, simulator, places)))
            yield objects
            crds.kubectl("delete", "clusterevsconnection", places["SHARED"])


def _closed_port() -> int:
    with socket.socket() as free:
        free.bind((HOST_OF_NOBODY, 0))
        return int(free.getsockname()[1])


@contextmanager
def _self_signed(directory: Path) -> Iterator[str]:
    """Serve TLS with a certificate that nobody trusts."""
    make_authority(directory, "nobody")
    make_certificate(directory, "server", "nobody", f"IP:{HOST_OF_NOBODY}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.crt", directory / "server.key")
    server = socket.create_server((HOST_OF_NOBODY, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://{HOST_OF_NOBODY}:{server.getsockname()[1]}"
    server.close()


def _things(name: str, one: Mistake, simulator: SimulatorProcess, places: dict[str, str]) -> Iterator[dict[str, Any]]:
    places = {**places, "NAME": name}
    if one.secret is not None:
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": one.secret}
    auth = {one.auth: {"secretRef": {"name": name}, **one.auth_more}}
    spec = {"endpoint": simulator.url, "projectId": PROJECT, "auth": auth, **one.connection}
    yield custom("EvsConnection", name, **_filled(spec, places))
    job_id = simulator.add_job(never_ends=True, begin_in=-60)
    yield custom("EvsJob", name, **_filled({"jobId": job_id, "connectionRef": {"name": name}, **one.job}, places))


def _filled(value: Any, places: dict[str, str]) -> Any:
    """Put what is only known at run time into a spec, and leave out what is None."""
    if isinstance(value, dict):
        return {key: _filled(item, places) for key, item in value.items() if item is not None}
    return places.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_can_be_mended_from_what_the_table_and_describe_say(made: Objects, name: str) -> None:
    one, places = MISTAKES[name], {"NS": made.namespace, "NAME": name, "SHARED": "shared-by-mistake"}
    parts = [re.sub(rf"\b({'|'.join(places)})\b", lambda match: places[match[0]], part) for part in one.says]

    def row() -> str:
        return made.kubectl("get", "evsjob", name, "-o", "wide", "--no-headers").stdout

    eventually(lambda: one.reason in row().split(), _AT_ONCE, row)
    for part in parts:
        assert part in row(), row()
    described = made.kubectl("describe", "evsjob", name).stdout
    for part in parts:
        assert part in " ".join(described.split()), described
    if one.warns:
        eventually(lambda: "Warning" in made.kubectl("describe", "evsjob", name).stdout, 10)


@pytest.mark.parametrize("name", REFUSED)
def test_what_kubectl_refuses_says_which_field_and_what_it_must_be(
    crds: ControlPlane, namespace_of_mistakes: str, name: str
) -> None:
    outside, spec, says = REFUSED[name]
    manifest = custom("EvsJob", "refused", **{"jobId": "ff80808292ab11f50193d0c1a5e40b17", **spec})
    manifest = {**manifest, **outside, "metadata": {**manifest["metadata"], **outside.get("metadata", {})}}
    done = crds.kubectl("apply", "-n", namespace_of_mistakes, "-f", "-", input=json.dumps(manifest), check=False)
    assert done.returncode != 0
    assert says in done.stderr
