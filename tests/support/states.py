"""Every state of docs/reference/evsjob.md#conditions as a whole EvsJob, the way the API server stores it.

`golden_states()` drives `decide()` through the answers and errors that lead to each state: real bodies and HTTP
answers go through the classifier, so the messages are those that users read. Two objects are no work of decide():
one that the operator has not seen yet, and one whose spec changed since. `tests/golden/states/` holds the result as
files, for readers in other languages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from evs_operator.api.conditions import timestamp
from evs_operator.api.reasons import Reason
from evs_operator.api.spec import EvsJobSpec, SpecError, parse_spec
from evs_operator.api.status import EvsJobStatus, UsedConnection
from evs_operator.cloud import transport
from evs_operator.cloud.classify import read_answer
from evs_operator.core.decide import Subject, decide, refuse
from evs_operator.core.observation import JobSeen, Observation, Trouble, trouble_of
from evs_operator.evs import errors
from evs_operator.evs.job import parse_job
from evs_operator.redact.redactor import Redactor

from .crds import default_status
from .jobs import JOB_ID, batch, body, sub

CREATED: Final = "created, operator not there yet"
NOT_ASKED: Final = "not asked for yet"
IN_PROGRESS: Final = "INIT, RUNNING, any unknown word"
UNSEEN: Final = "a poll fails for a passing reason"
ACTION_REQUIRED: Final = "a person must act"
SUCCEEDED: Final = "SUCCESS"
FAILED: Final = "FAIL, or SUCCESS with a failed sub-job"
SUSPENDED: Final = "suspended before the end"
OUTDATED: Final = "the spec names another job than the status"
ROWS: Final = (CREATED, NOT_ASKED, IN_PROGRESS, UNSEEN, ACTION_REQUIRED, SUCCEEDED, FAILED, SUSPENDED, OUTDATED)
"""Rows of the table; the last one is what a reader meets between an edit of the spec and the next poll."""

_CREATED_AT: Final = datetime(2026, 2, 3, 9, 15, 1, tzinfo=UTC)
_T0: Final = datetime(2026, 2, 3, 9, 15, 2, tzinfo=UTC)
_PROJECT: Final = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
_OTHER_JOB: Final = "ff80808292ab11f50193d0c1c2220b1c"
_WHERE: Final = "evs.eu-de.otc.t-systems.com"
_ENDED: Final = {"end_time": "2026-02-03T09:15:31.208Z"}
_QUOTA: Final = {
    "entities": {},
    "error_code": "EVS.1042",
    "fail_reason": "EbsCreateVolumeTask-fail:volume gigabytes exceeded volume gigabytes quota!",
}
_BROKEN: Final = {"error_code": "EVS.2024", "fail_reason": "EbsCreateVolumeTask-fail:volume is error!"}


@dataclass(frozen=True)
class GoldenState:
    """One state: the row of the table of conditions that it is in, and the whole EvsJob."""

    name: str
    row: str
    manifest: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The EvsJob as its golden file holds it."""
        return json.dumps(self.manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@dataclass
class _Story:
    """An EvsJob and what happens to it, one step every five seconds."""

    spec: dict[str, Any] = field(default_factory=dict)
    requested_at: str | None = None
    generation: int = 1
    status: EvsJobStatus = field(default_factory=lambda: cast(EvsJobStatus, default_status("EvsJob")))
    now: datetime = _T0

    def then(self, *observations: Observation | None, after: float = 5) -> _Story:
        """Decide on each observation, the first one now and the others `after` seconds apart."""
        for observation in observations:
            self.status = decide(self._subject(), self.status, observation, self.now, redact=Redactor())
            self.now += timedelta(seconds=after)
        return self

    def edit(self, **spec: Any) -> _Story:
        """Change the spec."""
        self.spec |= spec
        self.generation += 1
        return self

    def refused(self) -> _Story:
        """Decide on a spec that an older CRD let through."""
        try:
            parse_spec(self._whole_spec())
        except SpecError as error:
            self.status = refuse(self.generation, self.status, str(error), self.now)
        return self

    def manifest(self, name: str) -> dict[str, Any]:
        """Return the object with what the API server adds."""
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": "team-a",
            "uid": "6f1c1f0e-2f0b-4b53-9d0b-3f6a0d0f7a11",
            "resourceVersion": "4711",
            "generation": self.generation,
            "creationTimestamp": timestamp(_CREATED_AT),
        }
        if self.requested_at:
            metadata["annotations"] = {"evs-operator.dev/requestedAt": self.requested_at}
        return {
            "apiVersion": "evs-operator.dev/v1alpha1",
            "kind": "EvsJob",
            "metadata": metadata,
            "spec": self._whole_spec(),
            "status": dict(self.status),
        }

    def _whole_spec(self) -> dict[str, Any]:
        return {"jobId": JOB_ID, "suspend": False, **self.spec}

    def _subject(self) -> Subject:
        spec = parse_spec(self._whole_spec())
        return Subject(
            self.generation, spec, _T0, project_id=_PROJECT, requested_at=self.requested_at, connection=_used(spec)
        )


