"""The truth rules over arbitrary job bodies and histories: what no sequence of answers and errors may do."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from evs_operator.api.spec import parse_spec
from evs_operator.api.status import EvsJobStatus, same_status
from evs_operator.core.decide import Subject, decide
from evs_operator.core.observation import JobSeen
from evs_operator.core.text import stored_size
from evs_operator.core.verdict import STATES
from evs_operator.evs.job import JobOutcome, parse_job
from evs_operator.redact.redactor import Redactor
from support import crds
from support.histories import SECRET, STEPS, T0, Step, subject
from support.jobs import JOB_ID


def rows(status: EvsJobStatus) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status.get("conditions", [])}


def times(status: EvsJobStatus) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["lastTransitionTime"]) for c in status.get("conditions", [])}


def kstatus(status: EvsJobStatus, generation: int) -> str:
    """Return what kstatus makes of a status: generation first, then the standard conditions, then Ready."""
    found = rows(status)
    if status.get("observedGeneration", generation) != generation or found.get("Reconciling") == "True":
        return "InProgress"
    if found.get("Stalled") == "True":
        return "Failed"
    return "Current" if found.get("Ready", "True") == "True" else "InProgress"


REDACT = Redactor([SECRET])


@settings(max_examples=150)
@given(STEPS)
def test_no_history_breaks_a_truth_rule(steps: list[Step]) -> None:
    status: EvsJobStatus = {}
    now, generation = T0, 1
    for step in steps:
        now += timedelta(seconds=step.seconds)
        generation += step.edited
        who = subject(step, generation)
        before, status = status, decide(who, status, step.observation, now, redact=REDACT)
        check_step(before, status, step, generation)
        again = decide(who, status, step.observation, now, redact=REDACT)
        assert same_status(again, status), "the same input twice changes nothing"


def check_step(before: EvsJobStatus, status: EvsJobStatus, step: Step, generation: int) -> None:
    found, previous = rows(status), rows(before)
    if same_status(status, before):
        return  # nothing is written, so nothing can be wrong: a job just resumed is polled first
    table = [{k: v for k, v in row.items() if v is not None} for row in STATES.values()]
    assert {k: v for k, v in found.items() if k != "Observed"} in table
    assert not {"Reconciling", "Stalled"} <= found.keys()
    if not isinstance(step.observation, JobSeen):
        for end in ("Complete", "Failed"):
            assert found[end] == previous.get(end, "False"), "only the job's own answer ends a job"
        if previous.get("Complete") == "True" or previous.get("Failed") == "True":
            same = {"observedGeneration", "lastHandledReconcileAt", "conditions"}
            assert {k: v for k, v in status.items() if k not in same} == {
                k: v for k, v in before.items() if k not in same
            }
            assert times(status) == times(before)
    else:
        job = step.observation.job
        failed = any(sub.outcome is JobOutcome.FAILED for sub in job.descendants())
        assert (found["Complete"] == "True") == (job.outcome is JobOutcome.SUCCEEDED and not failed)
        assert (found["Failed"] == "True") == (
            job.outcome is JobOutcome.FAILED or (job.outcome is JobOutcome.SUCCEEDED and failed)
        )
    for kind, (value, moment) in times(status).items():
        if times(before).get(kind, ("", ""))[0] == value:
            assert moment == times(before)[kind][1], "lastTransitionTime moves only with the status"
    assert {c.get("observedGeneration") for c in status["conditions"]} == {generation}
    verdict = kstatus(status, generation)
    assert (verdict == "Current") == (found["Complete"] == "True")
    assert (verdict == "Failed") == (found.get("Stalled") == "True")
    manifest = {
        "apiVersion": "evs-operator.dev/v1alpha1",
        "kind": "EvsJob",
        "metadata": {"name": "job", "namespace": "ns"},
        "spec": {"jobId": JOB_ID},
        "status": status,
    }
    crds.check(manifest)
    assert SECRET not in str(status)


@settings(max_examples=8)
@given(
    st.sampled_from(["<", "界", "x", '"', "\x01"]),
    st.integers(0, 1100),
    st.integers(0, 32),
    st.sampled_from(["SUCCESS", "FAIL", "RUNNING"]),
)
def test_ten_thousand_sub_jobs_stay_small_and_are_all_counted(
    letter: str, length: int, entities: int, first: str
) -> None:
    words = [first if number % 7 == 0 else "SUCCESS" for number in range(10_000)]
    subs = [
        {
            "status": word,
            "job_id": f"{number:032x}",
            "job_type": letter * min(length, 60),
            "fail_reason": letter * length,
            "entities": {"volume_id": f"v-{number}", **{f"key-{n}": letter * 256 for n in range(entities)}},
        }
        for number, word in enumerate(words)
    ]
    body = {"status": "RUNNING", "job_id": JOB_ID, "entities": {"sub_jobs": subs}}
    who = Subject(1, parse_spec({"jobId": JOB_ID}), T0, "0" * 32)
    status = decide(who, {}, JobSeen(parse_job(body)), T0)
    # What the API server adds (metadata, managed fields) has its room in the 256 KiB.
    assert stored_size(status) < 200 * 1024
    counts = status["subJobCounts"]
    assert counts["total"] == 10_000
    assert counts["succeeded"] + counts["failed"] + counts["inProgress"] == 10_000
    assert counts["omitted"] == 10_000 - len(status["subJobs"])
    order = {"FAIL": 0, "RUNNING": 1, "SUCCESS": 2}
    shown = [order[sub["status"]] for sub in status["subJobs"]]
    assert shown == sorted(shown)
    assert len(status["volumeIds"]) == 500
