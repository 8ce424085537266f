"""The CRDs as the real API server serves them: documentation, defaults, columns, selection, status."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from evs_operator.api import names
from support import crds as files
from support.jobs import JOB_ID
from support.largest import largest_status

if TYPE_CHECKING:
    from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("crds")

EXPLAINED = (".spec", ".spec.polling", ".spec.auth.password", ".spec.allowedNamespaces.selector", ".status.failure")
OBJECTS = [
    (names.PLURALS[kind][:-1] + path, kind, path)
    for kind in files.KINDS
    for path in ("", *(path for path, _ in files.fields(files.schema(kind)) if path in EXPLAINED))
]


_PENDING = {
    "type": "Ready",
    "status": "Unknown",
    "reason": "Pending",
    "message": "waiting for the operator",
    "lastTransitionTime": "1970-01-01T00:00:00Z",
}
"""What the API server says of an object that no operator has looked at."""


def evs_job(namespace: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": names.API_VERSION, "kind": "EvsJob", "metadata": metadata, **fields}


def create(control_plane: ControlPlane, manifest: dict[str, Any]) -> dict[str, Any]:
    done = control_plane.kubectl("create", "--validate=strict", "-f", "-", "-o", "json", input=json.dumps(manifest))
    return dict(json.loads(done.stdout))


def write_status(control_plane: ControlPlane, manifest: dict[str, Any]) -> dict[str, Any]:
    """Write a status as the operator does: server-side apply to the status subresource."""
    flags = ("--server-side", "--subresource=status", "--field-manager=evs-operator", "-f", "-", "-o", "json")
    return dict(json.loads(control_plane.kubectl("apply", *flags, input=json.dumps(manifest)).stdout))


def rows(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """Split kubectl's table at its columns, which begin where the words of the header do."""
    header, *lines = done.stdout.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", header)]
    return [[line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for line in (header, *lines)]


def test_the_crds_are_established_without_a_warning(control_plane: ControlPlane) -> None:
    flags = ("--server-side", "--validate=strict", "--warnings-as-errors", "--force-conflicts")
    done = control_plane.kubectl("apply", *flags, "-f", str(files.DIRECTORY))
    assert not done.stderr

    for kind in files.KINDS:
        crd = control_plane.kubectl("get", "crd", f"{names.PLURALS[kind]}.{names.GROUP}", "-o", "json").stdout
        conditions = {c["type"]: c["status"] for c in json.loads(crd)["status"]["conditions"]}
        assert conditions["Established"] == "True"
        assert conditions["NamesAccepted"] == "True"
        assert conditions.get("NonStructuralSchema", "False") == "False"


def test_the_crds_can_be_applied_without_server_side_apply(control_plane: ControlPlane) -> None:
    done = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(files.DIRECTORY))

    assert done.stdout.count("(server dry run)") == 3


@pytest.mark.parametrize(("what", "kind", "path"), OBJECTS, ids=[what for what, _, _ in OBJECTS])
def test_kubectl_explain_tells_what_every_field_means(
    control_plane: ControlPlane, what: str, kind: str, path: str
) -> None:
    explained = " ".join(control_plane.kubectl("explain", what).stdout.split())

    node = dict(files.fields(files.schema(kind)))[path] if path else files.schema(kind)
    described = [node, *(child for name, child in node["properties"].items() if name != "metadata")]
    for one in described:
        assert " ".join(one["description"].split()) in explained


def test_no_field_that_the_server_publishes_is_without_a_description(control_plane: ControlPlane) -> None:
    path = f"/openapi/v3/apis/{names.API_VERSION}"
    published = json.loads(control_plane.kubectl("get", "--raw", path).stdout)["components"]["schemas"]

    for kind in files.KINDS:
        served = published[f"dev.evs-operator.{names.VERSION}.{kind}"]
        silent = [path for path, node in files.fields(served) if not node.get("description")]
        assert not silent


def test_a_new_object_has_a_status_that_says_it_was_not_looked_at_yet(
    control_plane: ControlPlane, namespace: str
) -> None:
    spec = {"jobId": JOB_ID, "connectionRef": {"name": "default"}}

    stored = create(control_plane, evs_job(namespace, "new", spec=spec, status={"jobStatus": "SUCCESS"}))

    assert stored["status"] == {"observedGeneration": -1, "state": "Pending", "conditions": [_PENDING]}
    assert stored["metadata"]["generation"] == 1