def _used(spec: EvsJobSpec) -> UsedConnection:
    ref = spec.connection_ref
    return {"kind": ref.kind, "name": ref.name} if ref else {"kind": "EvsConnection", "name": "default"}


def golden_states() -> Iterator[GoldenState]:
    """Yield one EvsJob for every state and reason."""
    for row, stories in _stories().items():
        for name, story in stories.items():
            yield GoldenState(name, row, story.manifest(name))


def _stories() -> dict[str, dict[str, _Story]]:
    return {
        CREATED: {"created": _Story()},
        NOT_ASKED: {"pending": _Story().then(_WAITS)},
        IN_PROGRESS: _in_progress(),
        UNSEEN: _unseen(),
        ACTION_REQUIRED: {**_action_required(), **_configuration()},
        SUCCEEDED: _succeeded(),
        FAILED: _failed(),
        SUSPENDED: {
            "suspended": _Story().then(_RUNNING).edit(suspend=True).then(None),
            "suspended-at-once": _Story({"suspend": True}).then(None),
            "suspended-unseen": _Story().then(_RUNNING, _BUSY).edit(suspend=True).then(None),
        },
        OUTDATED: {
            "succeeded-then-job-id-changed": _Story().then(_SUCCESS).edit(jobId=_OTHER_JOB),
            "failed-then-job-id-changed": _Story()
            .then(_seen(body("FAIL", **_ENDED, **_BROKEN)))
            .edit(jobId=_OTHER_JOB),
            "running-then-spec-edited": _Story().then(_RUNNING).edit(deadlineSeconds=600),
        },
    }


def _in_progress() -> dict[str, _Story]:
    partly = batch("RUNNING", sub(1, "SUCCESS", **_ENDED), sub(2, "RUNNING"), sub(3, "INIT", entities={}))
    failing = batch("RUNNING", sub(1, "SUCCESS", **_ENDED), sub(2, "FAIL", **_ENDED, **_QUOTA), sub(3, "RUNNING"))
    other = body("INIT", job_id=_OTHER_JOB, entities={})
    return {
        "job-initializing": _Story().then(_seen(body("INIT", entities={}))),
        "job-running": _Story().then(_RUNNING),
        "job-running-batch": _Story().then(_seen(partly)),
        "job-running-batch-with-a-failed-sub-job": _Story().then(_seen(failing)),
        "job-running-back-to-init": _Story().then(_RUNNING, _seen(body("INIT"))),
        "job-running-healed": _Story().then(_RUNNING, _REFUSED, _RUNNING),
        "job-running-within-its-deadline": _Story({"deadlineSeconds": 600}).then(_RUNNING),
        "job-running-resumed": _Story().then(_RUNNING).edit(suspend=True).then(None).edit(suspend=False).then(_RUNNING),
        "unknown-job-status": _Story().then(_seen(body("WAITING_EXECUTE"))),
        "job-id-changed-after-success": _Story().then(_SUCCESS).edit(jobId=_OTHER_JOB).then(_seen(other)),
    }


