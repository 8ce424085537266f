"""decide(): the condition table, the truth rules and the fields, case by case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evs_operator.api.conditions import parse_timestamp
from evs_operator.api.reasons import Reason
from evs_operator.api.spec import ConnectionRef, parse_spec
from evs_operator.api.status import EvsJobStatus, same_status
from evs_operator.core.decide import Subject, decide, refuse
from evs_operator.core.observation import JobSeen, Observation, Trouble, trouble_of
from evs_operator.evs import errors
from evs_operator.evs.job import parse_job
from support.jobs import JOB_ID, VOLUME_ID, batch, body, sub

T0 = datetime(2026, 2, 3, 9, 15, 2, tzinfo=UTC)
PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
PASSING = [Reason.RATE_LIMITED, Reason.TIMEOUT, Reason.UNREACHABLE, Reason.SERVER_ERROR, Reason.INVALID_RESPONSE]
ACTION = [
    Reason.UNAUTHORIZED,
    Reason.FORBIDDEN,
    Reason.WRONG_PROJECT,
    Reason.ENDPOINT_INVALID,
    Reason.REJECTED,
    Reason.CONNECTION_NOT_FOUND,
    Reason.CONNECTION_NOT_ALLOWED,
    Reason.CREDENTIALS_INVALID,
    Reason.ENDPOINT_NOT_ALLOWED,
]


def subject(generation: int = 1, *, requested_at: str | None = None, anew: bool = False, **spec: Any) -> Subject:
    return Subject(
        generation=generation,
        spec=parse_spec({"jobId": JOB_ID, **spec}),
        observation_start=T0,
        project_id=PROJECT,
        requested_at=requested_at,
        anew=anew,
    )


def seen(job_body: dict[str, Any]) -> JobSeen:
    return JobSeen(parse_job(job_body))


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def run(*observations: Observation | None, who: Subject | None = None, every: float = 5) -> EvsJobStatus:
    status: EvsJobStatus = {}
    for number, observation in enumerate(observations):
        status = decide(who or subject(), status, observation, after(number * every))
    return status


def row(status: EvsJobStatus) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status["conditions"]}


def reason(status: EvsJobStatus, kind: str) -> str:
    return next(c["reason"] for c in status["conditions"] if c["type"] == kind)


def message(status: EvsJobStatus, kind: str = "Ready") -> str:
    return next(c["message"] for c in status["conditions"] if c["type"] == kind)


IN_PROGRESS = {"Ready": "Unknown", "Complete": "False", "Failed": "False", "Observed": "True", "Reconciling": "True"}
BLIND = {**IN_PROGRESS, "Observed": "False"}
ACT = {"Ready": "False", "Complete": "False", "Failed": "False", "Observed": "False", "Stalled": "True"}
SUCCEEDED = {"Ready": "True", "Complete": "True", "Failed": "False", "Observed": "True"}
FAILED = {"Ready": "False", "Complete": "False", "Failed": "True", "Observed": "True", "Stalled": "True"}
SUSPENDED = {"Ready": "False", "Complete": "False", "Failed": "False", "Suspended": "True"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("INIT", Reason.JOB_INITIALIZING),
        ("RUNNING", Reason.JOB_RUNNING),
        ("running", Reason.JOB_RUNNING),
        ("WAITING_EXECUTE", Reason.UNKNOWN_JOB_STATUS),
        ("LISTENING", Reason.UNKNOWN_JOB_STATUS),
        ("FOO", Reason.UNKNOWN_JOB_STATUS),
    ],
)
def test_a_word_that_is_not_terminal_is_in_progress_and_shown_verbatim(word: str, expected: Reason) -> None:
    status = run(seen(body(word)))
    assert row(status) == IN_PROGRESS
    assert status["jobStatus"] == word
    assert reason(status, "Ready") == reason(status, "Complete") == reason(status, "Failed") == expected
    assert reason(status, "Observed") == Reason.POLL_SUCCEEDED
    assert "completionTime" not in status


@pytest.mark.parametrize("word", ["SUCCESS", "success", "Success"])
def test_success_in_any_case_completes_the_job(word: str) -> None:
    status = run(seen(body(word, end_time="2026-02-03T09:15:31.208Z")))
    assert row(status) == SUCCEEDED
    assert status["jobStatus"] == word
    assert reason(status, "Ready") == Reason.JOB_SUCCEEDED
    assert status["duration"] == "31.1s"
    assert status["completionTime"] == "2026-02-03T09:15:02Z"


@pytest.mark.parametrize("word", ["FAIL", "fail", "FAILED", "Error"])
def test_fail_in_any_form_fails_the_job_and_explains_it(word: str) -> None:
    reason_text = "EbsCreateVolumeTask-fail:volume is error!"
    status = run(seen(body(word, end_time="2026-02-03T09:15:28.944Z", error_code="EVS.2024", fail_reason=reason_text)))
    assert row(status) == FAILED
    assert reason(status, "Ready") == reason(status, "Failed") == reason(status, "Stalled") == Reason.JOB_FAILED
    assert (status["errorCode"], status["failReason"]) == ("EVS.2024", reason_text)
    assert status["failure"]["code"] == "EVS.2024"
    assert status["failure"]["message"] == "volume is error!"
    assert status["failure"]["category"] == "Internal"
    assert status["failure"]["jobId"] == JOB_ID
    assert message(status) == f"createVolume failed: EVS.2024 volume is error! (volume {VOLUME_ID})"


def test_success_with_a_failed_sub_job_is_failed_and_still_says_success() -> None:
    failed = sub(2, "FAIL", entities={}, error_code="EVS.1042", fail_reason="volume gigabytes exceeded quota!")
    status = run(seen(batch("SUCCESS", sub(1, "SUCCESS"), failed)))
    assert row(status) == FAILED
    assert reason(status, "Ready") == Reason.SUB_JOB_FAILED
    assert status["jobStatus"] == "SUCCESS"
    assert status["failure"]["category"] == "Quota"
    assert "errorCode" not in status
    assert "failReason" not in status
    assert message(status).startswith("1 of 2 sub-jobs failed: EVS.1042 volume gigabytes exceeded quota!")


def test_a_failed_sub_job_at_any_depth_fails_a_successful_batch() -> None:
    inner = batch("SUCCESS", sub(3, "FAIL", error_code="EVS.2024"), job_id="a" * 32)
    status = run(seen(batch("SUCCESS", inner)))
    assert reason(status, "Failed") == Reason.SUB_JOB_FAILED
    assert status["subJobCounts"] == {"total": 2, "succeeded": 1, "failed": 1, "inProgress": 0, "omitted": 0}
    assert status["failure"]["jobId"] == f"{3:032x}"


def test_a_failed_batch_is_job_failed_and_its_failure_is_that_of_the_sub_job() -> None:
    failed = sub(2, "FAIL", error_code="EVS.5413", fail_reason="EbsCreateVolumeTask-fail:overLimit: quota")
    status = run(seen(batch("FAIL", sub(1, "SUCCESS"), failed)))
    assert reason(status, "Failed") == Reason.JOB_FAILED
    assert status["failure"]["code"] == "EVS.5413"
    assert "errorCode" not in status


def test_success_with_an_unfinished_sub_job_is_success() -> None:
    status = run(seen(batch("SUCCESS", sub(1, "RUNNING"), sub(2, "SUCCESS"))))
    assert row(status) == SUCCEEDED
    assert status["progress"] == "1/2"


@pytest.mark.parametrize("why", PASSING)
def test_a_passing_trouble_hides_the_job_and_says_nothing_of_its_end(why: Reason) -> None:
    status = run(Trouble(why, "HTTP 503", "busy"))
    assert row(status) == BLIND
    assert {reason(status, kind) for kind in BLIND} == {why}
    assert "jobStatus" not in status


@pytest.mark.parametrize("why", PASSING)
def test_what_was_known_of_the_job_stays_while_it_cannot_be_seen(why: Reason) -> None:
    status = run(seen(body("RUNNING")), Trouble(why, "HTTP 503", "busy"))
    assert row(status) == BLIND
    assert reason(status, "Ready") == reason(status, "Observed") == why
    assert reason(status, "Complete") == Reason.JOB_RUNNING
    assert (status["jobStatus"], status["volumeIds"]) == ("RUNNING", [VOLUME_ID])


@pytest.mark.parametrize("why", ACTION)
def test_where_a_person_must_act_the_job_is_stalled_and_not_failed(why: Reason) -> None:
    status = run(seen(body("RUNNING")), Trouble(why, "HTTP 401", "no"))
    assert row(status) == ACT
    assert reason(status, "Ready") == reason(status, "Stalled") == why
    assert reason(status, "Failed") == Reason.JOB_RUNNING


def test_stalled_clears_by_itself_once_the_job_is_seen_again() -> None:
    status = run(Trouble(Reason.UNAUTHORIZED, "HTTP 401"), seen(body("RUNNING")))
    assert row(status) == IN_PROGRESS


def test_a_job_never_seen_has_sixty_seconds_of_grace() -> None:
    missing = trouble_of(errors.JobMissing("query job fail.", code="Common.0011", http_status=400), str)
    early = decide(subject(), {}, missing, after(0))
    assert row(early) == BLIND
    assert reason(early, "Ready") == Reason.JOB_NOT_FOUND
    still = decide(subject(), early, missing, after(59))
    assert same_status(still, early)
    late = decide(subject(), still, missing, after(61))
    assert row(late) == ACT
    assert reason(late, "Stalled") == Reason.JOB_NOT_FOUND


def test_the_record_of_a_job_seen_before_has_expired_at_once_and_its_result_stays() -> None:
    missing = trouble_of(errors.JobMissing("query job fail.", code="Common.0011", http_status=400), str)
    status = run(seen(body("RUNNING")), missing)
    assert row(status) == ACT
    assert reason(status, "Ready") == reason(status, "Observed") == Reason.JOB_RECORD_EXPIRED
    assert status["volumeIds"] == [VOLUME_ID]
    assert same_status(decide(subject(), status, missing, after(99)), status)


def test_after_its_deadline_a_job_is_stalled_until_it_ends() -> None:
    who = subject(deadlineSeconds=10)
    status = run(seen(body("RUNNING")), seen(body("RUNNING")), seen(body("RUNNING")), who=who)
    assert row(status) == {**ACT, "Observed": "True"}
    assert reason(status, "Ready") == reason(status, "Stalled") == Reason.DEADLINE_EXCEEDED
    assert status["jobStatus"] == "RUNNING"
    done = decide(who, status, seen(body("SUCCESS")), after(60))
    assert row(done) == SUCCEEDED


def test_the_deadline_passes_without_a_poll_too() -> None:
    who = subject(deadlineSeconds=10)
    status = decide(who, run(seen(body("RUNNING")), who=who), None, after(10))
    assert reason(status, "Ready") == Reason.DEADLINE_EXCEEDED


def test_a_suspended_job_keeps_what_was_seen_and_is_neither_reconciling_nor_stalled() -> None:
    status = decide(subject(2, suspend=True), run(seen(body("RUNNING"))), None, after(9))
    assert row(status) == {**SUSPENDED, "Observed": "True"}
    assert reason(status, "Ready") == Reason.SUSPENDED
    assert status["jobStatus"] == "RUNNING"
    assert status["observedGeneration"] == 2


def test_a_job_suspended_from_the_start_says_so_without_an_observation() -> None:
    status = decide(subject(suspend=True), {}, None, after(0))
    assert row(status) == SUSPENDED
    assert status["jobId"] == JOB_ID


def test_suspending_keeps_the_verdict_of_a_finished_job() -> None:
    done = run(seen(body("SUCCESS")))
    status = decide(subject(2, suspend=True), done, None, after(60))
    assert row(status) == SUCCEEDED
    assert status["observedGeneration"] == 2


def test_an_edit_of_a_finished_job_moves_only_the_generation() -> None:
    done = run(seen(body("FAIL", error_code="EVS.2024")))
    status = decide(subject(2, ttlSecondsAfterFinished=60), done, None, after(60))
    assert {c["observedGeneration"] for c in status["conditions"]} == {2}
    without = [{**c, "observedGeneration": 1} for c in status["conditions"]]
    assert {**status, "observedGeneration": 1, "conditions": without} == done


@pytest.mark.parametrize("why", [*PASSING, *ACTION, Reason.JOB_NOT_FOUND])
def test_a_finished_job_asked_for_again_keeps_its_result_whatever_goes_wrong(why: Reason) -> None:
    done = run(seen(body("SUCCESS")))
    asked = decide(subject(requested_at="now"), done, Trouble(why, "HTTP 400"), after(90_000))
    assert asked.pop("lastHandledReconcileAt") == "now"
    assert asked == done


@pytest.mark.parametrize(
    ("last", "expected", "why"),
    [
        (body("SUCCESS", end_time="2026-02-03T09:15:31.208Z"), SUCCEEDED, Reason.JOB_SUCCEEDED),
        (body("FAIL", error_code="EVS.2024"), FAILED, Reason.JOB_FAILED),
        (batch("SUCCESS", sub(1, "FAIL", error_code="EVS.1042")), FAILED, Reason.SUB_JOB_FAILED),
    ],
)
def test_an_unreadable_spec_takes_a_verdict_back_until_the_spec_is_repaired(
    last: dict[str, Any], expected: dict[str, str], why: Reason
) -> None:
    done = run(seen(last))
    broken = refuse(2, done, "spec.polling: write …", after(30))
    assert row(broken) == {**ACT, "Observed": "True"}
    assert {reason(broken, kind) for kind in ("Ready", "Complete", "Failed", "Stalled")} == {Reason.INVALID_SPEC}
    repaired = decide(subject(3), broken, None, after(60))
    assert row(repaired) == expected
    assert {reason(repaired, kind) for kind in ("Ready", "Complete", "Failed")} == {why}
    assert {**repaired, "observedGeneration": 1, "conditions": done["conditions"]} == done
    assert same_status(decide(subject(3), repaired, None, after(90)), repaired)


def test_an_unreadable_spec_of_a_running_job_keeps_what_was_known_of_it() -> None:
    broken = refuse(2, run(seen(body("RUNNING"))), "spec.polling: write …", after(30))
    assert reason(broken, "Ready") == Reason.INVALID_SPEC
    assert reason(broken, "Complete") == Reason.JOB_RUNNING
    repaired = decide(subject(3), broken, Trouble(Reason.TIMEOUT, "Timeout"), after(60))
    assert row(repaired) == BLIND
    assert reason(repaired, "Complete") == Reason.JOB_RUNNING


def test_a_new_job_id_starts_a_new_observation() -> None:
    done = run(seen(body("SUCCESS", end_time="2026-02-03T09:15:31.208Z")))
    other = "ff80808292ab11f50193d0c1a5e40b99"
    status = decide(subject(2, jobId=other), done, seen(body("INIT", job_id=other, entities={})), after(60))
    assert row(status) == IN_PROGRESS
    assert status["jobId"] == other
    assert not {"completionTime", "endTime", "duration", "volumeIds"} & status.keys()


def test_a_new_connection_starts_a_new_observation_of_a_finished_job() -> None:
    done = run(seen(body("SUCCESS")))
    who = subject(2, anew=True, connectionRef={"name": "other"})
    assert who.spec.connection_ref == ConnectionRef("EvsConnection", "other")
    status = decide(who, done, Trouble(Reason.UNREACHABLE, "Unreachable"), after(60))
    assert row(status) == BLIND
    assert "jobStatus" not in status


def test_last_transition_time_moves_only_with_the_condition_status() -> None:
    first = run(seen(body("INIT")))
    second = decide(subject(), first, seen(body("RUNNING")), after(30))
    times = {c["type"]: c["lastTransitionTime"] for c in second["conditions"]}
    assert set(times.values()) == {"2026-02-03T09:15:02Z"}
    third = decide(subject(), second, seen(body("SUCCESS")), after(60))
    moved = {c["type"]: c["lastTransitionTime"] for c in third["conditions"]}
    assert moved["Ready"] == moved["Complete"] == "2026-02-03T09:16:02Z"
    assert moved["Observed"] == moved["Failed"] == "2026-02-03T09:15:02Z"


def test_the_same_trouble_in_other_words_is_nothing_new() -> None:
    first = run(Trouble(Reason.UNAUTHORIZED, "HTTP 401 APIGW.0301", "signature time:1,server time:2"))
    again = Trouble(Reason.UNAUTHORIZED, "HTTP 401 APIGW.0301", "signature time:3,server time:4")
    assert same_status(decide(subject(), first, again, after(60)), first)
    other = Trouble(Reason.UNAUTHORIZED, "HTTP 401 APIGW.0307", "The token must be updated")
    assert not same_status(decide(subject(), first, other, after(60)), first)


def test_the_estimate_is_written_only_together_with_a_change() -> None:
    first = decide(subject(), {}, seen(body("RUNNING")), after(0), estimate=after(20))
    assert first["estimatedCompletionTime"] == "2026-02-03T09:15:22.000Z"
    second = decide(subject(), first, seen(body("RUNNING")), after(5), estimate=after(40))
    assert same_status(second, first)
    done = decide(subject(), second, seen(body("SUCCESS")), after(9), estimate=after(50))
    assert "estimatedCompletionTime" not in done


def test_an_estimate_that_the_job_has_outlived_is_left_out_of_a_later_write() -> None:
    first = decide(subject(), {}, seen(body("RUNNING")), after(0), estimate=after(20))
    still = decide(subject(), first, seen(body("RUNNING")), after(30))
    assert same_status(still, first), "by itself it is no reason to write"
    trouble = Trouble(Reason.UNREACHABLE, "no route")
    assert "estimatedCompletionTime" in decide(subject(), first, trouble, after(10))
    assert "estimatedCompletionTime" not in decide(subject(), first, trouble, after(30))
    moved = decide(subject(), first, seen(batch("RUNNING", sub(1, "SUCCESS"))), after(30))
    assert "estimatedCompletionTime" not in moved


def test_an_estimate_is_never_before_the_moment_of_its_write() -> None:
    now = after(0).replace(microsecond=900_000)
    status = decide(subject(), {}, seen(body("RUNNING")), now, estimate=now)
    estimate = parse_timestamp(status["estimatedCompletionTime"])
    assert estimate is not None
    assert estimate >= now


def test_an_answered_request_is_echoed() -> None:
    status = run(seen(body("RUNNING")), who=subject(requested_at="2026-01-01"))
    assert status["lastHandledReconcileAt"] == "2026-01-01"


def test_sub_jobs_come_failed_first_then_unfinished_then_succeeded_in_api_order() -> None:
    words = ["SUCCESS", "RUNNING", "FAIL", "SUCCESS", "FAIL", "INIT"]
    status = run(seen(batch("RUNNING", *(sub(n, word) for n, word in enumerate(words, 1)))))
    assert [int(entry["jobId"], 16) for entry in status["subJobs"]] == [3, 5, 2, 6, 1, 4]
    assert status["volumeIds"] == [f"{n:08x}-0000-4000-8000-000000000000" for n in range(1, 7)]
    assert status["progress"] == "4/6"


def test_sub_jobs_without_an_id_or_with_the_same_id_are_kept_apart() -> None:
    subs = [sub(1, "RUNNING", job_id=""), sub(2, "RUNNING", job_id=""), sub(3, "FAIL"), sub(3, "SUCCESS")]
    status = run(seen(batch("RUNNING", *subs)))
    names = [entry["jobId"] for entry in status["subJobs"]]
    assert len(set(names)) == 4
    assert status["subJobCounts"]["total"] == 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(31.09, "31.1s"), (0.0, "0.0s"), (59.96, "1m0.0s"), (65.0, "1m5.0s"), (3605.04, "1h0m5.0s")],
)
def test_a_duration_is_written_as_go_does_with_one_decimal(seconds: float, text: str) -> None:
    from evs_operator.core.result import duration_text

    assert duration_text(seconds) == text


def test_megabytes_of_text_are_cut_before_they_are_searched_for_secrets() -> None:
    longest = 0

    def redact(text: str) -> str:
        nonlocal longest
        longest = max(longest, len(text))
        return text

    huge = "x" * 8_000_000
    answer = seen(body("FAIL", job_type=huge, fail_reason=huge, entities={"volume_id": huge, "name": huge}))
    decide(subject(), {}, answer, after(0), redact=redact)
    assert longest <= 10_000
