"""What is probably wrong with a credential that the cloud refuses, in words that tell what to do. Pure.

Used for statuses and by `evs-operator check --connection`, which say the same in the same words. "the
Secret" in them stands for the connection's: who tells it puts the name there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evs_operator.api.connection import AuthKind
from evs_operator.evs import errors

SECRET: Final = "the Secret"  # noqa: S105  # a word

_UNKNOWN_KEY: Final = "the access key is unknown to this cloud or region: correct accessKey in the Secret"
_WRONG_PASSWORD: Final = "the user name, the password or domainName is wrong: correct the Secret"  # noqa: S105  # words
_USER_LOCKED: Final = "the user is locked: wait until IAM unlocks it, or have an administrator do it"
_KEY_EXPIRED: Final = "the access key has expired: put a new one, with the securityToken it may have, into the Secret"
_TOKEN_EXPIRED: Final = "the token has expired: put a new one into the Secret"  # noqa: S105  # words
_TOKEN_BROKEN: Final = "the token cannot be read by the cloud: is it complete, of this cloud, and on one line?"  # noqa: S105  # words
_OTHER_REGION: Final = (
    "EVS refuses the token that IAM gave: the EVS endpoint and the IAM endpoint must be of the same cloud and region"
)
_BY_CODE: Final[Mapping[str, str]] = {
    "IAM.0061": _USER_LOCKED,
    "IAM.0062": _WRONG_PASSWORD,
    "IAM.1105": _KEY_EXPIRED,
    "IAM.1107": "the access key is switched off: have it switched on in IAM, or put another one into the Secret",
    "IAM.1108": _KEY_EXPIRED,
}
_OF_ANY: Final = (
    ("ak not exist", _UNKNOWN_KEY),
    ("verify aksk signature", "the secret key does not belong to the access key: correct secretKey in the Secret"),
    ("signature expired", "the signature is refused as expired: set the clock of this machine"),
)
_OF_KIND: Final[Mapping[AuthKind, tuple[tuple[str, str], ...]]] = {
    "accessKey": (("expired", _KEY_EXPIRED),),
    "token": (
        ("must be updated", _TOKEN_EXPIRED),
        ("expire", _TOKEN_EXPIRED),
        ("decrypt token", _TOKEN_BROKEN),
    ),
    "password": (
        ("username or password", _WRONG_PASSWORD),
        ("locked", _USER_LOCKED),
    ),
}
_USUAL: Final[Mapping[AuthKind, str]] = {
    "accessKey": "put a valid access key of this cloud and its secret key into the Secret",
    "password": "put a valid user name, password and domainName into the Secret",
    "token": "put a valid token of this cloud and project into the Secret",
    "oidc": "check in IAM what the identity provider lets the operator's ServiceAccount do",
    "instanceMetadata": "check in IAM what the agency of the machine may do",
}


def probable_cause(error: errors.CloudError, kind: AuthKind) -> str:
    """Return what is probably wrong where a credential of that kind was refused, and what to do."""
    if error.advice:
        return error.advice
    if (known := _BY_CODE.get(error.code or "")) is not None:
        return known
    said = error.message.lower()
    for clue, meaning in (*_OF_ANY, *_OF_KIND.get(kind, ())):
        if clue in said:
            return meaning
    if kind in ("password", "oidc") and not error.signing_in:
        return _OTHER_REGION
    return _USUAL[kind]
