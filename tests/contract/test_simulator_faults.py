"""What a fault does, whom it hits, and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import evs_simulator
from evs_simulator.fault_kinds import AROUND, INSTEAD
from evs_simulator.wire import Answer
from support.simulator import PROJECT, StillCloud, json_of


@pytest.fixture
def cloud() -> StillCloud:
    return StillCloud()


@pytest.fixture
def job(cloud: StillCloud) -> str:
    return cloud.add_job()


def ask(cloud: StillCloud, job: str) -> Answer:
    return cloud.call("GET", f"/v1/{PROJECT}/jobs/{job}")


def fault(cloud: StillCloud, kind: str, **options: Any) -> str:
    return str(cloud.admin("POST", "faults", {"kind": kind, **options})["id"])


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("E1", {"error": {"message": "no", "code": "EVS.9"}}),
        ("E3", {"error": {"message": "no", "code": 403, "title": "Forbidden"}}),
        ("E4", {"forbidden": {"message": "no", "code": 403}}),
        ("E5", {"code": "EVS.9", "message": "no"}),
        ("E6", {"errorCode": "EVS.9", "errorMsg": "no"}),
        ("E7", {"error": {"code": "EVS.9", "message": "no", "ext_message": None}}),
    ],
)
def test_every_json_envelope_has_its_form(cloud: StillCloud, job: str, form: str, expected: dict[str, Any]) -> None:
    fault(cloud, "envelope", envelope=form, http_status=403, code="EVS.9", message="no")
    answer = ask(cloud, job)
    assert (answer.status, json_of(answer)) == (403, expected)


def test_the_gateways_envelope_names_the_request(cloud: StillCloud, job: str) -> None:
    fault(cloud, "envelope", envelope="E2", http_status=500, code="APIGW.0601", message="no")
    body = json_of(ask(cloud, job))
    assert (body["error_msg"], body["error_code"], len(body["request_id"])) == ("no", "APIGW.0601", 32)


def test_text_html_and_empty_envelopes_are_no_json(cloud: StillCloud, job: str) -> None:
    bodies = {}
    for form in ("E8", "E9", "E10"):
        fault(cloud, "envelope", envelope=form, http_status=502, message="Authentication required", count=1)
        answer = ask(cloud, job)
        bodies[form] = (answer.headers.get("Content-Type"), answer.body)
    assert bodies["E8"] == ("text/plain", b"Authentication required")
    assert bodies["E9"][0] == "text/html"
    assert bodies["E10"] == (None, b"")


def test_a_named_cinder_fault_keeps_its_name(cloud: StillCloud, job: str) -> None:
    fault(cloud, "envelope", envelope="E4", http_status=400, code="computeFault", message="no")
    assert json_of(ask(cloud, job)) == {"computeFault": {"message": "no", "code": 400}}


def test_faults_that_answer_instead_of_the_cloud(cloud: StillCloud, job: str) -> None:
    expected = {
        "error_under_200": (200, b'"error"'),
        "html": (200, b"<html>"),
        "empty": (200, b""),
        "redirect": (302, b""),
        "bad_gateway": (502, b"The backend server is unreachable."),
        "iam_throttled": (429, b"IAM.0012"),
        "throttled": (429, b"policy user over ratelimit,limit:200,time:5 minute"),
    }
    for kind, (status, part) in expected.items():
        fault(cloud, kind, count=1)
        answer = ask(cloud, job)
        assert answer.status == status, kind
        assert part in answer.body, kind


def test_retry_after_comes_only_where_it_is_asked_for(cloud: StillCloud, job: str) -> None:
    fault(cloud, "throttled", count=1)
    assert "Retry-After" not in ask(cloud, job).headers
    fault(cloud, "throttled", count=1, retry_after="30")
    assert ask(cloud, job).headers["Retry-After"] == "30"


def test_a_raw_answer_may_be_anything(cloud: StillCloud, job: str) -> None:
    fault(cloud, "raw", http_status=203, body='{"status": ""}', content_type="text/json", headers={"X-A": "b"})
    answer = ask(cloud, job)
    assert (answer.status, answer.body) == (203, b'{"status": ""}')
    assert (answer.headers["Content-Type"], answer.headers["X-A"]) == ("text/json", "b")


def test_a_spoilt_answer_is_the_real_one_spoilt(cloud: StillCloud, job: str) -> None:
    real = ask(cloud, job)
    fault(cloud, "truncated_json", count=1)
    truncated = ask(cloud, job)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(truncated.body)
    assert real.body.startswith(truncated.body)
    fault(cloud, "wrong_content_type", count=1)
    plain = ask(cloud, job)
    assert (plain.headers["Content-Type"], plain.body) == ("text/plain", real.body)
    fault(cloud, "other_job_id", count=1)
    assert {**json_of(real), "job_id": "f" * 32} == json_of(ask(cloud, job))
    fault(cloud, "headers", count=1, headers={"Retry-After": "1"})
    assert ask(cloud, job).headers["Retry-After"] == "1"


def test_a_fault_around_a_refusal_spoils_the_refusal(cloud: StillCloud) -> None:
    fault(cloud, "wrong_content_type")
    answer = cloud.call("GET", f"/v1/{PROJECT}/jobs/{'0' * 32}", headers={})
    assert (answer.status, answer.headers["Content-Type"]) == (401, "text/plain")


def test_a_fault_hits_only_what_it_matches(cloud: StillCloud, job: str) -> None:
    other = cloud.add_job()
    fault(cloud, "empty", http_status=500, match={"job_id": job, "method": "get", "project_id": PROJECT})
    assert (ask(cloud, job).status, ask(cloud, other).status) == (500, 200)
    fault(cloud, "empty", http_status=503, match={"path": "/v3/auth"})
    assert cloud.call("POST", "/v3/auth/tokens", {}).status == 503
    assert ask(cloud, other).status == 200


def test_a_fault_skips_and_counts(cloud: StillCloud, job: str) -> None:
    fault(cloud, "empty", http_status=500, skip=2, count=2)
    assert [ask(cloud, job).status for _ in range(6)] == [200, 200, 500, 500, 200, 200]


def test_a_fault_has_its_time(cloud: StillCloud, job: str) -> None:
    fault(cloud, "empty", http_status=500, **{"from": 2, "for": 3})
    statuses = []
    for _ in range(6):
        statuses.append(ask(cloud, job).status)
        cloud.now += 1
    assert statuses == [200, 200, 500, 500, 500, 200]


def test_a_fault_hits_with_its_probability(cloud: StillCloud, job: str) -> None:
    fault(cloud, "empty", http_status=500, probability=0.5)
    hits = sum(ask(cloud, job).status == 500 for _ in range(400))
    assert 100 < hits < 300  # 10 standard deviations


def test_faults_are_listed_with_their_hits_and_removed(cloud: StillCloud, job: str) -> None:
    first, second = fault(cloud, "empty", count=1), fault(cloud, "html")
    ask(cloud, job)
    listed = cloud.admin("GET", "faults")["faults"]
    assert [(entry["id"], entry["hits"]) for entry in listed] == [(first, 1), (second, 0)]
    assert cloud.admin("DELETE", f"faults/{second}") == {"removed": 1}
    assert cloud.admin("DELETE", "faults") == {"removed": 1}
    assert ask(cloud, job).status == 200
    assert cloud.admin("GET", "requests")["requests"][0]["fault"] == first


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "flood"},
        {"kind": "envelope", "envelope": "E11"},
        {"kind": "envelope", "http_status": "500"},
        {"kind": "delay", "seconds": -1},
        {"kind": "headers", "headers": {"A": 1}},
        {"kind": "empty", "match": {"host": "x"}},
        {"kind": "raw", "body_base64": "!"},
        {"kind": "raw", "http_status": 99},
        {"kind": "raw", "body": "x", "body_base64": "eA=="},
        {"kind": "throttled", "retryafter": "7"},
        {"kind": "headers", "headers": {"A": "b\r\nC: d"}},
        {"kind": "headers", "headers": {"A b": "c"}},
        {"kind": "empty", "skip": -1},
        {"kind": "empty", "count": -1},
    ],
)
def test_a_wrong_fault_is_refused_when_it_is_added(cloud: StillCloud, options: dict[str, Any]) -> None:
    answer = cloud.call("POST", "/_sim/faults", options)
    assert answer.status == 400
    assert json_of(answer)["error"]
    assert cloud.admin("GET", "faults") == {"faults": []}


def test_every_kind_of_fault_is_described() -> None:
    text = (Path(evs_simulator.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert [kind for kind in (*INSTEAD, *AROUND) if f"`{kind}`" not in text] == []
