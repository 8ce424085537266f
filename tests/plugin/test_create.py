"""`create`: from the cloud's answer to an EvsJob, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from support.plugin import FakeCluster

_ID = "FF80808292AB11F50193D0C1A5E40B17"
_BODY = {"status": "RUNNING", "job_id": _ID, "job_type": "createVolume", "entities": {}}


@pytest.mark.parametrize("answer", [{"job_id": _ID}, _BODY])
def test_an_answer_of_the_cloud_becomes_an_evsjob_that_is_called_as_its_job(
    cluster: FakeCluster, answer: dict[str, object]
) -> None:
    first = cluster.call("create", "-f", "-", input=json.dumps(answer))
    assert (first.returncode, first.stdout) == (0, f"evsjob.evs-operator.dev/{_ID.lower()} created\n")
    again = cluster.call("create", "--job-id", _ID)
    assert (again.returncode, again.stdout) == (0, f"evsjob.evs-operator.dev/{_ID.lower()} unchanged\n")


def test_a_file_that_windows_wrote_is_read(cluster: FakeCluster, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(json.dumps({"job_id": _ID}), encoding="utf-8-sig")
    assert cluster.call("create", "-f", str(tmp_path / "answer")).returncode == 0


def test_all_that_can_be_said_of_an_evsjob_stands_in_it(cluster: FakeCluster, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(json.dumps({"job_id": _ID}))
    flags = ["--connection", "cluster/shared", "--project-id", "0" * 32, "--deadline", "15m", "--ttl", "1d"]
    flags += ["--label", "app=db", "--label", "tier=", "--annotation", "note=a=b"]
    for form, read in (("yaml", yaml.safe_load), ("json", json.loads)):
        done = cluster.call("create", "data", "-f", str(tmp_path / "answer"), *flags, "--dry-run", "-o", form)
        assert read(done.stdout) == {
            "apiVersion": "evs-operator.dev/v1alpha1",
            "kind": "EvsJob",
            "metadata": {"name": "data", "labels": {"app": "db", "tier": ""}, "annotations": {"note": "a=b"}},
            "spec": {
                "jobId": _ID,
                "projectId": "0" * 32,
                "connectionRef": {"kind": "ClusterEvsConnection", "name": "shared"},
                "deadlineSeconds": 900,
                "ttlSecondsAfterFinished": 86400,
            },
        }
    assert cluster.calls == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--job-id", "another-job"), "another job id (another-one, not another-job)"),
        (("--job-id", "another-one", "--connection", "eu"), "another connection (the default, not eu)"),
        (("--job-id", "another-one", "--project-id", "0" * 32), f"another project (none, not {'0' * 32})"),
    ],
)
def test_a_name_that_follows_something_else_is_not_taken(
    cluster: FakeCluster, flags: tuple[str, ...], words: str
) -> None:
    assert cluster.call("create", "data", "--job-id", "another-one").returncode == 0
    done = cluster.call("create", "data", *flags, "--wait")
    assert (done.returncode, done.stdout) == (2, "")
    line = f"error: the EvsJob data is there already, with {words}: choose another name, or delete it\n"
    assert done.stderr == line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "stdin is empty: pass what the cloud answered"),
        ("<html>", "stdin is no JSON: "),
        ("[" * 100_000, "stdin is no JSON: "),
        ("[1]", "stdin is no JSON object: "),
        ('{"order_id": "CS22"}', "a prepaid order has no job"),
        ('{"error": {"code": "EVS.5413"}}', "EVS refused the operation: EVS.5413"),
        ('{"badRequest": {"message": "\\u001b[31mno"}}', "EVS refused the operation: \\x1b[31mno"),
        ('{"job_id": "../x"}', "spec.jobId: write the job id of the EVS answer"),
        ('{"kind": "EvsJob"}', "stdin is an EvsJob already: kubectl apply -f -"),
    ],
)
def test_an_answer_without_a_job_is_refused_with_what_to_do(cluster: FakeCluster, text: str, words: str) -> None:
    done = cluster.call("create", "-f", "-", input=text)
    assert (done.returncode, done.stdout, cluster.calls) == (2, "", [])
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_output_for_programs_is_one_document_also_after_a_wait(cluster: FakeCluster, form: str, read: object) -> None:
    assert callable(read)
    cluster.put("data", "job-succeeded")
    job_id = json.loads((cluster.directory / "data.json").read_text())["spec"]["jobId"]
    done = cluster.run("create", "data", "--job-id", job_id, "--wait", "-o", form)
    assert done.returncode == 0
    assert read(done.stdout)["status"]["state"] == "Complete"
    assert "data unchanged" in done.stderr