def test_defaults_are_filled_in_where_the_spec_is_silent(control_plane: ControlPlane, namespace: str) -> None:
    spec = {"jobId": JOB_ID, "connectionRef": {"name": "eu"}, "polling": {}}
    silent = create(control_plane, evs_job(namespace, "silent", spec={"jobId": JOB_ID}))
    named = create(control_plane, evs_job(namespace, "named", spec=spec))

    assert silent["spec"] == {"jobId": JOB_ID, "suspend": False}
    assert named["spec"]["connectionRef"] == {"kind": "EvsConnection", "name": "eu"}
    assert named["spec"]["polling"] == {}, "the adaptive interval is the operator's, no default of the schema"


def test_a_connection_has_the_usual_key_for_a_ca_and_a_status_of_nothing_known(
    control_plane: ControlPlane, namespace: str
) -> None:
    spec = {
        "endpoint": "https://evs.cloud.example.com",
        "auth": {"token": {"secretRef": {"name": "evs-token"}}},
        "tls": {"caSecretRef": {"name": "evs-ca"}},
    }
    for kind in ("EvsConnection", "ClusterEvsConnection"):
        manifest = {**evs_job(namespace, f"{namespace}-ca", spec=spec), "kind": kind}
        if kind == "ClusterEvsConnection":
            del manifest["metadata"]["namespace"]

        stored = create(control_plane, manifest)

        assert stored["spec"]["tls"]["caSecretRef"] == {"name": "evs-ca", "key": "ca.crt"}
        assert stored["status"] == {"observedGeneration": -1, "conditions": [_PENDING]}


def test_jobs_are_selected_by_their_job_id(control_plane: ControlPlane, namespace: str) -> None:
    for number in range(3):
        create(control_plane, evs_job(namespace, f"job-{number}", spec={"jobId": f"job-id-{number}"}))

    done = control_plane.kubectl(
        "get", "evsjobs", "-n", namespace, "--field-selector", "spec.jobId=job-id-1", "-o", "name"
    )

    assert done.stdout.split() == ["evsjob.evs-operator.dev/job-1"]


def test_the_table_of_jobs_says_what_happened_and_why(control_plane: ControlPlane, namespace: str) -> None:
    create(control_plane, evs_job(namespace, "fresh", spec={"jobId": JOB_ID}))
    create(control_plane, evs_job(namespace, "seen", spec={"jobId": JOB_ID}))
    ready = {"type": "Ready", "status": "False", "reason": "SubJobFailed", "message": "1 of 2 sub-jobs failed"}
    status = {
        "observedGeneration": 1,
        "jobStatus": "SUCCESS",
        "jobType": "batchCreateVolume",
        "progress": "2/2",
        "duration": "31.1s",
        "volumeIds": ["0b549095-4937-4849-8e4c-52aa027d64f7", *(f"{number:036d}" for number in range(199))],
        "conditions": [{**ready, "lastTransitionTime": "2026-02-03T09:15:30Z", "observedGeneration": 1}],
    }
    write_status(control_plane, evs_job(namespace, "seen", status=status))

    header, fresh, seen = rows(control_plane.kubectl("get", "evsj", "-n", namespace, "-o", "wide"))
    lines = control_plane.kubectl("get", "evsj", "-n", namespace, "-o", "wide").stdout.splitlines()
    narrow, *_ = rows(control_plane.kubectl("get", "evsj", "-n", namespace))

    assert narrow == ["NAME", "STATUS", "READY", "REASON", "PROGRESS", "TYPE", "AGE"]
    assert header == [*narrow, "JOB", "VOLUMES", "DURATION", "MESSAGE"]
    assert [*fresh[:6], *fresh[7:]] == [
        "fresh",
        "",
        "Unknown",
        "Pending",
        "",
        "",
        JOB_ID,
        "",
        "",
        "waiting for the operator",
    ]
    assert max(map(len, lines)) < 250, "200 volumes do not flood a terminal"
    assert seen[:6] == ["seen", "SUCCESS", "False", "SubJobFailed", "2/2", "batchCreateVolume"]
    assert seen[7:] == [JOB_ID, "0b549095-4937-4849-8e4c-52aa027d64f7", "31.1s", "1 of 2 sub-jobs failed"]