_MISTAKEN: Final = {
    name: Trouble(Reason.UNREACHABLE, "Unreachable", f"{_WHERE} is not reachable: {cause}", advice)
    for name, cause, advice in (
        ("host-not-known", "its name is not known to DNS", transport.ADVICE_ON_NAME),
        ("certificate-not-trusted", "its TLS certificate is not trusted", transport.ADVICE_ON_TRUST),
    )
}


def _unseen() -> dict[str, _Story]:
    passing = {
        "rate-limited": _answer(429, {"error_code": "APIGW.0308", "error_msg": _THROTTLED, "request_id": "7f0d"}),
        "timeout": trouble_of(errors.PollTimeout(f"{_WHERE} did not answer in time"), Redactor()),
        "unreachable": trouble_of(errors.Unreachable(f"{_WHERE}: connection refused"), Redactor()),
        "server-error": _BUSY,
        "invalid-response": _answer(200, "<html>sign in</html>"),
    }
    return {
        **{name: _Story().then(_RUNNING, trouble) for name, trouble in passing.items()},
        **{f"{name}-before-the-first-answer": _Story().then(trouble) for name, trouble in passing.items()},
        **{f"{name}-for-two-minutes": _Story().then(t, t, after=120) for name, t in _MISTAKEN.items()},
        "job-not-found-within-its-grace": _Story().then(_NO_SUCH_JOB),
    }


def _action_required() -> dict[str, _Story]:
    troubles = {
        "unauthorized": _REFUSED,
        "forbidden": _answer(403, {"error": {"code": "EVS.5403", "message": "Policy check failed."}}),
        "wrong-project": _answer(400, {"error": {"code": "Common.0018", "message": "Invalid token in the header"}}),
        "endpoint-invalid": _answer(404, {"error_code": "APIGW.0101", "error_msg": "The API does not exist"}),
        "rejected": _answer(200, {"error": {"code": "EVS.9999", "message": "something new"}}),
    }
    late = _Story({"deadlineSeconds": 10})
    return {
        **{name: _Story().then(t, replace(t, lasting=True), after=181) for name, t in _MISTAKEN.items()},
        **{name: _Story().then(trouble) for name, trouble in troubles.items()},
        **{f"{name}-while-running": _Story().then(_RUNNING, trouble) for name, trouble in troubles.items()},
        "job-not-found": _Story().then(_NO_SUCH_JOB, _NO_SUCH_JOB, after=61),
        "job-record-expired": _Story().then(_RUNNING, _NO_SUCH_JOB),
        "deadline-exceeded": late.then(_RUNNING, _RUNNING, _RUNNING),
        "deadline-exceeded-unseen": _Story({"deadlineSeconds": 10}).then(_RUNNING, _BUSY, _BUSY),
        "deadline-exceeded-never-found": _Story({"deadlineSeconds": 10}).then(_NO_SUCH_JOB, _NO_SUCH_JOB, after=11),
        "deadline-exceeded-before-the-first-answer": _Story({"deadlineSeconds": 10}).then(None, None, after=11),
    }


def _configuration() -> dict[str, _Story]:
    def broken(reason: Reason, what: str) -> _Story:
        return _Story().then(Trouble(reason, what))

    secret = "Secret team-a/evs-credentials does not exist: create it"
    shared = {"connectionRef": {"kind": "ClusterEvsConnection", "name": "shared"}}
    not_allowed = "does not allow namespace 'team-a': name it in spec.allowedNamespaces"
    no_project = "no project: write spec.projectId here or in EvsConnection team-a/default"
    return {
        "connection-not-found": broken(
            Reason.CONNECTION_NOT_FOUND,
            "no connection: create EvsConnection team-a/default, or name one in spec.connectionRef",
        ),
        "connection-not-allowed": _Story(shared).then(
            Trouble(Reason.CONNECTION_NOT_ALLOWED, f"ClusterEvsConnection shared {not_allowed}")
        ),
        "credentials-invalid": broken(Reason.CREDENTIALS_INVALID, f"EvsConnection team-a/default: {secret}"),
        "endpoint-not-allowed": broken(
            Reason.ENDPOINT_NOT_ALLOWED,
            "EvsConnection team-a/default: https://evs.example.com is not on the operator's allow-list",
        ),
        "invalid-spec": _Story({"polling": {"minIntervalSeconds": 60, "maxIntervalSeconds": 2}}).refused(),
        "invalid-spec-without-a-project": broken(Reason.INVALID_SPEC, no_project),
    }


