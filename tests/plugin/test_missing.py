"""Whatever is missing, every command says so in one line that begins with `error:`, and ends with its code."""

from __future__ import annotations

import os
import subprocess

import pytest

from support.plugin import PROGRAM, FakeCluster

_COMMANDS = (
    ("create", "--job-id", "ff80808292ab11f5"),
    ("get",),
    ("get", "job"),
    ("wait", "job"),
    ("wait", "-l", "a=b"),
    ("explain", "job"),
    ("timeline", "job"),
    ("reconcile", "job"),
    ("suspend", "job"),
    ("resume", "job"),
)
_COMPLAINTS = {
    "CRDs": (
        'error: the server doesn\'t have a resource type "evsjobs"',
        2,
        "error: this cluster has no EvsJobs: the CRDs of evs-operator are not installed; ask for its installation",
    ),
    "CRDs, on create": (
        'error: resource mapping not found for name: "x" namespace: "" from "STDIN": no matches for kind "EvsJob" in '
        'version "evs-operator.dev/v1alpha1"\nensure CRDs are installed first',
        2,
        "error: this cluster has no EvsJobs: the CRDs of evs-operator are not installed; ask for its installation",
    ),
    "permission": (
        'Error from server (Forbidden): evsjobs.evs-operator.dev "job" is forbidden: User "system:serviceaccount:a:ci" '
        'cannot get resource "evsjobs" in API group "evs-operator.dev" in the namespace "team-a"',
        2,
        "error: permission is missing: system:serviceaccount:a:ci may not get evsjobs in the namespace team-a; "
        "ask for a Role with that verb",
    ),
    "namespace": (
        'Error from server (NotFound): error when creating "STDIN": namespaces "nope" not found',
        4,
        "error: there is no namespace nope",
    ),
    "credentials": (
        "E1130 14:00:00.000000   1 memcache.go:265] couldn't get current server API group list: the server has asked "
        "for the client to provide credentials\nerror: You must be logged in to the server (the server has asked for "
        "the client to provide credentials)",
        2,
        "error: the cluster refused your credentials: sign in again, or name another --context or --kubeconfig",
    ),
    "API server": (
        "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?",
        2,
        "error: the API server is out of reach: The connection to the server 10.0.0.1:6443 was refused - did you "
        "specify the right host or port?",
    ),
    "kubeconfig": (
        "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
        2,
        "error: no cluster is configured: set KUBECONFIG, or name a --kubeconfig",
    ),
    "anything else": ("error: \x1b[2Jsomething new", 2, "error: \\x1b[2Jsomething new"),
}


@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
def test_every_command_says_in_one_line_what_is_missing(cluster: FakeCluster, command: tuple[str, ...]) -> None:
    for said, code, line in _COMPLAINTS.values():
        cluster.complain(said)
        done = cluster.call(*command)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", f"{line}\n")


@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
def test_without_kubectl_every_command_says_so(cluster: FakeCluster, command: tuple[str, ...]) -> None:
    for kubectl, why in (("/nowhere/kubectl", "was not found"), ("/", "cannot be started (Permission denied)")):
        done = cluster.call(*command, KUBECTL=kubectl)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"error: {kubectl} {why}: install kubectl, or name one in KUBECTL\n"


@pytest.mark.parametrize("command", [each for each in _COMMANDS if each[-1] == "job"], ids=" ".join)
def test_a_name_that_is_not_there_is_named_with_its_namespace(cluster: FakeCluster, command: tuple[str, ...]) -> None:
    done = cluster.call(*command)
    assert (done.returncode, done.stderr) == (4, "error: there is no EvsJob job in the namespace team-a\n")


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("wait",),
        ("wait", "--nonsense"),
        ("wait", "evsconnection/default"),
        ("wait", "job", "-l", "a=b"),
        ("wait", "-l", ""),
        ("suspend", "-l", " "),
        ("wait", "job", "-A"),
        ("wait", "job", "--timeout", "soon"),
        ("get", "--state", "broken"),
        ("get", "-o", "xml"),
        ("create",),
        ("create", "--job-id", "x", "-f", "-"),
        ("create", "--job-id", "x"),
        ("create", "--job-id", "ff80808292ab11f5", "--deadline", "0.5s"),
        ("create", "--job-id", "ff80808292ab11f5", "--label", "a"),
        ("create", "Wrong_Name", "--job-id", "ff80808292ab11f5"),
        ("create", "-f", "/nowhere"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused_in_one_line_before_kubectl_is_asked(
    cluster: FakeCluster, words: tuple[str, ...]
) -> None:
    done = cluster.call(*words)
    assert (done.returncode, done.stdout, cluster.calls) == (2, "", [])
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [("get",), ("wait", "job"), ("explain", "job")], ids=" ".join)
def test_output_that_cannot_be_written_is_no_failed_job(cluster: FakeCluster, command: tuple[str, ...]) -> None:
    cluster.put("job", "job-succeeded")
    words = [*PROGRAM, *command]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            words, env=cluster.environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.endswith("error: the output cannot be written: No space left on device\n")
    assert "Traceback" not in done.stderr

    reader, writer = os.pipe()
    os.close(reader)
    closed = subprocess.run(words, env=cluster.environment, stdout=writer, stderr=subprocess.STDOUT, check=False)
    os.close(writer)
    assert closed.returncode == 141
