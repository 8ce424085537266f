"""The rules of EvsJob on the real API server: one row for each thing that is accepted or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evs_operator.api import names
from evs_operator.api.spec import parse_spec

if TYPE_CHECKING:
    from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("crds")

JOB_ID = "4010a32d535527910153552b492c0002"
PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"


def apply(control_plane: ControlPlane, spec: dict[str, Any] | None) -> tuple[bool, str]:
    """Have the API server judge an EvsJob (None: without a spec); return whether it was accepted, and what was said."""
    metadata = {"name": "judged", "namespace": "default"}
    manifest: dict[str, object] = {"apiVersion": names.API_VERSION, "kind": "EvsJob", "metadata": metadata}
    if spec is not None:
        manifest["spec"] = spec
    flags = ("--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-")
    done = control_plane.kubectl("apply", *flags, input=json.dumps(manifest), check=False)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "spec",
    [
        {"jobId": JOB_ID},
        {"jobId": "4010A32D"},
        {"jobId": "bdf1bb37-f20f-4266-9a04-f43e0a127376"},
        {"jobId": "a" * 64},
        {"jobId": JOB_ID, "projectId": PROJECT},
        {"jobId": JOB_ID, "connectionRef": {"name": "default"}},
        {"jobId": JOB_ID, "connectionRef": {"kind": "ClusterEvsConnection", "name": "eu-de.team-a"}},
        {"jobId": JOB_ID, "connectionRef": {"kind": "EvsConnection", "name": "a" * 253}},
        {"jobId": JOB_ID, "polling": {}},
        {"jobId": JOB_ID, "polling": {"minIntervalSeconds": 1, "maxIntervalSeconds": 3600}},
        {"jobId": JOB_ID, "polling": {"minIntervalSeconds": 10, "maxIntervalSeconds": 10}},
        {"jobId": JOB_ID, "polling": {"minIntervalSeconds": 3600}},
        {"jobId": JOB_ID, "polling": {"maxIntervalSeconds": 1}},
        {"jobId": JOB_ID, "deadlineSeconds": 1},
        {"jobId": JOB_ID, "ttlSecondsAfterFinished": 0},
        {"jobId": JOB_ID, "suspend": True},
    ],
    ids=json.dumps,
)
def test_a_spec_that_can_be_followed_is_accepted_and_the_operator_reads_it(
    control_plane: ControlPlane, spec: dict[str, Any]
) -> None:
    accepted, said = apply(control_plane, spec)

    assert accepted, said
    assert parse_spec(spec).job_id == spec["jobId"]


JOB_ID_RULE = (
    "jobId must be the job_id of the EVS answer: write 8 to 64 letters, digits or dashes that begin with a letter "
    f"or digit, for example {JOB_ID}"
)
PROJECT_RULE = (
    "projectId must be the id of a project and not its name: write 32 lower-case hexadecimal digits, for example "
    f"{PROJECT}, or leave it out to use the project of the connection"
)
NAME_RULE = (
    "connectionRef.name must be the name of a connection: write lower-case letters, digits, dashes and dots, for "
    "example default"
)
POLLING_RULE = (
    "polling.minIntervalSeconds must not be above polling.maxIntervalSeconds: write a smaller minIntervalSeconds or "
    "a larger maxIntervalSeconds (equal values give a fixed interval)"
)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"jobId": None}, "spec.jobId", "Required value"),
        ({"jobId": ""}, "spec.jobId", JOB_ID_RULE),
        ({"jobId": "abcdefg"}, "spec.jobId", JOB_ID_RULE),
        ({"jobId": "a" * 65}, "spec.jobId", JOB_ID_RULE),
        ({"jobId": "-4010a32d"}, "spec.jobId", JOB_ID_RULE),
        ({"jobId": f"{JOB_ID}\n"}, "spec.jobId", JOB_ID_RULE),
        ({"jobId": f"../{JOB_ID}"}, "spec.jobId", JOB_ID_RULE),
        ({"jobId": "a" * 257}, "spec.jobId", "may not be more than 256 bytes"),
        ({"jobId": 40103253}, "spec.jobId", 'must be of type string: "integer"'),
        ({"projectId": ""}, "spec.projectId", PROJECT_RULE),
        ({"projectId": "eu-de_team-a"}, "spec.projectId", PROJECT_RULE),
        ({"projectId": PROJECT.upper()}, "spec.projectId", PROJECT_RULE),
        ({"projectId": PROJECT + "0"}, "spec.projectId", PROJECT_RULE),
        ({"connectionRef": {}}, "spec.connectionRef.name", "Required value"),
        ({"connectionRef": {"name": ""}}, "spec.connectionRef.name", NAME_RULE),
        ({"connectionRef": {"name": "Default"}}, "spec.connectionRef.name", NAME_RULE),
        ({"connectionRef": {"name": "team/default"}}, "spec.connectionRef.name", NAME_RULE),
        ({"connectionRef": {"name": "a..b"}}, "spec.connectionRef.name", NAME_RULE),
        ({"connectionRef": {"name": "a" * 254}}, "spec.connectionRef.name", "may not be more than 253 bytes"),
        (
            {"connectionRef": {"kind": "Secret", "name": "default"}},
            "spec.connectionRef.kind",
            'supported values: "EvsConnection", "ClusterEvsConnection"',
        ),
        ({"polling": {"minIntervalSeconds": 61, "maxIntervalSeconds": 60}}, "spec.polling", POLLING_RULE),
        ({"polling": {"minIntervalSeconds": 0}}, "spec.polling.minIntervalSeconds", "greater than or equal to 1"),
        ({"polling": {"minIntervalSeconds": 3601}}, "spec.polling.minIntervalSeconds", "less than or equal to 3600"),
        ({"polling": {"maxIntervalSeconds": 0}}, "spec.polling.maxIntervalSeconds", "greater than or equal to 1"),
        ({"polling": {"maxIntervalSeconds": 3601}}, "spec.polling.maxIntervalSeconds", "less than or equal to 3600"),
        ({"polling": {"minIntervalSeconds": "10s"}}, "spec.polling.minIntervalSeconds", "must be of type integer"),
        ({"deadlineSeconds": 0}, "spec.deadlineSeconds", "greater than or equal to 1"),
        ({"ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished", "greater than or equal to 0"),
        ({"suspend": "yes"}, "spec.suspend", "must be of type boolean"),
        ({"jobID": JOB_ID}, "spec.jobID", "unknown field"),
    ],
    ids=lambda value: json.dumps(value)[:80] if isinstance(value, dict) else "",
)
def test_a_spec_that_cannot_be_followed_is_refused_with_the_field_and_what_to_write(
    control_plane: ControlPlane, change: dict[str, Any], field: str, message: str
) -> None:
    spec = {key: value for key, value in {"jobId": JOB_ID, **change}.items() if value is not None}

    accepted, said = apply(control_plane, spec)

    assert not accepted
    assert field in said
    assert message in said


def test_a_job_without_a_spec_is_refused(control_plane: ControlPlane) -> None:
    accepted, said = apply(control_plane, None)

    assert not accepted
    assert "spec: Required value" in said