def _succeeded() -> dict[str, _Story]:
    done = batch("SUCCESS", sub(1, "SUCCESS", **_ENDED), sub(2, "SUCCESS", **_ENDED), **_ENDED)
    story = _Story(requested_at="2026-02-04T10:00:00Z")
    with_foreign = _Story().then(_SUCCESS)
    theirs = {"type": "example.com/Approved", "status": "True", "reason": "Approved", "message": "by hand"}
    with_foreign.status["conditions"] += [{**theirs, "lastTransitionTime": timestamp(_T0)}]  # type: ignore[typeddict-item]
    return {
        "job-succeeded": _Story().then(_SUCCESS),
        "job-succeeded-batch": _Story().then(_seen(done)),
        "job-succeeded-with-an-unfinished-sub-job": _Story().then(_seen(batch("SUCCESS", sub(1, "RUNNING"), **_ENDED))),
        "job-succeeded-after-its-deadline": _Story({"deadlineSeconds": 10}).then(
            _RUNNING, _RUNNING, _RUNNING, _SUCCESS
        ),
        "job-succeeded-then-suspended": _Story().then(_SUCCESS).edit(suspend=True).then(None),
        "job-succeeded-then-record-expired": story.then(_SUCCESS, _NO_SUCH_JOB),
        "job-succeeded-with-a-foreign-condition": with_foreign,
    }


def _failed() -> dict[str, _Story]:
    bad = sub(2, "FAIL", **_ENDED, **_QUOTA)
    good = sub(1, "SUCCESS", **_ENDED)
    return {
        "job-failed": _Story().then(_seen(body("FAIL", **_ENDED, **_BROKEN))),
        "job-failed-without-a-reason": _Story().then(_seen(body("FAIL", entities={}, **_ENDED))),
        "job-failed-batch": _Story().then(_seen(batch("FAIL", good, bad, **_ENDED))),
        "job-failed-then-suspended": _Story()
        .then(_seen(body("FAIL", **_ENDED, **_BROKEN)))
        .edit(suspend=True)
        .then(None),
        "sub-job-failed": _Story().then(_seen(batch("SUCCESS", good, bad, **_ENDED))),
    }


def _seen(job_body: Mapping[str, Any]) -> JobSeen:
    return JobSeen(parse_job(job_body))


def _answer(status: int, content: Mapping[str, Any] | str) -> Trouble:
    raw = content if isinstance(content, str) else json.dumps(content)
    try:
        read_answer(status, {}, raw.encode(), job_id=JOB_ID, where=_WHERE, now=_T0)
    except errors.CloudError as error:
        return trouble_of(error, Redactor())
    raise ValueError("an answer that is a job is no trouble")


_THROTTLED: Final = "The throttling threshold has been reached: policy user over ratelimit,limit:200,time:5 minute"
_RUNNING: Final = _seen(body("RUNNING"))
_SUCCESS: Final = _seen(body("SUCCESS", **_ENDED))
_BUSY: Final = _answer(503, {"error": {"code": "EVS.5503", "message": "Service unavailable."}})
_REFUSED: Final = _answer(
    401,
    {
        "error_code": "APIGW.0301",
        "error_msg": "Incorrect IAM authentication information: decrypt token fail",
        "request_id": "7f0d2c6a5e7d8041b3a9e4c1d2b3a4f5",
    },
)
_WAITS: Final = Trouble(
    Reason.PENDING,
    "waiting for the first call, expected by 2026-02-03T09:15:09Z: 12 EvsJobs wait for the calls of EvsConnection "
    "team-a/default, at most 2 a second",
)
_NO_SUCH_JOB: Final = _answer(400, {"error": {"code": "Common.0011", "message": "query job fail."}})
