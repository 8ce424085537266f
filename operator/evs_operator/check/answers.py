"""What the answer to one call says of the connection, in words that tell what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from evs_operator.api.connection import AuthKind
from evs_operator.cloud import errors

_HELD: Final = {
    "accessKey": "the access key",
    "password": "the user name and password",
    "token": "the token",  # words
    "oidc": "the operator's identity token",
    "instanceMetadata": "the machine's key",
}
_CLUES: Final = (
    ("ak not exist", "the access key is unknown to this cloud or region: correct accessKey in the Secret"),
    ("verify aksk signature", "the secret key does not belong to the access key: correct secretKey in the Secret"),
    ("signature expired", "the signature is refused as expired: set the clock of this machine"),
    ("must be updated", "the token has expired: put a new one into the Secret"),
    ("expired", "the token has expired: put a new one into the Secret"),
    ("decrypt token", "the token cannot be read by the cloud: is it complete, of this cloud, and on one line?"),
    ("username or password", "the user name, the password or domainName is wrong: correct the Secret"),
    ("locked", "the user is locked: wait until IAM unlocks it, or have an administrator do it"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: whether a step is in order, which one, and what to do."""

    good: bool
    what: str
    detail: str


def findings(error: errors.CloudError | None, kind: AuthKind, project_id: str) -> Iterator[Finding]:
    """Yield what a call for a job that does not exist says; `error` None: there was such a job."""
    accepted = Finding(True, "credential", "accepted")
    match error:
        case None | errors.JobMissing():
            yield accepted
            yield Finding(True, f"project {project_id}", "the credential may ask for its jobs")
            yield Finding(True, "query", "answered: no job has the id of zeros that was asked for, as expected")
        case errors.AccessKeyLocked():
            what = (
                f"locked after too many wrong signatures ({error.message}): wait 5 minutes and correct the Secret first"
            )
            yield Finding(False, "credential", what)
        case errors.Unauthorized():
            yield Finding(False, "credential", _refused(error, kind))
        case errors.WrongProject():
            yield accepted
            what = f"not the credential's ({error.message}): correct spec.projectId of the connection or of the EvsJob"
            yield Finding(False, f"project {project_id}", what)
        case errors.Forbidden():
            yield accepted
            yield Finding(False, "permission", f"{error.message}: grant the user the right to read EVS jobs there")
        case errors.RateLimited():
            pause = f"{error.retry_after:.0f} s" if error.retry_after else "a minute"
            yield Finding(False, "query", f"throttled ({error.message}): wait {pause} and lower spec.rateLimit")
        case errors.EndpointRefused():
            yield Finding(False, "endpoint", error.message)
        case errors.EndpointInvalid():
            yield Finding(False, "endpoint", f"{error.message}: correct spec.endpoint, it is not that of EVS")
        case errors.PollTimeout() | errors.Unreachable():
            yield Finding(False, "query", f"{error.message}: try again, and check the network between here and there")
        case errors.ServerError():
            yield Finding(False, "query", f"the cloud has trouble of its own ({error.message}): try again later")
        case errors.InvalidResponse():
            yield Finding(False, "query", f"{error.message}: correct spec.endpoint, or look for a proxy between")
        case _:
            yield Finding(False, "query", f"{error.message}: check spec.endpoint and the project")


def _refused(error: errors.CloudError, kind: AuthKind) -> str:
    said = error.message.lower()
    usual = error.advice or "put a valid one into the Secret"
    meaning = usual if error.advice else next((meaning for clue, meaning in _CLUES if clue in said), usual)
    code = f"{error.code}, " if error.code else ""
    return f"{_HELD.get(kind, 'it')} is refused ({code}{error.message}): {meaning}"
