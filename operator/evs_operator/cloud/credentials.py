"""Credentials as frozen values whose repr never shows what is secret."""

from __future__ import annotations

from dataclasses import dataclass, field


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


Credentials = AccessKey | Token | Password
