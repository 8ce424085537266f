"""What can go wrong with a call to the cloud: one class for each decision that a caller makes.

    CloudError
    ├── PassingError            heals without a person: ask again with back-off
    │   ├── RateLimited         429: nobody asks with this credential for a while
    │   ├── PollTimeout         connecting, reading or the whole call took too long
    │   ├── Unreachable         name, connection, TLS
    │   ├── ServerError         5xx, 408, 409 and codes that mean the same
    │   └── InvalidResponse     neither a job nor an error we can read
    ├── JobMissing              not found or expired: the caller knows whether it was seen before
    └── ActionRequired          a person must act: ask slowly
        ├── Unauthorized        the credential is refused
        │   └── AccessKeyLocked too many failures: no call for minutes, or it stays locked
        ├── Forbidden           the credential lacks a right, or the account is frozen
        ├── WrongProject        the project is not the credential's, or not the job's
        ├── EndpointInvalid     this is not the EVS endpoint
        ├── EndpointRefused     our own allow-list lets no request go there
        └── Rejected            any other 4xx

An HTTP error never says that the job failed (docs/reference/jobs-api.md#errors).

What an error means is declared here and nowhere else: each class says in its attributes how it differs from
`CloudError`. Who meets an error asks for the attribute, and never lists classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import ClassVar, Final

MESSAGE_LIMIT: Final = 512
"""Characters of a message."""

_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")


class MetBy(Enum):
    """Who else would meet what one call met, while it is not known yet whether the credential is good."""

    NOBODY = "the next call finds out for itself"
    SAME_PROJECT = "calls about the same project by the same connection"
    SAME_CONNECTION = "all calls by the same connection"
    SAME_CREDENTIAL = "all calls with the same credential"
    REFUSED = "all calls that the refusal of the credential keeps from going"


class CloudError(Exception):
    """A call did not bring a job.

    `message` is one line of at most 512 characters, the same for the same trouble: words of our own, and then `said`,
    which quotes the server. What is shown is `told()`, in which that is redacted. `code` is the server's too;
    `http_status` and `request_id` are None if no answer came.
    `retry_after`: seconds in which nobody is to ask with this credential, None if the answer names none.
    `signing_in`: it was not EVS that was asked, but who issues tokens or keys. `shared`: another call met it, this one
    was not made. `advice` says what to do if that is not the usual. `of_project`: only this project was refused, and
    nothing says that others would be. `proven`: the credential is known to be good for other projects. `mistaken`: DNS
    knows no such name, or the certificate is not trusted, so what was written may be wrong.
    """

    heals: ClassVar[bool] = False
    """It passes without a person: ask again with back-off."""
    needs_person: ClassVar[bool] = False
    """A person must act: ask slowly."""
    about_credential: ClassVar[bool] = False
    """The credential is refused: nobody else tries it for a while, and its Secret is read again."""
    locks: ClassVar[bool] = False
    """The access key is locked everywhere: no call may go until `retry_after`."""
    accepts: ClassVar[bool] = False
    """If EVS answered this, it accepted the credential; what it refused is something else."""
    throttles: ClassVar[bool] = False
    """Nobody asks with this credential for a while, then all ask less often."""
    unanswered: ClassVar[bool] = False
    """No answer came: fewer calls wait for one together."""
    of_connection: ClassVar[bool] = False
    """It is trouble on the way to EVS, which the status of the connection reports too."""
    met_by: ClassVar[MetBy] = MetBy.NOBODY
    """Who else would meet it."""
    counted_as: ClassVar[str] = "invalid"
    """What metrics count as the code of a request that ended in it without an HTTP answer; "": none was made."""

    retry_after: float | None = None

    def __init__(
        self,
        message: str,
        *,
        said: str = "",
        code: str | None = None,
        http_status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        self.own = _line(message, MESSAGE_LIMIT)
        self.said = _line(said, MESSAGE_LIMIT - 1 - len(self.own)) if said else ""
        super().__init__(self.message)
        self.code = code
        self.http_status = http_status
        self.request_id = request_id
        self.signing_in = False
        self.shared = False
        self.advice = ""
        self.of_project = False
        self.proven = False
        self.mistaken = False

    @property
    def by_evs(self) -> bool:
        """True if EVS itself was asked by this very call: not who issues tokens, and not by another call."""
        return not (self.shared or self.signing_in)

    @property
    def message(self) -> str:
        """What happened, as the server said it."""
        return f"{self.own} {self.said}" if self.said else self.own

    def told(self, redact: Callable[[str], str]) -> str:
        """Return the message with what the server said redacted; our own words are not searched."""
        return f"{self.own} {redact(self.said)}" if self.said else self.own


def _line(text: str, limit: int) -> str:
    line = _SPACE.sub(" ", text).strip()
    return line if len(line) <= limit else line[: max(limit - 1, 0)] + "…"


class PassingError(CloudError):
    """Heals without a person."""

    heals = True


class RateLimited(PassingError):
    """The cloud throttles."""

    throttles = True
    met_by = MetBy.SAME_CREDENTIAL


class PollTimeout(PassingError):
    """Connecting, reading or the whole call took too long."""

    unanswered = True
    of_connection = True
    met_by = MetBy.SAME_PROJECT
    counted_as = "timeout"


class Unreachable(PassingError):
    """No connection: name, route, refusal, reset, TLS."""

    unanswered = True
    of_connection = True
    met_by = MetBy.SAME_CONNECTION
    counted_as = "unreachable"


class ServerError(PassingError):
    """The cloud says that it has trouble of its own."""

    of_connection = True


class InvalidResponse(PassingError):
    """The answer is neither a job nor an error that can be read, too large, or of another job."""


class JobMissing(CloudError):
    """The cloud knows no such job: never existed, record expired, or asked in the wrong place."""

    accepts = True


class ActionRequired(CloudError):
    """A person must act."""

    needs_person = True


class Unauthorized(ActionRequired):
    """The credential is refused."""

    about_credential = True
    met_by = MetBy.REFUSED


class AccessKeyLocked(Unauthorized):
    """Too many failures in a row: calls must stop for `retry_after` seconds."""

    locks = True
    retry_after = 300.0


class Forbidden(ActionRequired):
    """The credential lacks a right, or the account is frozen."""

    accepts = True


class WrongProject(ActionRequired):
    """The project is not the credential's, or not the job's."""

    accepts = True


class EndpointInvalid(ActionRequired):
    """The endpoint is not that of EVS."""

    of_connection = True
    met_by = MetBy.SAME_PROJECT


class EndpointRefused(ActionRequired):
    """The allow-list lets no request go there; nothing was sent."""

    met_by = MetBy.REFUSED
    counted_as = ""


class Rejected(ActionRequired):
    """Any other refusal."""

    accepts = True
