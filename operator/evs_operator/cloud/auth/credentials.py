"""Credentials as frozen values whose repr never shows what is secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from evs_operator.api.connection import AuthKind


@dataclass(frozen=True, slots=True)
class AccessKey:
    """AK/SK; with a security token where they are temporary."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A token that somebody else got and renews."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Password:
    """An IAM user; tokens come from `iam_endpoint`, an origin."""

    username: str = field(repr=False)
    password: str = field(repr=False)
    domain_name: str
    iam_endpoint: str


@dataclass(frozen=True, slots=True)
class Oidc:
    """The operator's own identity token, in a file, for tokens of IAM by the name of an identity provider there."""

    iam_endpoint: str
    identity_provider: str
    token_file: str


@dataclass(frozen=True, slots=True)
class InstanceMetadata:
    """The agency of the machine that the operator runs on; `endpoint` is the origin of its metadata service."""

    endpoint: str


Credentials = AccessKey | Token | Password | Oidc | InstanceMetadata
_KINDS: Final[Mapping[type, AuthKind]] = {
    AccessKey: "accessKey",
    Token: "token",
    Password: "password",
    Oidc: "oidc",
    InstanceMetadata: "instanceMetadata",
}


def kind_of(credentials: Credentials) -> AuthKind:
    """Return the way to sign in that a credential is for, as a connection's spec names it."""
    return _KINDS[type(credentials)]


def secrets_of(credentials: Credentials) -> Iterator[str]:
    """Yield the secret values of a credential, for redaction."""
    match credentials:
        case AccessKey():
            yield credentials.access_key
            yield credentials.secret_key
            if credentials.security_token:
                yield credentials.security_token
        case Password():
            yield credentials.password
        case Token():
            yield credentials.token
