"""What one look at a job gave: the job itself, or the trouble that kept us from seeing it.

`jobs` builds observations, `decide()` turns them into a status. Here the error classes of the
cloud client become condition reasons, in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from evs_operator.api.reasons import Reason
from evs_operator.evs import errors
from evs_operator.evs.job import Job

from .text import one_line

MESSAGE_LIMIT: Final = 1024

_REASONS: Final[tuple[tuple[type[errors.CloudError], Reason], ...]] = (
    (errors.RateLimited, Reason.RATE_LIMITED),
    (errors.PollTimeout, Reason.TIMEOUT),
    (errors.Unreachable, Reason.UNREACHABLE),
    (errors.ServerError, Reason.SERVER_ERROR),
    (errors.InvalidResponse, Reason.INVALID_RESPONSE),
    (errors.JobMissing, Reason.JOB_NOT_FOUND),
    (errors.Unauthorized, Reason.UNAUTHORIZED),
    (errors.Forbidden, Reason.FORBIDDEN),
    (errors.WrongProject, Reason.WRONG_PROJECT),
    (errors.EndpointInvalid, Reason.ENDPOINT_INVALID),
    (errors.EndpointRefused, Reason.ENDPOINT_NOT_ALLOWED),
    (errors.Rejected, Reason.REJECTED),
)

_WHAT_TO_DO: Final[dict[Reason, str]] = {
    Reason.UNAUTHORIZED: "Put a valid credential into the connection's Secret.",
    Reason.FORBIDDEN: "Grant the connection's user the right to read EVS jobs of this project.",
    Reason.WRONG_PROJECT: "Set spec.projectId to the project that the credential belongs to and the job runs in.",
    Reason.ENDPOINT_INVALID: "Set spec.endpoint of the connection to the EVS endpoint of the region.",
    Reason.JOB_NOT_FOUND: "Check spec.jobId, the project and the region of the connection.",
    Reason.JOB_RECORD_EXPIRED: "The last known result is kept; look at the volume itself for its state.",
    Reason.REJECTED: "Check spec.jobId, the project and the endpoint of the connection.",
}

_LOCKED: Final = (
    "The cloud has locked the access key for five minutes after too many wrong signatures; no call is made until then. "
    "Correct the secret key in the connection's Secret, and in whatever else signs with this access key."
)


Redact = Callable[[str], str]
RedactionOf = Callable[[Iterable[str]], Redact]
"""Gives what redacts the texts of one answer, with the credential of the call that brought it. The argument is some
of these texts: many of them are looked through together, in a fifth of the time."""


def _hidden(texts: Iterable[str]) -> Redact:
    """Hide all: an answer of a call that nobody named may quote any secret."""
    return lambda text: "***"


@dataclass(frozen=True, slots=True)
class JobSeen:
    """The jobs API answered with the job; whoever decides on it redacts its words with `redaction`."""

    job: Job
    redaction: RedactionOf = field(default=_hidden, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Trouble:
    """The job could not be seen. `head` names the kind of trouble and is the same as long as that is.

    `advice` says what to do where that is not the usual for the reason; `lasting` that a person must act although the
    reason is one that passes by itself. All texts can be shown: what they quote of the
    cloud was redacted when they were made (`trouble_of`), and the rest is our own, which nobody searches.
    """

    reason: Reason
    head: str
    detail: str = ""
    advice: str = ""
    lasting: bool = False

    @property
    def passing(self) -> bool:
        """True where the trouble heals without a person, so polling goes on at its normal pace."""
        return self.reason.passing and not self.lasting

    def message(self) -> str:
        """Say on one line what happened and, where a person must act, what to do."""
        parts = [f"{self.head}: {self.detail}" if self.detail else self.head]
        advice = self.advice or _WHAT_TO_DO.get(self.reason, "")
        if advice:
            parts[0] = parts[0].rstrip(" .") + "."
            parts.append(advice)
        return one_line(" ".join(parts), MESSAGE_LIMIT)


Observation = JobSeen | Trouble


def trouble_of(error: errors.CloudError, redact: Redact) -> Trouble:
    """Classify an error of the EVS client as the trouble it means for the job's status.

    `redact` takes the secrets of the call out of what the cloud said, which is the head's code and the detail's end.
    """
    reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.REJECTED)
    status = f"HTTP {error.http_status}" if error.http_status is not None else ""
    code = redact(error.code) if error.code and error.code != str(error.http_status) else ""
    head = " ".join(part for part in (status, code) if part) or str(reason)
    advice = error.advice or (_LOCKED if error.locks else "")
    return Trouble(reason, head, error.told(redact), advice)
