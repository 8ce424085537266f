"""Reasons of the conditions: stable names that other programs match on.

Every reason is documented in `docs/reference/`; a reason is never renamed within an API version.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reason of a condition of an EvsJob."""

    # in progress
    JOB_INITIALIZING = "JobInitializing"
    JOB_RUNNING = "JobRunning"
    UNKNOWN_JOB_STATUS = "UnknownJobStatus"
    # ended
    JOB_SUCCEEDED = "JobSucceeded"
    JOB_FAILED = "JobFailed"
    SUB_JOB_FAILED = "SubJobFailed"
    # observation
    POLL_SUCCEEDED = "PollSucceeded"
    RATE_LIMITED = "RateLimited"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    WRONG_PROJECT = "WrongProject"
    ENDPOINT_INVALID = "EndpointInvalid"
    JOB_NOT_FOUND = "JobNotFound"
    JOB_RECORD_EXPIRED = "JobRecordExpired"
    TIMEOUT = "Timeout"
    UNREACHABLE = "Unreachable"
    SERVER_ERROR = "ServerError"
    INVALID_RESPONSE = "InvalidResponse"
    REJECTED = "Rejected"
    # configuration
    CONNECTION_NOT_FOUND = "ConnectionNotFound"
    CONNECTION_NOT_ALLOWED = "ConnectionNotAllowed"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    ENDPOINT_NOT_ALLOWED = "EndpointNotAllowed"
    INVALID_SPEC = "InvalidSpec"
    # other
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    SUSPENDED = "Suspended"
    PENDING = "Pending"

    @property
    def passing(self) -> bool:
        """True where the trouble heals without a person, so polling goes on at its normal pace."""
        return self in _PASSING


_PASSING = frozenset(
    {
        Reason.RATE_LIMITED,
        Reason.TIMEOUT,
        Reason.UNREACHABLE,
        Reason.SERVER_ERROR,
        Reason.INVALID_RESPONSE,
    }
)


def heals_itself(reason: str) -> bool:
    """Return whether a reason that a status holds, perhaps of another version, names a passing trouble."""
    return reason in _PASSING


class ConnectionReason(StrEnum):
    """Reason of a condition of an EvsConnection or a ClusterEvsConnection."""

    CREDENTIALS_VALID = "CredentialsValid"
    NOT_YET_VERIFIED = "NotYetVerified"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105  # a reason, not a secret
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105  # a reason, not a secret
    UNAUTHORIZED = "Unauthorized"
    ENDPOINT_NOT_ALLOWED = "EndpointNotAllowed"
    ENDPOINT_INVALID = "EndpointInvalid"
    AUTH_NOT_ALLOWED = "AuthNotAllowed"
    UNREACHABLE = "Unreachable"
    INVALID_SPEC = "InvalidSpec"