@pytest.mark.parametrize(("kind", "short"), [("EvsConnection", "evsc"), ("ClusterEvsConnection", "cevsc")])
def test_the_table_of_connections_says_whether_they_can_be_used(
    control_plane: ControlPlane, namespace: str, kind: str, short: str
) -> None:
    spec = {"endpoint": "https://evs.example.com", "auth": {"token": {"secretRef": {"name": "evs-token"}}}}
    metadata = {"name": f"{namespace}-{short}", **({"namespace": namespace} if kind == "EvsConnection" else {})}
    connection = {"apiVersion": names.API_VERSION, "kind": kind, "metadata": metadata}
    create(control_plane, {**connection, "spec": spec})
    ready = {"type": "Ready", "status": "False", "reason": "SecretNotFound", "message": "create the Secret evs-token"}
    condition = {**ready, "lastTransitionTime": "2026-02-03T09:15:30Z", "observedGeneration": 1}
    write_status(control_plane, {**connection, "status": {"observedGeneration": 1, "conditions": [condition]}})

    header, row = rows(control_plane.kubectl("get", short, metadata["name"], "-n", namespace, "-o", "wide"))

    assert header == ["NAME", "READY", "REASON", "ENDPOINT", "AGE", "MESSAGE"]
    assert row[1:4] == ["False", "SecretNotFound", "https://evs.example.com"]
    assert row[5] == "create the Secret evs-token"


def test_one_category_lists_all_kinds(control_plane: ControlPlane) -> None:
    done = control_plane.kubectl("api-resources", "--categories=evs", "--api-group", names.GROUP, "-o", "name")

    assert set(done.stdout.split()) == {f"{plural}.{names.GROUP}" for plural in names.PLURALS.values()}


def test_a_condition_is_the_condition_of_kubernetes(control_plane: ControlPlane) -> None:
    published = json.loads(control_plane.kubectl("get", "--raw", "/openapi/v3/api/v1").stdout)["components"]["schemas"]
    theirs = published["io.k8s.apimachinery.pkg.apis.meta.v1.Condition"]
    # what the markers of metav1.Condition bound, which the API server does not publish for built-in kinds
    markers: dict[str, dict[str, Any]] = {
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "message": {"maxLength": 32768},
        "observedGeneration": {"minimum": 0},
        "reason": {"minLength": 1, "maxLength": 1024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
        "status": {"enum": ["True", "False", "Unknown"]},
        "type": {
            "maxLength": 316,
            "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
            r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        },
    }
    expected = {
        name: {key: field[key] for key in ("description", "type", "format") if key in field} | markers[name]
        for name, field in theirs["properties"].items()
    }

    for kind in files.KINDS:
        conditions = files.schema(kind)["properties"]["status"]["properties"]["conditions"]
        ours = conditions["items"]
        assert ours["description"] == theirs["description"]
        assert set(ours["required"]) == set(theirs["required"])
        assert ours["properties"] == expected
        assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_the_largest_status_is_stored_whole_and_the_object_stays_under_256_kib(
    control_plane: ControlPlane, namespace: str
) -> None:
    create(control_plane, evs_job(namespace, "huge", spec={"jobId": JOB_ID}))
    status = json.loads(json.dumps(largest_status()))

    write_status(control_plane, evs_job(namespace, "huge", status=status))

    path = f"/apis/{names.API_VERSION}/namespaces/{namespace}/evsjobs/huge"
    stored = control_plane.kubectl("get", "--raw", path).stdout
    assert json.loads(stored)["status"] == status, "nothing is pruned"
    assert len(stored.encode()) < 256 * 1024, "managed fields included"


def test_a_status_write_leaves_the_conditions_of_others(control_plane: ControlPlane, namespace: str) -> None:
    create(control_plane, evs_job(namespace, "shared", spec={"jobId": JOB_ID}))

    def condition(kind: str) -> dict[str, object]:
        moment = "2026-02-03T09:15:30Z"
        return {"type": kind, "status": "True", "reason": "Seen", "message": "", "lastTransitionTime": moment}

    foreign = evs_job(namespace, "shared", status={"conditions": [condition("example.com/Backup")]})
    control_plane.kubectl(
        "apply", "--server-side", "--subresource=status", "--field-manager=other", "-f", "-", input=json.dumps(foreign)
    )
    written = write_status(control_plane, evs_job(namespace, "shared", status={"conditions": [condition("Ready")]}))

    assert {one["type"] for one in written["status"]["conditions"]} == {"example.com/Backup", "Ready"}
