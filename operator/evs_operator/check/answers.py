"""What the answer to one call says of the connection, in words that tell what to do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from evs_operator.api.connection import AuthKind
from evs_operator.core.refusals import probable_cause
from evs_operator.evs import errors

_HELD: Final = {
    "accessKey": "the access key",
    "password": "the user name and password",
    "token": "the token",  # words
    "oidc": "the operator's identity token",
    "instanceMetadata": "the machine's key",
}
_LOCKED: Final = "locked after too many wrong signatures"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: whether a step is in order, which one, and what to do."""

    good: bool
    what: str
    detail: str


def findings(
    error: errors.CloudError | None, kind: AuthKind, project_id: str, redact: Callable[[str], str] = str
) -> Iterator[Finding]:
    """Yield what a call for a job that does not exist says; `error` None: there was such a job.

    `redact` takes the credential out of what the cloud said.
    """
    said = error.told(redact) if error is not None else ""
    accepted = Finding(True, "credential", "accepted")
    match error:
        case None | errors.JobMissing():
            yield accepted
            yield Finding(True, f"project {project_id}", "the credential may ask for its jobs")
            yield Finding(True, "query", "answered: no job has the id of zeros that was asked for, as expected")
        case errors.AccessKeyLocked():
            yield Finding(False, "credential", f"{_LOCKED} ({said}): wait 5 minutes and correct the Secret first")
        case errors.Unauthorized():
            yield Finding(False, "credential", _refused(error, kind, redact))
        case errors.WrongProject():
            yield accepted
            what = f"not the credential's ({said}): correct spec.projectId of the connection or of the EvsJob"
            yield Finding(False, f"project {project_id}", what)
        case errors.Forbidden():
            yield accepted
            yield Finding(False, "permission", f"{said}: grant the user the right to read EVS jobs there")
        case errors.RateLimited():
            pause = f"{error.retry_after:.0f} s" if error.retry_after else "a minute"
            yield Finding(False, "query", f"throttled ({said}): wait {pause} and lower spec.rateLimit")
        case errors.EndpointRefused():
            yield Finding(False, "endpoint", said)
        case errors.EndpointInvalid():
            yield Finding(False, "endpoint", f"{said}: correct spec.endpoint, it is not that of EVS")
        case errors.PollTimeout() | errors.Unreachable():
            yield Finding(False, "query", f"{said}: try again, and check the network between here and there")
        case errors.ServerError():
            yield Finding(False, "query", f"the cloud has trouble of its own ({said}): try again later")
        case errors.InvalidResponse():
            yield Finding(False, "query", f"{said}: correct spec.endpoint, or look for a proxy between")
        case _:
            yield Finding(False, "query", f"{said}: check spec.endpoint and the project")


def _refused(error: errors.CloudError, kind: AuthKind, redact: Callable[[str], str]) -> str:
    code = f"{redact(error.code)}, " if error.code and error.code != str(error.http_status) else ""
    return f"{_HELD.get(kind, 'it')} is refused ({code}{error.told(redact)}): {probable_cause(error, kind)}"
